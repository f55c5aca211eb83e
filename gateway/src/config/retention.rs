//! How long records are kept, as checked.

use std::{path::PathBuf, time::Duration};

/// `[audit.retention]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// A segment is removed once its newest record is older.
    pub age: Duration,
    /// Most bytes that segments take in the log's folder; a part of the disk when absent.
    pub bytes_max: Option<u64>,
    /// A closed segment is packed once its newest record is older.
    pub pack_after: Duration,
    /// Where older segments are moved to.
    pub archive: Option<Archive>,
}

/// The archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Folder.
    pub path: PathBuf,
    /// A segment is moved there once its newest record is older.
    pub after: Duration,
    /// Most bytes that segments take there.
    pub bytes_max: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self { age: 365 * DAY, bytes_max: None, pack_after: Duration::from_secs(600), archive: None }
    }
}
