//! Reads the log for a sink: from the disk, in order, and only what the log holds for certain.

use crate::audit::{
    checkpoint,
    note::{NOTE_BYTES_MAX, Note},
    query::{self, Line, Reader, Source},
    segment,
};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

/// Most records that a sink is given at once: all that is ever read ahead.
pub(super) const BATCH_RECORDS_MAX: usize = 256;
/// Most bytes of them, unless a single record is longer.
pub(super) const BATCH_BYTES_MAX: usize = 1 << 20;

/// The number of records of our own incarnation that the log has accepted.
pub(super) type Accepted = Arc<dyn Fn() -> u64 + Send + Sync>;

/// An incarnation whose records are read.
#[derive(Clone, Debug)]
pub(super) struct Incarnation {
    pub(super) id: Uuid,
    pub(super) directory: PathBuf,
    /// The gateway's own, which grows.
    pub(super) own: bool,
}

/// Some records in a row.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) incarnation: Uuid,
    /// The records, with nothing between them but what is missing.
    pub(super) records: Vec<Line>,
    /// The number that follows them.
    pub(super) next: u64,
    /// A segment ended before them.
    pub(super) opens: bool,
    /// A segment ends with them.
    pub(super) closes: bool,
    /// The incarnation is over, and there is nothing after these.
    pub(super) ends: bool,
    /// Records that are on disk, or were promised by a checkpoint, after `next`: at least so many.
    pub(super) behind: u64,
    /// Numbers that no record has, because it was removed or can't be read.
    pub(super) missing: u64,
}

/// See the file's first line.
pub(super) struct Feed {
    accepted: Accepted,
    open: Option<Open>,
}

struct Open {
    reader: Reader,
    /// What is read next from it.
    next: u64,
    /// Something was read from it, so it is no segment that was given up before its first record.
    used: bool,
}

/// How far an incarnation may be read.
struct End {
    /// The first number that may not be.
    before: u64,
    /// Nobody writes it.
    over: bool,
}

impl Feed {
    pub(super) fn new(accepted: Accepted) -> Self {
        Self { accepted, open: None }
    }

    /// Records from `next` on.
    ///
    /// # Errors
    /// When the log can't be read.
    pub(super) fn read(&mut self, of: &Incarnation, next: u64) -> io::Result<Batch> {
        // INVARIANT: The end is asked before segments are listed. A segment is there before a record in it is accepted, so
        // that what a broken segment holds under the same number is never taken for the record.
        let end = self.end(of)?;
        let mut sources = query::segments(of.id, &of.directory)?;
        if next < end.before && holding(&sources, next).is_none() {
            // A folder that is listed while a segment gets another name may show neither: it is gone if it is gone twice.
            sources = query::segments(of.id, &of.directory)?;
        }
        let meets = |seq| {
            let ends_there = |source: &Source| source.last.is_some_and(|last| last.saturating_add(1) == seq);
            sources.iter().any(|source| ends_there(source) || source.first == seq)
        };
        let mut batch = Batch {
            incarnation: of.id,
            records: Vec::new(),
            next,
            opens: meets(next),
            closes: false,
            ends: false,
            behind: 0,
            missing: 0,
        };
        let mut bytes = 0;
        while batch.records.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX && batch.next < end.before {
            let Some(source) = holding(&sources, batch.next) else {
                if !batch.records.is_empty() {
                    // Looked for again before it is missing.
                    break;
                }
                // What was removed by hand, or by retention, is missing.
                let Some(later) = sources.iter().map(|source| source.first).filter(|first| *first > batch.next).min()
                else {
                    break;
                };
                batch.skip_to(later);
                continue;
            };
            let bound = bound(&sources, source).min(end.before);
            if !self.fill(source, bound, &mut batch, &mut bytes)? {
                if bound == end.before {
                    break;
                }
                batch.skip_to(bound);
            }
            // Objects are segments: none has records of two.
            if batch.next == bound && !batch.records.is_empty() {
                break;
            }
        }
        if let Some(open) = self.open.as_mut().filter(|open| open.reader.source.last.is_none()) {
            open.reader.forget_ahead()?;
        }
        batch.closes = meets(batch.next);
        let known =
            sources.iter().filter_map(|source| source.last).map(|last| last.saturating_add(1)).max().unwrap_or(0);
        let known = if end.before == u64::MAX { known } else { end.before };
        batch.behind = known.saturating_sub(batch.next);
        batch.ends = end.over && batch.records.is_empty() && batch.behind == 0;
        Ok(batch)
    }

    /// Forgets where it was.
    pub(super) fn reset(&mut self) {
        self.open = None;
    }

    /// Reads from one segment until the batch is full; `false` when there is no more below `bound`.
    fn fill(&mut self, source: &Source, bound: u64, batch: &mut Batch, bytes: &mut usize) -> io::Result<bool> {
        let open = match self.open.take().filter(|open| open.is(source) && open.next <= batch.next) {
            Some(open) => self.open.insert(open),
            None => self.open.insert(Open { reader: Reader::open(source.clone())?, next: source.first, used: false }),
        };
        while batch.next < bound && batch.records.len() < BATCH_RECORDS_MAX && *bytes < BATCH_BYTES_MAX {
            let line = match open.reader.grown()? {
                None => return Ok(false),
                Some(Ok(line)) => line,
                Some(Err(problem)) => {
                    tracing::warn!(%problem, "a record of the audit log can't be shipped");
                    continue;
                }
            };
            let seq = line.head.seq;
            if seq >= bound {
                self.open = None;
                return Ok(false);
            }
            open.next = seq.saturating_add(1);
            open.used = true;
            if seq < batch.next || line.head.incarnation != batch.incarnation {
                continue;
            }
            batch.skip_to(seq);
            *bytes += line.bytes.len();
            batch.records.push(line);
            batch.next = seq.saturating_add(1);
        }
        Ok(true)
    }

    fn end(&self, of: &Incarnation) -> io::Result<End> {
        if of.own {
            return Ok(End { before: (self.accepted)(), over: false });
        }
        let is_open = segment::list(&of.directory)?.iter().any(|(name, _)| name.last.is_none());
        if is_open && is_held(&of.directory) {
            // Another process writes it: what a checkpoint covers is certain.
            return Ok(End { before: signed(&of.directory).unwrap_or(0), over: false });
        }
        Ok(End { before: u64::MAX, over: true })
    }
}

impl Open {
    /// Whether it reads that segment, which may have been closed meanwhile.
    fn is(&self, source: &Source) -> bool {
        let ours = &self.reader.source;
        ours.incarnation == source.incarnation
            && ours.first == source.first
            && (self.used || (ours.again, ours.last) == (source.again, source.last))
    }
}

impl Batch {
    fn skip_to(&mut self, seq: u64) {
        self.missing += seq.saturating_sub(self.next);
        self.next = self.next.max(seq);
    }
}

/// The segment that has a record: one that was closed, or else the last try to begin there.
fn holding(sources: &[Source], seq: u64) -> Option<&Source> {
    let closed = |source: &&Source| source.first <= seq && source.last.is_some_and(|last| seq <= last);
    let open = |source: &&Source| source.first <= seq && source.last.is_none();
    sources.iter().find(closed).or_else(|| sources.iter().rev().find(open))
}

/// The first number that a segment does not have: what it holds from there on is void.
fn bound(sources: &[Source], source: &Source) -> u64 {
    let later = sources.iter().map(|other| other.first).filter(|first| *first > source.first).min();
    let last = source.last.map(|last| last.saturating_add(1));
    later.into_iter().chain(last).min().unwrap_or(u64::MAX)
}

fn is_held(directory: &Path) -> bool {
    let lock = File::open(directory.join(segment::LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// How many records the newest checkpoint of an incarnation covers.
fn signed(directory: &Path) -> Option<u64> {
    let mut text = String::new();
    let file = File::open(directory.join(checkpoint::NEWEST)).ok()?;
    file.take(NOTE_BYTES_MAX as u64).read_to_string(&mut text).ok()?;
    Some(checkpoint::Head::parse(&Note::parse(&text)?.text)?.size)
}
