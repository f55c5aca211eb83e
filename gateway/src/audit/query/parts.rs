//! The tree of an incarnation, part by part: its records, and subtrees where they were retired.

use super::{Line, Problem, Records, Source, segments};
use crate::audit::{
    tombstone::{self, Tombstone},
    tree::Hash,
};
use std::{collections::VecDeque, io, ops::Range, path::Path};
use uuid::Uuid;

/// A complete subtree: one record, or several that are not there any more.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its leaves.
    pub(crate) leaves: Range<u64>,
    pub(crate) hash: Hash,
    /// The record, if it is one.
    pub(crate) line: Option<Line>,
}

/// See the file's first line. What a tombstone claims is not checked: a checkpoint says whether the tree is right.
#[derive(Debug)]
pub(crate) struct Parts {
    records: Records,
    tombstones: VecDeque<Tombstone>,
    /// A record that comes after what is retired.
    held: Option<Line>,
    retired: VecDeque<(Range<u64>, Hash)>,
    next: u64,
}

impl Parts {
    pub(crate) fn of_incarnation(incarnation: Uuid, directory: &Path) -> io::Result<Self> {
        let sources = segments(incarnation, directory)?;
        Ok(Self::new(sources, tombstone::all(directory)?, 0))
    }

    /// From the leaf `next` on, which begins one of the segments or tombstones.
    pub(crate) fn new(sources: Vec<Source>, tombstones: Vec<Tombstone>, next: u64) -> Self {
        let records = Records::of_sources(sources);
        Self { records, tombstones: tombstones.into(), held: None, retired: VecDeque::new(), next }
    }

    fn part(&mut self, line: Line) -> Part {
        self.next = line.head.seq.saturating_add(1);
        Part { leaves: line.head.seq..self.next, hash: Hash::of_leaf(&line.bytes), line: Some(line) }
    }
}

impl Iterator for Parts {
    type Item = Result<Part, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((leaves, hash)) = self.retired.pop_front() {
                self.next = leaves.end;
                return Some(Ok(Part { leaves, hash, line: None }));
            }
            let line = match self.held.take() {
                Some(line) => Some(line),
                None => match self.records.next() {
                    Some(Ok(line)) => Some(line),
                    Some(Err(problem)) => return Some(Err(problem)),
                    None => None,
                },
            };
            // A segment that is there goes before the tombstone for it.
            while self.tombstones.front().is_some_and(|tombstone| tombstone.first < self.next) {
                self.tombstones.pop_front();
            }
            let gap = line.as_ref().is_none_or(|line| line.head.seq > self.next);
            let stands = |tombstone: &mut Tombstone| gap && tombstone.first == self.next;
            match (self.tombstones.pop_front_if(stands), line) {
                (Some(tombstone), line) => {
                    self.retired = tombstone.subtrees().into();
                    self.held = line;
                }
                (None, Some(line)) => return Some(Ok(self.part(line))),
                (None, None) => return None,
            }
        }
    }
}
