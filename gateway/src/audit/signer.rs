//! Who signs checkpoints: a key in a file now; what keeps its keys elsewhere implements the same trait.

use super::note::{Role, SignatureLine, VerifierKey};
use aws_lc_rs::{
    rand,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{
    fmt, fs, io,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

const PREFIX: &str = "PRIVATE+KEY+";
const SEED_BYTES: usize = 32;
/// Longest file of a key, in bytes.
const FILE_BYTES_MAX: u64 = 4096;

/// Signs checkpoints.
pub trait Signer: Send + Sync + fmt::Debug {
    /// What its signatures are checked with.
    fn verifier_key(&self) -> VerifierKey;
    /// Signs the text of a note. It may take its time: no call waits for it.
    ///
    /// # Errors
    /// When the key can't be used now.
    fn sign(&self, text: &[u8]) -> io::Result<SignatureLine>;
}

/// An Ed25519 key that is kept in a file, in the form of Go's `sumdb/note`: `PRIVATE+KEY+NAME+ID+SECRET`.
pub struct FileKey {
    pair: Ed25519KeyPair,
    key: VerifierKey,
    secret: String,
}

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a key.
    #[error("`{path}` holds no such key as `{made_by}` makes")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The command that makes one.
        made_by: &'static str,
    },
    /// Others may read it.
    #[error("`{path}` may be read by others (mode {mode:03o}); make it 600")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file can't be read or written.
    #[error("the key `{path}` can't be used: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl KeyError {
    pub(crate) fn no_randomness(path: &Path) -> Self {
        Self::Io { path: path.to_owned(), source: io::Error::other("there is no randomness") }
    }
}

/// It is no key.
#[derive(Debug)]
pub struct NoKey;

/// The text of a file that only its owner may read; `None` when it is too long for a key or no text.
pub(crate) fn secret_file(path: &Path) -> Result<Option<String>, KeyError> {
    let io = |source| KeyError::Io { path: path.to_owned(), source };
    let found = fs::metadata(path).map_err(io)?;
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    if found.len() > FILE_BYTES_MAX {
        return Ok(None);
    }
    Ok(String::from_utf8(fs::read(path).map_err(io)?).ok())
}

/// Writes a new file that only its owner may read; one that is there stays as it is.
pub(crate) fn new_secret_file(path: &Path, text: &str) -> Result<(), KeyError> {
    let io = |source| KeyError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
}

impl FileKey {
    /// Makes a key.
    ///
    /// # Errors
    /// When the name can't be that of a key, or there is no randomness.
    pub fn generate(name: &str) -> Result<Self, NoKey> {
        let mut seed = [0; SEED_BYTES];
        rand::fill(&mut seed).map_err(|_| NoKey)?;
        Self::of_seed(name, &seed)
    }

    /// Reads the text of a key.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, NoKey> {
        let mut parts = text.trim_end_matches(['\n', '\r']).strip_prefix(PREFIX).ok_or(NoKey)?.splitn(3, '+');
        let (Some(name), Some(id), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoKey);
        };
        let secret = BASE64_STANDARD.decode(secret).map_err(|_| NoKey)?;
        let seed = secret.split_first().filter(|(role, _)| **role == Role::Note.byte()).ok_or(NoKey)?.1;
        let key = Self::of_seed(name, seed)?;
        if format!("{:08x}", key.key.id()) == id { Ok(key) } else { Err(NoKey) }
    }

    fn of_seed(name: &str, seed: &[u8]) -> Result<Self, NoKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoKey)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| NoKey)?;
        let key = VerifierKey::new(name, Role::Note, public).ok_or(NoKey)?;
        let secret = BASE64_STANDARD.encode([&[Role::Note.byte()], seed].concat());
        let secret = format!("{PREFIX}{name}+{:08x}+{secret}", key.id());
        Ok(Self { pair, key, secret })
    }

    /// Reads a key from its file, which only its owner may read.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed { path: path.to_owned(), made_by: "latchwork audit key new" };
        Self::parse(&secret_file(path)?.ok_or_else(malformed)?).map_err(|NoKey| malformed())
    }

    /// Makes a key and writes it to a new file that only its owner may read.
    ///
    /// # Errors
    /// [`KeyError`]; a file that is there stays as it is.
    pub fn create(path: &Path, name: &str) -> Result<Self, KeyError> {
        let io = |source| KeyError::Io { path: path.to_owned(), source };
        let key = Self::generate(name).map_err(|NoKey| io(io::ErrorKind::InvalidInput.into()))?;
        new_secret_file(path, &format!("{}\n", key.secret))?;
        Ok(key)
    }

    /// The text of the key, for its file only.
    #[cfg(test)]
    pub(crate) fn secret_text(&self) -> String {
        self.secret.clone()
    }
}

impl Signer for FileKey {
    fn verifier_key(&self) -> VerifierKey {
        self.key.clone()
    }

    fn sign(&self, text: &[u8]) -> io::Result<SignatureLine> {
        Ok(SignatureLine::new(&self.key, self.pair.sign(text).as_ref().to_vec()))
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileKey({})", self.key)
    }
}
