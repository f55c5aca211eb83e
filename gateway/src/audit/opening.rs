//! What a log is opened with: the key that signs it, how its fields are recorded, and what is said beside it.

use super::{
    conceal::Redaction,
    field::Mode,
    hash::HashKey,
    note::VerifierKey,
    signer::{FileKey, KeyError},
    subject::{self, NOBODY, Subjects},
};
use crate::config;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The node id can't be part of a path.
    #[error("`{0}` can't be a node's id: letters, digits, `-`, `_` and `.`, at most 128, not starting with a dot")]
    Node(String),
    /// Another process writes this incarnation, or has written it.
    #[error("incarnation {0} has been used already")]
    Taken(Uuid),
    /// The key that signs checkpoints can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A witness can't be asked as it is configured.
    #[error("the witness of the audit log can't be used: {0}")]
    Witness(String),
    /// The disk refuses.
    #[error("the audit log at `{path}` can't be opened")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The key that signs checkpoints. Outside production one is made where there is none.
pub(super) fn key(config: &config::Audit, node: &str) -> Result<FileKey, KeyError> {
    let checkpoints = &config.checkpoints;
    if checkpoints.makes_key && !checkpoints.key.exists() {
        match FileKey::create(&checkpoints.key, &format!("latchwork/{node}")) {
            // Another process was faster.
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                let path = checkpoints.key.display();
                tracing::info!(%path, "a key is made that signs the audit log's checkpoints");
                return made;
            }
        }
    }
    FileKey::read(&checkpoints.key)
}

/// How fields are recorded. The one subject that is known already gets its key, so that no refusal waits for it.
pub(super) fn redaction(privacy: &config::Privacy, folder: &Path) -> Result<Arc<Redaction>, OpenError> {
    let hash = privacy.hash_key.as_deref().map(HashKey::read).transpose()?;
    let io = |source| OpenError::Io { path: folder.join(subject::store::FOLDER), source };
    let subjects = Arc::new(Subjects::open(folder, privacy.auditor.clone()).map_err(io)?);
    if privacy.fields.use_mode(Mode::Encrypted) && subjects.encrypts() {
        subjects.key(NOBODY).map_err(io)?;
    }
    Ok(Arc::new(Redaction::new(privacy.fields.clone(), hash, subjects)))
}

/// Says beside the log what checks its signatures. It is there for convenience: who checks a log takes the key from
/// where it can be trusted.
pub(super) fn publish(path: &Path, key: &VerifierKey) -> io::Result<()> {
    let line = format!("{key}\n");
    match fs::read_to_string(path) {
        Ok(known) if known.contains(&line) => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    OpenOptions::new().append(true).create(true).mode(0o644).open(path)?.write_all(line.as_bytes())
}
