//! The key of one subject: it encrypts fields before they are hashed, and is kept only as it was wrapped.

use super::{Auditor, AuditorKey, auditor::Unwrappable};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// What stands before an encrypted value in a record.
pub const PREFIX: &str = "encrypted:";
const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 8;

/// A subject's key in use.
pub struct SubjectKey {
    id: String,
    key: RandomizedNonceKey,
}

/// A subject's key as it is kept: only the auditor can unwrap it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    /// Whose key it is.
    pub subject: String,
    /// Which of its keys; encrypted values name it.
    pub id: String,
    /// Whose key unwraps it.
    pub auditor: String,
    /// What HPKE encapsulated, in base64.
    pub encapsulated: String,
    /// The key, sealed, in base64.
    pub sealed: String,
}

/// Why a value can't be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Sealed {
    /// The text is no encrypted value.
    #[error("this is no encrypted value")]
    Malformed,
    /// Its key is not there.
    #[error("its key was erased, or is kept elsewhere")]
    NoKey,
    /// The key does not open it.
    #[error("the value was changed, or is of another record or place")]
    Changed,
    /// The key can't be unwrapped.
    #[error(transparent)]
    Wrapped(#[from] Unwrappable),
}

impl SubjectKey {
    /// Makes a key, and what is kept of it.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(crate) fn generate(subject: &str, auditor: &Auditor) -> Result<(Self, Wrapped), Unwrappable> {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(secret.as_mut()).map_err(|_| Unwrappable)?;
        let mut id = [0; ID_BYTES];
        rand::fill(&mut id).map_err(|_| Unwrappable)?;
        let id = id.iter().fold(String::new(), |id, byte| format!("{id}{byte:02x}"));
        let (encapsulated, sealed) = auditor.wrap(about(subject, &id).as_bytes(), secret.as_ref())?;
        let wrapped = Wrapped {
            subject: subject.to_owned(),
            id: id.clone(),
            auditor: auditor.to_string(),
            encapsulated: BASE64_STANDARD.encode(encapsulated),
            sealed: BASE64_STANDARD.encode(sealed),
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, secret.as_ref()).map_err(|_| Unwrappable)?;
        Ok((Self { id, key }, wrapped))
    }

    /// The value as it stands in a record, bound to its call and place: `encrypted:KEY:VALUE`.
    pub(crate) fn seal(&self, call: Uuid, place: &str, value: &str) -> Option<String> {
        let mut text = value.as_bytes().to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(bound(call, place)), &mut text).ok()?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut text);
        Some(format!("{PREFIX}{}:{}", self.id, BASE64_URL_SAFE_NO_PAD.encode(whole)))
    }

    fn open(&self, call: Uuid, place: &str, value: &str) -> Result<String, Sealed> {
        let mut whole = BASE64_URL_SAFE_NO_PAD.decode(value).map_err(|_| Sealed::Malformed)?;
        let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN).ok_or(Sealed::Malformed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Sealed::Malformed)?;
        let opened = self.key.open_in_place(nonce, Aad::from(bound(call, place)), sealed);
        let opened = opened.map_err(|_| Sealed::Changed)?;
        String::from_utf8(opened.to_vec()).map_err(|_| Sealed::Changed)
    }
}

impl Wrapped {
    /// The key, for the auditor.
    ///
    /// # Errors
    /// When it is wrapped to another auditor, or was changed.
    pub fn unwrapped(&self, key: &AuditorKey) -> Result<SubjectKey, Unwrappable> {
        let bytes = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| Unwrappable);
        let (encapsulated, sealed) = (bytes(&self.encapsulated)?, bytes(&self.sealed)?);
        let secret = key.unwrap_key(about(&self.subject, &self.id).as_bytes(), (encapsulated, &sealed))?;
        let secret = Zeroizing::new(secret);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &secret).map_err(|_| Unwrappable)?;
        Ok(SubjectKey { id: self.id.clone(), key })
    }
}

/// The id of the key that an encrypted value needs.
#[must_use]
pub fn key_of(value: &str) -> Option<&str> {
    value.strip_prefix(PREFIX)?.split_once(':').map(|(id, _)| id)
}

/// Decrypts a value of a record with the keys at hand.
///
/// # Errors
/// [`Sealed`].
pub fn reveal(value: &str, (call, place): (Uuid, &str), keys: &[SubjectKey]) -> Result<String, Sealed> {
    let (id, sealed) = value.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':')).ok_or(Sealed::Malformed)?;
    keys.iter().find(|key| key.id == id).ok_or(Sealed::NoKey)?.open(call, place, sealed)
}

fn about(subject: &str, id: &str) -> String {
    format!("{id} {subject}")
}

fn bound(call: Uuid, place: &str) -> String {
    format!("{call} {place}")
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({})", self.id)
    }
}
