//! How far a sink has acknowledged records, kept in files beside the log: one per sink and incarnation.
//!
//! A cursor is written after the acknowledgement, whole or not at all. What lies between the two is shipped again after a
//! crash, under the same ids.

use crate::audit::segment;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// The folder beside a node's incarnations that has a folder for each sink.
pub(super) const FOLDER: &str = "ship";
/// Held by whoever ships: a gateway that takes over waits for the one before it.
const LOCK: &str = "lock";
/// Longest cursor, in bytes.
const CURSOR_BYTES_MAX: u64 = 4096;

/// How far an incarnation's records were acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    /// The number of the first record that was not acknowledged.
    pub(super) next: u64,
    /// The incarnation is over, and everything of it was acknowledged.
    #[serde(default)]
    pub(super) done: bool,
}

/// The cursors of one sink, which nobody else moves.
#[derive(Debug)]
pub(super) struct Cursors {
    folder: PathBuf,
    _lock: File,
}

impl Cursors {
    /// Takes the cursors of a sink; `None` while another process has them.
    pub(super) fn take(node: &Path, sink: &str) -> io::Result<Option<Self>> {
        let folder = node.join(FOLDER).join(sink);
        segment::create_folder(&folder)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { folder, _lock: lock })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// The cursor of an incarnation. One that can't be read is at the beginning: everything is shipped again.
    pub(super) fn read(&self, incarnation: Uuid) -> Cursor {
        let path = self.path(incarnation);
        read(&path).unwrap_or_else(|error| {
            let path = path.display();
            tracing::warn!(%error, %path, "a cursor can't be read; all records of its incarnation are shipped again");
            Cursor::default()
        })
    }

    /// Keeps a cursor.
    pub(super) fn write(&self, incarnation: Uuid, cursor: Cursor) -> io::Result<()> {
        let path = self.path(incarnation);
        let new = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(&cursor)?)?;
        // A name that survives a power cut must not lead to nothing; that the old one survives instead does no harm.
        file.sync_data()?;
        fs::rename(new, path)
    }

    /// Removes cursors of incarnations that are not there any more.
    pub(super) fn forget_all_but(&self, there: &BTreeSet<Uuid>) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok());
            if id.is_some_and(|id| !there.contains(&id)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn path(&self, incarnation: Uuid) -> PathBuf {
        self.folder.join(incarnation.to_string())
    }
}

/// The cursor of an incarnation as whoever does not ship sees it; one that can't be read is at the beginning.
pub(super) fn seen(node: &Path, sink: &str, incarnation: Uuid) -> Cursor {
    read(&node.join(FOLDER).join(sink).join(incarnation.to_string())).unwrap_or_default()
}

fn read(path: &Path) -> io::Result<Cursor> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Cursor::default()),
        file => file?.take(CURSOR_BYTES_MAX).read_to_end(&mut bytes)?,
    };
    Ok(serde_json::from_slice(&bytes)?)
}
