//! The key pair of whoever may read what is encrypted: HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM.

use crate::audit::signer::{self, KeyError};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256,
    hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey},
};
use std::{fmt, path::Path, str::FromStr};

/// What stands before a public key.
const PUBLIC_PREFIX: &str = "latchwork-auditor-1+";
/// First word of the file of a private key.
const FILE_PREFIX: &str = "latchwork-auditor-key-1 ";
/// What a key that is wrapped is for.
const PURPOSE: &[u8] = b"latchwork audit subject key 1";
const KEY_BYTES: usize = 32;

/// The public key: the gateway wraps keys with it, and can't unwrap one.
#[derive(Clone, PartialEq, Eq)]
pub struct Auditor([u8; KEY_BYTES]);

/// A text is no public key of an auditor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no public key of an auditor, as `latchwork audit key auditor FILE` prints it")]
pub struct NotAnAuditor(String);

/// The private key.
pub struct AuditorKey {
    auditor: Auditor,
    key: HpkePrivateKey,
}

/// Something could not be wrapped or unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key can't be unwrapped: it is of another auditor, or was changed")]
pub struct Unwrappable;

impl Auditor {
    /// Wraps a secret for this auditor, bound to `about`.
    ///
    /// # Errors
    /// When the key is no point of its curve, or there is no randomness.
    pub(crate) fn wrap(&self, about: &[u8], secret: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Unwrappable> {
        let to = HpkePublicKey(self.0.to_vec());
        let sealed = DH_KEM_X25519_HKDF_SHA256_AES_256.seal(PURPOSE, about, secret, &to);
        sealed.map(|(encapsulated, sealed)| (encapsulated.0, sealed)).map_err(|_| Unwrappable)
    }
}

impl AuditorKey {
    /// Makes a key and writes it to a new file that only its owner may read.
    ///
    /// # Errors
    /// [`KeyError`]; a file that is there stays as it is.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let pair = DH_KEM_X25519_HKDF_SHA256_AES_256.generate_key_pair();
        let (public, key) = pair.map_err(|_| KeyError::no_randomness(path))?;
        let public = public.0.try_into().map_err(|_| KeyError::no_randomness(path))?;
        let made = Self { auditor: Auditor(public), key };
        let secret = BASE64_URL_SAFE_NO_PAD.encode(made.key.secret_bytes());
        signer::new_secret_file(path, &format!("{FILE_PREFIX}{} {secret}\n", made.auditor))?;
        Ok(made)
    }

    /// Reads a key from its file, which only its owner may read.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed { path: path.to_owned(), made_by: "latchwork audit key auditor" };
        Self::parse(&signer::secret_file(path)?.ok_or_else(malformed)?).ok_or_else(malformed)
    }

    fn parse(text: &str) -> Option<Self> {
        let (public, secret) = text.trim_end_matches(['\n', '\r']).strip_prefix(FILE_PREFIX)?.split_once(' ')?;
        let auditor = public.parse().ok()?;
        let secret = BASE64_URL_SAFE_NO_PAD.decode(secret).ok().filter(|secret| secret.len() == KEY_BYTES)?;
        Some(Self { auditor, key: secret.into() })
    }

    /// What keys are wrapped to.
    #[must_use]
    pub fn public(&self) -> &Auditor {
        &self.auditor
    }

    /// Unwraps a secret that is bound to `about`.
    ///
    /// # Errors
    /// When it was wrapped for another key, is about something else, or was changed.
    pub(crate) fn unwrap_key(
        &self,
        about: &[u8],
        (encapsulated, sealed): (Vec<u8>, &[u8]),
    ) -> Result<Vec<u8>, Unwrappable> {
        let encapsulated = EncapsulatedSecret(encapsulated);
        let opened = DH_KEM_X25519_HKDF_SHA256_AES_256.open(&encapsulated, PURPOSE, about, sealed, &self.key);
        opened.map_err(|_| Unwrappable)
    }
}

impl FromStr for Auditor {
    type Err = NotAnAuditor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.trim().strip_prefix(PUBLIC_PREFIX).and_then(|key| BASE64_URL_SAFE_NO_PAD.decode(key).ok());
        let key = bytes.and_then(|bytes| bytes.try_into().ok()).map(Self);
        // A key that nothing can be wrapped to is found here, not at the first call.
        key.filter(|key| key.wrap(b"", b"").is_ok()).ok_or_else(|| NotAnAuditor(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Auditor({self})")
    }
}

impl fmt::Debug for AuditorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditorKey({})", self.auditor)
    }
}
