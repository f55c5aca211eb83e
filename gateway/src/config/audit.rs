//! The audit log and how its tree is signed, as checked.

use super::Ship;
use crate::audit::{field::Fields, note::VerifierKey, subject::Auditor};
use std::{path::PathBuf, time::Duration};
use url::Url;

/// `[audit]`
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    /// Folder.
    pub path: PathBuf,
    /// What an accepted record survives.
    pub durability: Durability,
    /// A segment is closed at this size, in bytes.
    pub segment_bytes_max: u64,
    /// Segments closed longer ago than this may be removed by an operator; the gateway never removes one.
    pub retention: Duration,
    /// How its tree is signed.
    pub checkpoints: Checkpoints,
    /// How fields of calls are recorded.
    pub privacy: Privacy,
    /// Where records go besides.
    pub ship: Vec<Ship>,
}

/// How fields of calls are recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Modes by place.
    pub fields: Fields,
    /// The file of the key of hashes.
    pub hash_key: Option<PathBuf>,
    /// Who may read what is encrypted.
    pub auditor: Option<Auditor>,
}

/// What an accepted record survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: `fdatasync` returned.
    Fsync,
    /// A killed process: `write` returned.
    Write,
}

/// How the tree over the audit log is signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoints {
    /// The file of the key.
    pub key: PathBuf,
    /// A key is made where there is none.
    pub makes_key: bool,
    /// After so many records.
    pub records: u64,
    /// After this time, if there are new records.
    pub interval: Duration,
    /// Folders where checkpoints are kept besides the log's.
    pub copies: Vec<PathBuf>,
    /// Who signs them, too.
    pub witness: Option<Witness>,
}

/// `witness = { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Witness {
    /// Where it takes checkpoints.
    pub url: Url,
    /// What its signatures are checked with.
    pub key: VerifierKey,
    /// PEM file of the authorities that may vouch for it; the system's when absent.
    pub ca: Option<PathBuf>,
}

impl Checkpoints {
    /// A key that is made where it is not, and nothing else out of the ordinary.
    #[must_use]
    pub fn with_own_key(key: PathBuf) -> Self {
        let (records, interval) = (10_000, Duration::from_secs(10));
        Self { key, makes_key: true, records, interval, copies: Vec::new(), witness: None }
    }
}
