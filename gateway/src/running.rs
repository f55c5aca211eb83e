//! A note beside the configuration that says where the running gateway listens, for `call`, `reload` and people.

use crate::{address::Address, server::Running};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Folder of the note, beside `latchwork.toml`.
const FOLDER: &str = ".latchwork";
/// Longest note that is read, in bytes.
const NOTE_BYTES_MAX: u64 = 64 * 1024;

/// Where a gateway listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Addresses {
    /// Process id.
    pub pid: u32,
    /// Administrative interface.
    pub admin: Address,
    /// Listeners by name.
    pub listeners: BTreeMap<String, Address>,
}

/// The note of this process; removed when dropped.
#[derive(Debug)]
pub struct Note(Option<PathBuf>);

impl Note {
    /// Leaves the note. Where the folder can't be written there is none: addresses are then as configured.
    #[must_use]
    pub fn leave(directory: &Path, running: &Running) -> Self {
        let note = Addresses {
            pid: std::process::id(),
            admin: running.admin().clone(),
            listeners: running.addresses().map(|(name, at)| (name.to_string(), at.clone())).collect(),
        };
        let path = path(directory);
        let written = serde_json::to_vec(&note).map_err(std::io::Error::from).and_then(|bytes| {
            std::fs::create_dir_all(directory.join(FOLDER))?;
            let fresh = path.with_extension("new");
            std::fs::write(&fresh, bytes)?;
            std::fs::rename(&fresh, &path)
        });
        match written {
            Ok(()) => Self(Some(path)),
            Err(error) => {
                tracing::debug!(%error, "no note of the addresses");
                Self(None)
            }
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let ours = |path: &PathBuf| read_file(path).is_some_and(|note| note.pid == std::process::id());
        if let Some(path) = self.0.take().filter(ours) {
            // A note that stays behind names a process that is gone; readers see that.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The gateway that runs with the configuration of this folder, if it left a note and is alive.
#[must_use]
pub fn read(directory: &Path) -> Option<Addresses> {
    read_file(&path(directory)).filter(|note| Path::new("/proc").join(note.pid.to_string()).exists())
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FOLDER).join("running.json")
}

fn read_file(path: &Path) -> Option<Addresses> {
    let small = std::fs::metadata(path).ok()?.len() <= NOTE_BYTES_MAX;
    let bytes = small.then(|| std::fs::read(path).ok()).flatten()?;
    serde_json::from_slice(&bytes).ok()
}
