//! What detectors remember, kept in a file beside the log, so that a restart need not read the whole log again.
//!
//! The file is derived: without it, or with one of other thresholds, the log says the same again.

use super::{Detectors, State, sight::Place};
use crate::{config::detect::Detect, state::replace};
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

/// The file in the folder of a node.
const FILE: &str = "detectors";
/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Where the detectors of a node are kept.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    config: Detect,
    made_by: String,
}

/// What was kept.
#[derive(Debug)]
pub(super) enum Found {
    /// Detectors as they were after this record.
    Whole(Box<Detectors>, Place),
    /// Findings were told up to this record; what led to them must be read again.
    Place(Place),
    /// Nothing that counts.
    Nothing,
}

#[derive(Deserialize)]
struct Head {
    made_by: String,
    after: Place,
}

#[derive(Deserialize)]
struct Body {
    state: State,
}

#[derive(Serialize)]
struct File<'a> {
    made_by: &'a str,
    after: Place,
    state: &'a State,
}

impl Keeper {
    /// In the folder of a node, for detectors with these thresholds.
    pub(super) fn new(folder: &Path, config: Detect) -> Self {
        // Another version of the program may remember otherwise.
        let written = digest(&SHA256, format!("{} {config:?}", env!("CARGO_PKG_VERSION")).as_bytes());
        let made_by = written.as_ref().iter().fold(String::new(), |mut made_by, byte| {
            // Writing to memory can't fail.
            let _ = write!(made_by, "{byte:02x}");
            made_by
        });
        Self { path: folder.join(FILE), config, made_by }
    }

    /// What is there.
    pub(super) fn read(&self) -> Found {
        match self.parse() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%error, %path, "what detectors remembered can't be read: they learn from the log anew");
                Found::Nothing
            }
        }
    }

    fn parse(&self) -> io::Result<Found> {
        if fs::metadata(&self.path)?.len() > FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let bytes = fs::read(&self.path)?;
        let Head { made_by, after } = serde_json::from_slice(&bytes)?;
        if made_by != self.made_by {
            return Ok(Found::Place(after));
        }
        let Body { state } = serde_json::from_slice(&bytes)?;
        Ok(Found::Whole(Box::new(Detectors::resumed(self.config.clone(), state)), after))
    }

    /// Replaces what is there.
    pub(super) fn write(&self, detectors: &Detectors, after: Place) -> io::Result<()> {
        let bytes = serde_json::to_vec(&File { made_by: &self.made_by, after, state: detectors.state() })?;
        replace(&self.path, &bytes, 0o600)
    }
}
