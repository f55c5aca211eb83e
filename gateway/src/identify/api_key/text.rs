//! The text of an API key: `lw_<alias>_<id>_<secret><check>`.
//!
//! The id is public and finds the entry. The secret has 190 random bits, so that a fast hash of it is as good at rest as
//! a slow one: there is nothing to guess. The check tells a slip of the pen without asking anybody.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use secrecy::{ExposeSecret, SecretString};

/// Longest key, in bytes.
pub(crate) const KEY_BYTES_MAX: usize = 160;
/// Letters of an id.
const ID_LETTERS: usize = 10;
/// Letters of a secret, 5.95 bits each.
const SECRET_LETTERS: usize = 32;
/// Letters of the check.
const CHECK_LETTERS: usize = 6;
/// Ids are keys of a TOML table, hence the letters that nobody has to quote.
const ID_ALPHABET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// SHA-256 of a whole key, which is what is kept of it.
pub(crate) type Hash = [u8; 32];

/// A key that was made just now.
#[derive(Debug)]
pub(crate) struct Fresh {
    /// Its public part.
    pub(crate) id: String,
    /// All of it, shown once.
    pub(crate) key: SecretString,
    /// What is kept.
    pub(crate) hash: Hash,
}

/// A key that is well-formed; nothing in it is believed yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// Whose keys it is one of.
    pub(crate) alias: &'a str,
    /// Its public part.
    pub(crate) id: &'a str,
}

/// Makes a key. `None` when the system has no randomness.
pub(crate) fn make(alias: &str) -> Option<Fresh> {
    let id = random(ID_ALPHABET, ID_LETTERS)?;
    let begun = format!("lw_{alias}_{id}_{}", random(ALPHABET, SECRET_LETTERS)?);
    let key = format!("{begun}{}", check(&begun));
    Some(Fresh { id, hash: hash(&key), key: key.into() })
}

/// Takes a key apart; `None` if it is none, or was copied wrongly.
pub(crate) fn read(key: &str) -> Option<Parts<'_>> {
    let (begun, checked) = key.split_at_checked(key.len().checked_sub(CHECK_LETTERS)?)?;
    let (named, secret) = begun.rsplit_once('_')?;
    // An alias may have `_` itself, an id has none.
    let (alias, id) = named.strip_prefix("lw_")?.rsplit_once('_')?;
    let sound = key.len() <= KEY_BYTES_MAX
        && !alias.is_empty()
        && secret.len() == SECRET_LETTERS
        && secret.bytes().all(|b| ALPHABET.contains(&b))
        && is_id(id)
        && check(begun) == checked;
    sound.then_some(Parts { alias, id })
}

/// Whether a text may be the id of a key.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == ID_LETTERS && text.bytes().all(|b| ID_ALPHABET.contains(&b))
}

/// What is kept of a key.
pub(crate) fn hash(key: &str) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    hash
}

/// `sha256:<hex>`
pub(crate) fn written(hash: &Hash) -> String {
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// The hash that a text like `sha256:<hex>` says.
pub(crate) fn hash_of(written: &str) -> Option<Hash> {
    let hex = written.strip_prefix("sha256:").filter(|hex| hex.len() == 2 * size_of::<Hash>())?;
    let mut hash = Hash::default();
    for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let digit = |at: usize| pair.get(at).filter(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
        let pair = [*digit(0)?, *digit(1)?];
        *byte = u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

fn check(begun: &str) -> String {
    let digest = digest(&SHA256, begun.as_bytes());
    let letters = digest.as_ref().iter().map(|byte| letter(ALPHABET, usize::from(*byte) % ALPHABET.len()));
    letters.take(CHECK_LETTERS).collect()
}

fn random(alphabet: &[u8], letters: usize) -> Option<String> {
    // Bytes from the last, incomplete round of the alphabet would make its first letters likelier.
    let even = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(letters);
    while text.len() < letters {
        let mut byte = [0];
        SystemRandom::new().fill(&mut byte).ok()?;
        let [byte] = byte;
        if usize::from(byte) < even {
            text.push(letter(alphabet, usize::from(byte) % alphabet.len()));
        }
    }
    Some(text)
}

fn letter(alphabet: &[u8], at: usize) -> char {
    char::from(alphabet.get(at).copied().unwrap_or(b'0'))
}

impl Fresh {
    /// The key as text.
    pub(crate) fn text(&self) -> &str {
        self.key.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_made_and_a_slip_is_noticed() {
        let fresh = make("my_partners").unwrap();
        let key = fresh.text();
        assert_eq!(read(key), Some(Parts { alias: "my_partners", id: &fresh.id }));
        assert_eq!(hash_of(&written(&fresh.hash)), Some(hash(key)));
        for at in 0..key.len() {
            let mut slip = key.as_bytes().to_vec();
            slip[at] = if slip[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(read(std::str::from_utf8(&slip).unwrap()), None, "letter {at}");
            assert_eq!(read(key.get(..at).unwrap()), None);
        }
        for none in ["", "lw", "lw___", "éééééééé", &format!("{key}x"), &format!("x{key}"), &key.to_uppercase()]
        {
            assert_eq!(read(none), None, "{none}");
        }
        assert_ne!(make("a").unwrap().text(), make("a").unwrap().text());
        assert!(!format!("{fresh:?}").contains(key));
    }

    #[test]
    fn only_lower_case_hex_is_a_hash() {
        let good = written(&Hash::default());
        assert_eq!(hash_of(&good), Some(Hash::default()));
        for bad in
            ["", "sha256:", good.trim_end_matches('0'), &good.replacen("00", "0A", 1), &good.replacen("00", "+0", 1)]
        {
            assert_eq!(hash_of(bad), None, "{bad}");
        }
    }
}
