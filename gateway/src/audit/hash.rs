//! Keyed hashes of values: equal values have equal ones, and without the key nobody can try values out.

use super::signer::{self, KeyError};
use aws_lc_rs::{hmac, rand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use std::{fmt, path::Path};

/// What stands before a hash in a record.
pub const PREFIX: &str = "hmac:";
/// First word of a file of a key.
const FILE_PREFIX: &str = "latchwork-hash-key-1 ";
/// What is hashed before every value, so that the key can serve for nothing else.
const DOMAIN: &[u8] = b"latchwork audit value 1\n";
/// What is hashed to name the key.
const NAME: &[u8] = b"latchwork audit key name 1\n";
const KEY_BYTES: usize = 32;
const NAME_BYTES: usize = 4;

/// The key of the hashes in an audit log.
pub struct HashKey {
    key: hmac::Key,
    name: String,
}

impl HashKey {
    /// Reads a key from its file, which only its owner may read.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed { path: path.to_owned(), made_by: "latchwork audit key hash" };
        let text = signer::secret_file(path)?.ok_or_else(malformed)?;
        Self::parse(&text).ok_or_else(malformed)
    }

    /// Makes a key and writes it to a new file that only its owner may read.
    ///
    /// # Errors
    /// [`KeyError`]; a file that is there stays as it is.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let mut bytes = [0; KEY_BYTES];
        rand::fill(&mut bytes).map_err(|_| KeyError::no_randomness(path))?;
        let key = Self::of(&bytes);
        let text = format!("{FILE_PREFIX}{} {}\n", key.name, BASE64_URL_SAFE_NO_PAD.encode(bytes));
        signer::new_secret_file(path, &text)?;
        Ok(key)
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, secret) = text.trim_end_matches(['\n', '\r']).strip_prefix(FILE_PREFIX)?.split_once(' ')?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(secret).ok().filter(|bytes| bytes.len() == KEY_BYTES)?;
        let key = Self::of(&bytes);
        (key.name == name).then_some(key)
    }

    fn of(bytes: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let tag = hmac::sign(&key, NAME);
        let name = tag.as_ref().iter().take(NAME_BYTES).fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
        Self { key, name }
    }

    /// Which key it is; it shows nothing of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hash of a value, as it stands in records: `hmac:KEY:HASH`.
    #[must_use]
    pub fn hash(&self, value: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(DOMAIN);
        context.update(value.as_bytes());
        format!("{PREFIX}{}:{}", self.name, BASE64_URL_SAFE_NO_PAD.encode(context.sign()))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashKey({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_and_its_hashes_are_hmac() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.hash");
        let made = HashKey::create(&file).unwrap();
        let read = HashKey::read(&file).unwrap();
        assert_eq!(made.hash("DE89 3704"), read.hash("DE89 3704"));
        assert_ne!(made.hash("DE89 3704"), read.hash("DE89 3705"));
        assert!(matches!(HashKey::create(&file), Err(KeyError::Io { .. })), "a key is never written over");
        let other = HashKey::create(&folder.path().join("other")).unwrap();
        assert_ne!(made.hash("x"), other.hash("x"));
        let text = std::fs::read_to_string(&file).unwrap();
        let secret = text.trim_end().rsplit(' ').next().unwrap();
        assert!(!format!("{made:?}").contains(secret));
        // Against another implementation of RFC 2104.
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(secret).unwrap();
        let pad = |with: u8| (0..64).map(|i| bytes.get(i).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
        use sha2::Digest;
        let inner = sha2::Sha256::digest([pad(0x36).as_slice(), DOMAIN, b"x"].concat());
        let outer = sha2::Sha256::digest([pad(0x5c).as_slice(), inner.as_slice()].concat());
        assert_eq!(made.hash("x"), format!("hmac:{}:{}", made.name(), BASE64_URL_SAFE_NO_PAD.encode(outer)));
        for broken in ["", "x", &text.replace(made.name(), "00000000"), text.get(..text.len() - 6).unwrap()] {
            assert!(HashKey::parse(broken).is_none(), "{broken}");
        }
    }
}
