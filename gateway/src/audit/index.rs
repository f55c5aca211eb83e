//! The index of a log: what its closed segments say of each call, in a form that is quickly looked through.
//!
//! It is derived and disposable: a file per closed segment in a folder beside them, made by the running gateway or by
//! the first command that needs it, and made anew when it is not of exactly the segment that lies there. It proves nothing;
//! whoever can write into the log's folder can write an index that lies, as they can write a log that lies. What was signed
//! is for `verify` to say, and a search can do without any index.

pub(crate) mod block;
pub(crate) mod build;
pub(crate) mod entry;
pub(crate) mod file;
pub mod keeper;
pub(crate) mod look;
#[cfg(test)]
mod tests;

use super::query::{Problem, Source, What};
use block::Block;
use std::{io, path::Path};

/// What is known of one segment.
#[derive(Debug)]
pub(crate) struct Index {
    /// What it covers.
    pub(crate) reach: Reach,
    /// Calls that begin or end elsewhere, and records that are of no call.
    pub(crate) parts: Block,
    /// Calls that begin and end here, as long as they are in memory.
    pub(crate) whole: Option<Block>,
    /// What is wrong with the segment. One with an index has no problem.
    pub(crate) problems: Vec<Problem>,
}

impl Index {
    /// Of a segment that can't be read.
    pub(crate) fn unreadable(source: &Source, error: io::Error) -> Self {
        let problem = Problem { file: source.path.as_path().into(), line: None, what: What::Io(error) };
        let (reach, parts, whole) = (Reach::default(), Block::default(), Some(Block::default()));
        Self { reach, parts, whole, problems: vec![problem] }
    }
}

/// What the records of a segment span; it says whether they are worth looking at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Reach {
    /// How many records.
    pub(crate) records: u64,
    /// Earliest and latest time, in microseconds; they need not be those of the first and last record.
    pub(crate) times: Option<(i64, i64)>,
    /// Least and greatest call id.
    pub(crate) calls: Option<([u8; 16], [u8; 16])>,
}

impl Reach {
    /// Takes a record in.
    pub(crate) fn extend(&mut self, at: i64, call: Option<[u8; 16]>) {
        self.records += 1;
        let (from, to) = self.times.unwrap_or((at, at));
        self.times = Some((from.min(at), to.max(at)));
        if let Some(call) = call {
            let (least, most) = self.calls.unwrap_or((call, call));
            self.calls = Some((least.min(call), most.max(call)));
        }
    }

    /// Whether a call could have a record there.
    pub(crate) fn may_have(&self, call: [u8; 16]) -> bool {
        self.calls.is_some_and(|(least, most)| (least..=most).contains(&call))
    }
}

/// The index of a segment: its file's, or one that is made now, and kept if that can be.
pub(crate) fn of(source: &Source, stop: &dyn Fn() -> bool) -> io::Result<Index> {
    if let Some(index) = file::read(source) {
        return Ok(index);
    }
    made(source, stop)
}

/// An index that is made from the records themselves, and kept if that can be.
pub(crate) fn made(source: &Source, stop: &dyn Fn() -> bool) -> io::Result<Index> {
    let before = file::Bound::of(source);
    let built = build::build(source, stop)?;
    if built.sound
        && let Some(bound) = before
        && file::Bound::of(source).as_ref() == Some(&bound)
    {
        // Where it can't be kept, it is made again the next time.
        let _ = file::write(source, &bound, &built.index);
    }
    Ok(built.index)
}

/// Whether whoever runs this may leave files there: its owner, so that no other user's command does it in passing.
pub(crate) fn is_ours(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().is_ok_and(|found| found.uid() == rustix::process::geteuid().as_raw())
}
