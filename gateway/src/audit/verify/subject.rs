//! The verification of one incarnation: its records in one pass, against everything that was ever said of its tree.

use super::{
    Expected, From,
    heads::Heads,
    report::{Proved, Report, Trouble, What},
    retired::Tombstones,
};
use crate::audit::{
    checkpoint,
    note::VerifierKey,
    query::{self, Reader, Source},
    record::{Head, Kind, VERSION},
    tree::{Frontier, Hash},
};
use jiff::Timestamp;
use serde::Deserialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// What is verified, and what is known of it.
pub(super) struct Subject<'a> {
    pub(super) node: &'a str,
    pub(super) incarnation: Uuid,
    pub(super) directory: &'a Path,
    /// Other folders that have segments of it.
    pub(super) others: &'a [PathBuf],
    pub(super) keys: &'a [VerifierKey],
    pub(super) expected: Vec<Expected>,
    /// Its writer may be in the middle of a record, or was stopped there and nobody repaired it yet.
    pub(super) may_be_torn: bool,
    /// A later incarnation closed it.
    pub(super) closed_by_other: bool,
}

/// The state of the pass.
pub(super) struct Pass<'a> {
    pub(super) subject: &'a Subject<'a>,
    heads: Heads<'a>,
    pub(super) report: &'a mut Report,
    pub(super) tree: Frontier,
    /// The number that the next record should have.
    pub(super) next: u64,
    /// The tree can't be compared any more.
    pub(super) broken: bool,
    /// Up to here it was compared, and by whom it is proved.
    compared: u64,
    pub(super) proved: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    ended: bool,
    pub(super) tombstones: Tombstones,
}

/// What of a `system` record matters here.
#[derive(Deserialize)]
struct Event {
    event: String,
}

impl Subject<'_> {
    pub(super) fn verify(&self, report: &mut Report) {
        let origin = checkpoint::origin(self.node, self.incarnation);
        // In this order nothing is missed of a log that is written, and retired, meanwhile.
        let heads = Heads::open(self.directory, origin.clone(), self.keys, self.expected.clone(), report);
        let segments = query::segments_in(self.incarnation, self.directory, self.others);
        let tombstones = Tombstones::open(self.directory, &origin, self.keys, report);
        let mut pass = Pass {
            subject: self,
            heads,
            report,
            tree: Frontier::default(),
            next: 0,
            broken: false,
            compared: 0,
            proved: 0,
            first: None,
            last: None,
            ended: false,
            tombstones,
        };
        match segments {
            Ok(segments) => {
                let last = segments.len();
                for (number, source) in segments.into_iter().enumerate() {
                    pass.segment(source, number + 1 == last);
                }
            }
            Err(error) => pass.problem(Trouble::of_file(self.directory, What::Unreadable(error.to_string()))),
        }
        pass.end();
    }
}

impl Pass<'_> {
    fn segment(&mut self, source: Source, is_last: bool) {
        let (path, first, named) = (source.path.clone(), source.first, source.last);
        if named.is_none() && fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
            // The writer made it and had nothing to write into it.
            return;
        }
        self.retired_before(source.first);
        self.stands(source.first, named);
        if source.first > self.next {
            let what = What::SegmentMissing { first: self.next, last: source.first - 1 };
            self.breach(Trouble::of_file(&path, what));
        } else if source.first < self.next {
            self.breach(Trouble::of_file(&path, What::Overlap(source.first)));
        }
        self.next = source.first;
        let is_open = named.is_none();
        match Reader::open(source) {
            Ok(mut reader) => {
                while let Some(read) = reader.next() {
                    let line = reader.line();
                    match read {
                        Ok(bytes) => {
                            self.stood(self.next, &bytes);
                            self.record(&path, line, &bytes);
                        }
                        Err(query::What::Torn(bytes)) if is_last && is_open && self.subject.may_be_torn => {
                            let what = What::Torn(bytes);
                            self.report.note(Trouble::of_line(&path, line, self.next, what));
                        }
                        Err(what) => {
                            self.breach(Trouble::of_line(&path, line, self.next, what.into()));
                            self.next += 1;
                        }
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.retired_meanwhile(first, named) => return,
            Err(error) => self.breach(Trouble::of_file(&path, What::Unreadable(error.to_string()))),
        }
        if let Some(named) = named
            && named.checked_add(1) != Some(self.next)
        {
            let what = What::SegmentEnd { named, found: i128::from(self.next) - 1 };
            self.breach(Trouble::of_file(&path, what));
            self.next = named.saturating_add(1);
        }
        self.stood_to_the_end();
    }

    fn record(&mut self, path: &Path, line: u64, bytes: &[u8]) {
        if self.check_record(path, line, bytes) && !self.broken {
            self.tree.push(Hash::of_leaf(bytes));
            self.compare(path);
        }
    }

    /// Checks a record by itself; `false` if it is none.
    pub(super) fn check_record(&mut self, path: &Path, line: u64, bytes: &[u8]) -> bool {
        let index = self.next;
        let head = match serde_json::from_slice::<Head>(bytes) {
            Ok(head) => head,
            Err(error) => {
                let what = query::What::Malformed(error.to_string()).into();
                self.breach(Trouble::of_line(path, line, index, what));
                self.next += 1;
                return false;
            }
        };
        for what in self.wrong(&head, bytes) {
            self.breach(Trouble::of_line(path, line, index, what));
        }
        self.next = head.seq.saturating_add(1);
        self.first = self.first.or(Some(head.at));
        self.last = Some(head.at);
        true
    }

    /// What is wrong with a record by itself and after the one before it.
    fn wrong(&mut self, head: &Head, bytes: &[u8]) -> Vec<What> {
        let mut wrong = Vec::new();
        if head.v != VERSION {
            wrong.push(query::What::Version(head.v).into());
        }
        if head.incarnation != self.subject.incarnation {
            wrong.push(query::What::Foreign(head.incarnation).into());
        }
        if head.node != self.subject.node {
            wrong.push(What::Node(head.node.clone()));
        }
        if head.seq != self.next {
            wrong.push(What::Order { expected: self.next, found: head.seq });
        }
        let event = if head.kind == Kind::System { serde_json::from_slice::<Event>(bytes).ok() } else { None };
        let event = event.as_ref().map(|event| event.event.as_str());
        let back = self.last.map_or(0, |last| last.duration_since(head.at).as_millis());
        if self.last.is_some_and(|last| last > head.at) && event != Some("clock_set_back") {
            wrong.push(What::Time(u64::try_from(back).unwrap_or(u64::MAX)));
        }
        if self.next == 0 && event != Some("started") {
            wrong.push(What::Beginning);
        }
        if self.ended {
            wrong.push(What::AfterEnd);
        }
        self.ended |= event == Some("stopped");
        wrong
    }

    /// Compares the tree with all that was said of it at this size.
    pub(super) fn compare(&mut self, path: &Path) {
        while let Some(expected) = self.heads.next(self.tree.size(), self.report) {
            if expected.size < self.tree.size() {
                self.unchecked(expected.size, &expected.from);
                continue;
            }
            if expected.root != self.tree.root() {
                let what =
                    What::Changed { from: self.compared, size: expected.size, by: said(expected.size, &expected.from) };
                return self.breach(Trouble::of_file(path, what));
            }
            self.compared = expected.size;
            self.proved = expected.size;
        }
    }

    fn end(mut self) {
        let directory = self.subject.directory;
        if self.tree.size() == 0 && !self.broken {
            self.compare(directory);
        }
        self.retired_at_the_end();
        // What was said of a longer log.
        let mut missing: Option<Expected> = None;
        while let Some(expected) = self.heads.next(u64::MAX, self.report) {
            if expected.size > self.next && missing.as_ref().is_none_or(|missing| missing.size < expected.size) {
                missing = Some(expected);
            }
        }
        if let Some(expected) = missing {
            let what =
                What::Truncated { found: self.next, size: expected.size, by: said(expected.size, &expected.from) };
            self.breach(Trouble::of_file(directory, what));
        }
        let size = self.next;
        // A writer that was stopped before its first record left nothing to prove.
        let is_nothing = size == 0 && (self.subject.expected.is_empty() || self.subject.closed_by_other);
        if self.proved == 0 && !is_nothing && !self.broken {
            self.breach(Trouble::of_file(directory, What::NothingProved));
        } else if self.proved < size && !self.broken {
            let what = What::Unproved(size - self.proved);
            self.report.note(Trouble { index: Some(self.proved), ..Trouble::of_file(directory, what) });
        }
        let witnessed = self.heads.witnessed.min(self.proved);
        // What was retired is not there, and so not proved.
        let retired = self.tombstones.records;
        let gone = self.tombstones.retired.iter().filter(|r| r.last < self.proved).map(|r| r.last - r.first + 1);
        let (records, proved) = (size.saturating_sub(retired), self.proved.saturating_sub(gone.sum()));
        self.report.logs.push(Proved {
            node: self.subject.node.to_owned(),
            incarnation: self.subject.incarnation,
            size,
            records,
            proved,
            retired: self.tombstones.retired,
            witnessed,
            first: self.first,
            last: self.last,
            root: (!self.broken).then(|| self.tree.root().to_string()),
            ended: self.ended,
        });
    }

    fn problem(&mut self, trouble: Trouble) {
        self.report.problem(trouble);
    }

    /// Something after which the tree is not the one that was signed.
    pub(super) fn breach(&mut self, trouble: Trouble) {
        self.broken = true;
        self.problem(trouble);
    }
}

pub(super) fn said(size: u64, from: &From) -> String {
    match from {
        From::Held(file) => format!("the checkpoint in `{}`", file.display()),
        From::Cited(by) => format!("what incarnation {by} found"),
        From::Own => format!("the log's checkpoint of {size} records"),
    }
}
