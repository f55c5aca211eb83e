//! What a verification found.

use crate::audit::query;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Most problems that are listed; the others are counted.
const PROBLEMS_MAX: usize = 100;

/// The result of a verification.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Nothing is wrong.
    pub ok: bool,
    /// How many records there are.
    pub records: u64,
    /// How many of them are proved: a signature covers them.
    pub proved: u64,
    /// How many others were retired.
    pub retired: u64,
    /// Every log, by node and age.
    pub logs: Vec<Proved>,
    /// What is wrong.
    pub problems: Vec<Trouble>,
    /// Problems that are not listed.
    pub problems_left_out: u64,
    /// What is not wrong, and worth knowing.
    pub notes: Vec<Trouble>,
}

/// The log of one incarnation.
#[derive(Clone, Debug, Serialize)]
pub struct Proved {
    /// Node.
    pub node: String,
    /// Incarnation.
    pub incarnation: Uuid,
    /// The number after that of its last record.
    pub size: u64,
    /// How many records are there.
    pub records: u64,
    /// How many of them are proved.
    pub proved: u64,
    /// What was retired, and what says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Retired>,
    /// The records before this number are signed by a witness, too.
    pub witnessed: u64,
    /// When the first was written.
    pub first: Option<Timestamp>,
    /// When the last was written.
    pub last: Option<Timestamp>,
    /// The root over all records, in base64; absent when records are missing.
    pub root: Option<String>,
    /// Its last record says that it ended.
    pub ended: bool,
}

/// Records that were removed, for which a tombstone stands.
#[derive(Clone, Debug, Serialize)]
pub struct Retired {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// When the first was written.
    pub from: Timestamp,
    /// When the last was written.
    pub to: Timestamp,
    /// When they were removed.
    pub at: Timestamp,
    /// By which rule.
    pub rule: String,
    /// The tombstone's file.
    pub tombstone: PathBuf,
}

/// Something that was found, and where.
#[derive(Clone, Debug, Serialize)]
pub struct Trouble {
    /// File or folder.
    pub file: PathBuf,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Number of the record, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// What it is.
    #[serde(serialize_with = "text")]
    pub what: What,
}

/// What can be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// A line is no record.
    #[error("{0}")]
    Line(String),
    /// A record is of another node.
    #[error("the record is of node `{0}`")]
    Node(String),
    /// The numbers have a gap or go back.
    #[error("record {found} is where record {expected} should be")]
    Order {
        /// The number that should come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// Time runs backwards.
    #[error("the record is {0} ms older than the one before it")]
    Time(u64),
    /// The first record is none of a beginning.
    #[error("the first record does not say that the incarnation began")]
    Beginning,
    /// Records after the end.
    #[error("a record follows the one that says that the log ended")]
    AfterEnd,
    /// Whole records are not there.
    #[error("records {first} to {last} are missing: there is no segment of them")]
    SegmentMissing {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Two segments have the same records.
    #[error("the segment begins at record {0}, which another segment has already")]
    Overlap(u64),
    /// A closed segment does not end where its name says.
    #[error("the segment's name says that its last record is {named}, and it is {found}")]
    SegmentEnd {
        /// What the name says.
        named: u64,
        /// What was found.
        found: i128,
    },
    /// What is there is not what was signed.
    #[error("records {from} to {} are not those of {by}: something in them was changed, removed, added or moved", .size - 1)]
    Changed {
        /// The first that may be.
        from: u64,
        /// How many were signed.
        size: u64,
        /// Who says so.
        by: String,
    },
    /// The end is missing.
    #[error("the log ends after {found} records, and {by} covers {size}: records {found} to {} are missing", .size - 1)]
    Truncated {
        /// How many are there.
        found: u64,
        /// How many were signed.
        size: u64,
        /// Who says so.
        by: String,
    },
    /// A tombstone does not count.
    #[error("{0}")]
    Tombstone(String),
    /// A tombstone is of records that others stand for, or that are there in part.
    #[error("the tombstone is of records {0} to {1}, some of which are there, or under another tombstone")]
    TombstoneOverlap(u64, u64),
    /// What is there is not what was retired.
    #[error("records {first} to {last} are there, and they are not those that were retired")]
    TombstoneDiffers {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Nothing says that a tombstone is right.
    #[error("records {first} to {last} were retired, and no checkpoint covers them")]
    TombstoneUnproved {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Retired and not removed.
    #[error("records {first} to {last} are to be removed and still there: that was cut short, or they are on hold")]
    StillThere {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// What was said of a tree that ends among what was retired.
    #[error("{by} covers {size} records, and ends among those that were retired: it can't be checked any more")]
    NotCheckable {
        /// How many records it covers.
        size: u64,
        /// Who says so.
        by: String,
    },
    /// The same of the log's own checkpoints.
    #[error("{0} of the log's own checkpoints end among what was retired: they can't be checked any more")]
    OwnNotCheckable(u64),
    /// No signature counts.
    #[error("no checkpoint of this log is signed by a key that was given: nothing of it is proved")]
    NothingProved,
    /// A checkpoint does not count.
    #[error("{0}")]
    Checkpoint(String),
    /// The checkpoints are not in order.
    #[error("a checkpoint of {found} records comes after one of {before}")]
    CheckpointOrder {
        /// What came before.
        before: u64,
        /// What came.
        found: u64,
    },
    /// A checkpoint is of another log.
    #[error("the checkpoint is of `{0}`, another log")]
    Foreign(String),
    /// An incarnation is missing.
    #[error("incarnation {incarnation} is missing, which {by} names as one before it")]
    IncarnationMissing {
        /// Which.
        incarnation: Uuid,
        /// Who names it.
        by: Uuid,
    },
    /// A checkpoint that was kept is of a log that is not there.
    #[error("the checkpoint is of `{origin}` with {size} records, and that log is not among those that were given")]
    HeldElsewhere {
        /// Whose.
        origin: String,
        /// How many records it covers.
        size: u64,
    },
    /// The last record is torn.
    #[error("the last record is torn ({0} bytes): its writer was stopped, or is about to go on")]
    Torn(u64),
    /// What comes after the last checkpoint.
    #[error("no checkpoint covers the {0} records from here on: without one they can't be proved")]
    Unproved(u64),
    /// The file can't be read.
    #[error("it can't be read: {0}")]
    Unreadable(String),
}

impl Trouble {
    pub(super) fn of_file(file: &Path, what: What) -> Self {
        Self { file: file.to_owned(), line: None, index: None, what }
    }

    pub(super) fn of_line(file: &Path, line: u64, index: u64, what: What) -> Self {
        Self { file: file.to_owned(), line: Some(line), index: Some(index), what }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(index) = self.index {
            write!(f, ": record {index}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl From<query::What> for What {
    fn from(what: query::What) -> Self {
        Self::Line(what.to_string())
    }
}

impl Report {
    pub(super) fn problem(&mut self, trouble: Trouble) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(trouble);
        } else {
            self.problems_left_out += 1;
        }
    }

    pub(super) fn note(&mut self, trouble: Trouble) {
        if self.notes.len() < PROBLEMS_MAX {
            self.notes.push(trouble);
        }
    }

    /// A checkpoint that was kept and does not count.
    pub(crate) fn refuse(&mut self, file: &Path, error: String) {
        self.ok = false;
        self.problem(Trouble::of_file(file, What::Checkpoint(error)));
    }

    pub(super) fn settle(&mut self) {
        self.ok = self.problems.is_empty();
        self.records = self.logs.iter().map(|log| log.records).sum();
        self.proved = self.logs.iter().map(|log| log.proved).sum();
        let retired = self.logs.iter().flat_map(|log| &log.retired);
        self.retired = retired.map(|retired| retired.last - retired.first + 1).sum();
    }
}

fn text<S: Serializer>(what: &What, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(what)
}
