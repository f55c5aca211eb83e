//! Whose word a bundle is: signatures of different people's keys, and the keys that count.

use super::manifest::Bundle;
use crate::finding::Finding;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};
use toml::Spanned;

/// Bytes of a public key.
const KEY_BYTES: usize = 32;
/// What a public key begins with.
const PREFIX: &str = "ed25519:";

/// Makes signatures: the seam behind which a key is a file, a token or a service.
pub trait Signer {
    /// The key that verifies them.
    fn public(&self) -> PublicKey;

    /// Signs.
    ///
    /// # Errors
    /// When the key can't be used.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// The key can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key can't be used: {0}")]
pub struct SignError(pub String);

/// An Ed25519 key in memory. It is never shown.
pub struct Ed25519(Ed25519KeyPair);

/// A public key, written `ed25519:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey([u8; KEY_BYTES]);

/// The text is no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no public key; one is `ed25519:` and 64 hexadecimal digits")]
pub struct NotAKey(pub String);

/// A signature under a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Whose.
    pub key: PublicKey,
    /// Hexadecimal.
    pub signature: Arc<str>,
}

/// The keys that count, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust(BTreeMap<Arc<str>, Key>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    public: PublicKey,
    person: Arc<str>,
    revoked: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: BTreeMap<Arc<str>, Written>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    public: Spanned<String>,
    /// Whose key it is: two keys of one person count once.
    person: Arc<str>,
    revoked: Option<Spanned<String>>,
}

/// What became of one signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It counts.
    Good,
    /// It is not one of this key under this manifest.
    Wrong,
    /// Nobody knows the key.
    Unknown,
    /// The key was revoked.
    Revoked,
}

/// One signature, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// Whose.
    pub key: PublicKey,
    /// The key's name and person, if it is known.
    pub name: Option<Arc<str>>,
    /// The person, if it is known.
    pub person: Option<Arc<str>>,
    /// What became of it.
    pub standing: Standing,
}

impl Ed25519 {
    /// A new key, as PKCS#8.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate() -> Result<Vec<u8>, SignError> {
        let pair = Ed25519KeyPair::generate().map_err(|e| SignError(e.to_string()))?;
        Ok(pair.to_pkcs8().map_err(|e| SignError(e.to_string()))?.as_ref().to_vec())
    }

    /// Reads a key in PKCS#8.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, SignError> {
        Ed25519KeyPair::from_pkcs8(bytes).map(Self).map_err(|e| SignError(e.to_string()))
    }
}

impl Signer for Ed25519 {
    fn public(&self) -> PublicKey {
        let mut bytes = [0; KEY_BYTES];
        for (byte, from) in bytes.iter_mut().zip(self.0.public_key().as_ref()) {
            *byte = *from;
        }
        PublicKey(bytes)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.0.try_sign(message).map_err(|e| SignError(e.to_string()))?.as_ref().to_vec())
    }
}

impl fmt::Debug for Ed25519 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519")
    }
}

impl Bundle {
    /// Puts a signature under it.
    ///
    /// # Errors
    /// When the key can't be used.
    pub fn sign(&mut self, signer: &dyn Signer) -> Result<(), SignError> {
        let signature = signer.sign(&self.signed())?;
        self.add(Signature { key: signer.public(), signature: hex(&signature).into() });
        Ok(())
    }
}

impl Trust {
    /// Reads a file of keys: `[key.NAME] public = "ed25519:…", person = "…", revoked = "2026-11-01T00:00:00Z"`.
    ///
    /// # Errors
    /// When anything in it is wrong: a key that was misread is one that is not revoked.
    pub fn read(file: &str, text: &str) -> Result<Self, Finding> {
        let wrong =
            |code, message: String, span: std::ops::Range<usize>| Finding::error(code, file, message).at(text, span);
        let read: File = toml::from_str(text).map_err(|error| {
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            wrong("keys_syntax", message, error.span().unwrap_or(0..0))
        })?;
        let mut keys: BTreeMap<Arc<str>, Key> = BTreeMap::new();
        for (name, written) in read.key {
            let public: PublicKey = written
                .public
                .get_ref()
                .parse()
                .map_err(|error: NotAKey| wrong("invalid_key", error.to_string(), written.public.span()))?;
            if let Some((other, _)) = keys.iter().find(|(_, key)| key.public == public) {
                let message = format!("the key of `{name}` is the one of `{other}`");
                return Err(wrong("duplicate_key", message, written.public.span()));
            }
            let revoked = written.revoked.map(|at| match at.get_ref().parse() {
                Ok(revoked) => Ok(revoked),
                Err(_) => Err(wrong("invalid_time", format!("`{}` is no time", at.get_ref()), at.span())
                    .help("such as `2026-11-01T00:00:00Z`")),
            });
            keys.insert(name, Key { public, person: written.person, revoked: revoked.transpose()? });
        }
        Ok(Self(keys))
    }

    /// How many people's keys could sign now.
    #[must_use]
    pub fn people(&self, now: Timestamp) -> usize {
        let usable = self.0.values().filter(|key| key.revoked.is_none_or(|at| now < at));
        usable.map(|key| &key.person).collect::<BTreeSet<_>>().len()
    }

    /// Judges every signature. A revoked key never counts again, whenever it signed: nobody knows when that was.
    #[must_use]
    pub fn judge(&self, bundle: &Bundle, now: Timestamp) -> Vec<Judged> {
        let message = bundle.signed();
        let judge = |signature: &Signature| {
            let known = self.0.iter().find(|(_, key)| key.public == signature.key);
            let standing = match known {
                None => Standing::Unknown,
                Some(_) if !signature.is_good(&message) => Standing::Wrong,
                Some((_, key)) if key.revoked.is_some_and(|at| at <= now) => Standing::Revoked,
                Some(_) => Standing::Good,
            };
            let (name, person) = (known.map(|(name, _)| name.clone()), known.map(|(_, key)| key.person.clone()));
            Judged { key: signature.key, name, person, standing }
        };
        bundle.signatures().iter().map(judge).collect()
    }
}

/// The different people whose signatures count.
#[must_use]
pub fn people(judged: &[Judged]) -> BTreeSet<Arc<str>> {
    let good = judged.iter().filter(|judged| judged.standing == Standing::Good);
    good.filter_map(|judged| judged.person.clone()).collect()
}

impl Signature {
    fn is_good(&self, message: &[u8]) -> bool {
        let Some(signature) = unhex(&self.signature) else { return false };
        UnparsedPublicKey::new(&ED25519, &self.key.0).verify(message, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let bytes = text.strip_prefix(PREFIX).and_then(unhex).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| NotAKey(text.chars().take(100).collect()))
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    Some(digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

#[cfg(test)]
mod tests;
