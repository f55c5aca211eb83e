//! Signed notes (C2SP signed-note): a text and lines of signatures under it, and the keys that they are checked with.

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{fmt, str::FromStr};

#[cfg(test)]
mod tests;

/// Longest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Most signatures under a note; the format asks for sixteen at least.
const SIGNATURES_MAX: usize = 64;
/// Longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 256;
const DASH: &str = "\u{2014} ";
const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 4;
const TIME_BYTES: usize = 8;

/// What a key signs, as the byte in its id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `0x01`: notes, with Ed25519.
    Note,
    /// `0x04`: checkpoints of others, with Ed25519 and a time (C2SP tlog-cosignature, `cosignature/v1`).
    Cosigner,
}

impl Role {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Note => 1,
            Self::Cosigner => 4,
        }
    }
}

/// A key to check signatures with: `<name>+<id>+<base64>`, called vkey.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    role: Role,
    key: [u8; KEY_BYTES],
}

/// A text is no vkey.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no key to check with: `NAME+ID+KEY`, an Ed25519 key of a log (type 1) or a witness (type 4)")]
pub struct BadKey(String);

impl VerifierKey {
    /// A key by its parts; `None` if the name can't be that of a key.
    #[must_use]
    pub fn new(name: &str, role: Role, key: [u8; KEY_BYTES]) -> Option<Self> {
        is_name(name).then(|| Self { name: name.to_owned(), role, key })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The first bytes of the hash over name, role and key.
    #[must_use]
    pub fn id(&self) -> u32 {
        let mut bytes = [self.name.as_bytes(), b"\n"].concat();
        bytes.push(self.role.byte());
        bytes.extend_from_slice(&self.key);
        let hash = digest(&SHA256, &bytes);
        hash.as_ref().iter().take(ID_BYTES).fold(0, |id, byte| id << 8 | u32::from(*byte))
    }

    /// Whether a signature under a text is this key's: `None` if it does not claim to be, or else what it says.
    fn check(&self, text: &str, line: &SignatureLine) -> Option<Result<Option<u64>, Forged>> {
        if !line.is_of(self) {
            return None;
        }
        let key = UnparsedPublicKey::new(&ED25519, &self.key);
        let forged = Forged { name: self.name.clone() };
        Some(match self.role {
            Role::Note => key.verify(text.as_bytes(), &line.signature).map(|()| None).map_err(|_| forged),
            Role::Cosigner => match line.signature.split_first_chunk::<TIME_BYTES>() {
                Some((time, signature)) => {
                    let time = u64::from_be_bytes(*time);
                    let signed = format!("cosignature/v1\ntime {time}\n{text}");
                    key.verify(signed.as_bytes(), signature).map(|()| Some(time)).map_err(|_| forged)
                }
                None => Err(forged),
            },
        })
    }
}

impl FromStr for VerifierKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bad = || BadKey(text.chars().take(NAME_BYTES_MAX).collect());
        let mut parts = text.trim_end_matches('\n').splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return Err(bad()) };
        let key = BASE64_STANDARD.decode(key).map_err(|_| bad())?;
        let (role, key) = match key.split_first() {
            Some((1, key)) => (Role::Note, key),
            Some((4, key)) => (Role::Cosigner, key),
            _ => return Err(bad()),
        };
        let key = Self::new(name, role, key.try_into().map_err(|_| bad())?).ok_or_else(bad)?;
        if format!("{:08x}", key.id()) == id { Ok(key) } else { Err(bad()) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.role.byte()], &self.key[..]].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id(), BASE64_STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A signature that a key did not make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature of `{name}` is not from its key")]
pub struct Forged {
    /// The name of the key.
    pub name: String,
}

/// One line of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    name: String,
    id: u32,
    signature: Vec<u8>,
}

impl SignatureLine {
    /// A signature over a note by a key.
    #[must_use]
    pub fn new(key: &VerifierKey, signature: Vec<u8>) -> Self {
        Self { name: key.name.clone(), id: key.id(), signature }
    }

    /// Whether it claims to be of this key.
    #[must_use]
    pub fn is_of(&self, key: &VerifierKey) -> bool {
        self.name == key.name && self.id == key.id()
    }

    /// Reads a line without its newline.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = BASE64_STANDARD.decode(signature).ok()?;
        let (id, signature) = bytes.split_first_chunk::<ID_BYTES>()?;
        let line = Self { name: name.to_owned(), id: u32::from_be_bytes(*id), signature: signature.to_vec() };
        (is_name(name) && !signature.is_empty()).then_some(line)
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id.to_be_bytes()[..], &self.signature].concat();
        write!(f, "{DASH}{} {}", self.name, BASE64_STANDARD.encode(bytes))
    }
}

/// A text with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is signed, with its last newline.
    pub text: String,
    /// By whom, as they claim.
    pub signatures: Vec<SignatureLine>,
}

impl Note {
    /// Reads a note; `None` if it is none.
    #[must_use]
    pub fn parse(note: &str) -> Option<Self> {
        if note.len() > NOTE_BYTES_MAX || note.chars().any(|c| c < ' ' && c != '\n') {
            return None;
        }
        let (text, signatures) = note.strip_suffix('\n')?.rsplit_once("\n\n")?;
        let signatures: Vec<_> = signatures.split('\n').map(SignatureLine::parse).collect::<Option<_>>()?;
        let sound = !signatures.is_empty() && signatures.len() <= SIGNATURES_MAX;
        sound.then(|| Self { text: format!("{text}\n"), signatures })
    }

    /// Checks every signature that claims to be of these keys. Returns those that signed, and when if they said so.
    ///
    /// # Errors
    /// When a signature claims to be of one of them and is not.
    pub fn signed_by<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<(&'k VerifierKey, Option<u64>)>, Forged> {
        let mut signed = Vec::new();
        for line in &self.signatures {
            for key in keys {
                if let Some(checked) = key.check(&self.text, line) {
                    signed.push((key, checked?));
                }
            }
        }
        Ok(signed)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}
