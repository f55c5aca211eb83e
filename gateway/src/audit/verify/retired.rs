//! What was retired: whether each tombstone counts, what it stands for, and what can't be checked any more because of it.

use super::{
    From,
    report::{Report, Retired, Trouble, What},
    subject::{Pass, said},
};
use crate::audit::{
    checkpoint,
    note::VerifierKey,
    tombstone::{self, Tombstone, Void},
    tree::{Frontier, Hash},
};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

/// The tombstones of an incarnation that count, in order, and what became of them.
#[derive(Default)]
pub(super) struct Tombstones {
    waiting: VecDeque<(PathBuf, Tombstone)>,
    /// One whose records are there all the same, and the subtrees over those that were read.
    standing: Option<(PathBuf, Tombstone, Vec<Frontier>)>,
    /// What they stand for, and how many records that is.
    pub(super) retired: Vec<Retired>,
    pub(super) records: u64,
    /// The log's own checkpoints that can't be checked.
    unchecked: u64,
}

impl Tombstones {
    /// Reads those of a folder; what does not count is a problem.
    pub(super) fn open(directory: &Path, origin: &str, keys: &[VerifierKey], report: &mut Report) -> Self {
        let mut found = Self::default();
        let listed = match tombstone::list(directory) {
            Ok(listed) => listed,
            Err(error) => {
                report.problem(Trouble::of_file(directory, What::Unreadable(error.to_string())));
                return found;
            }
        };
        for (first, last, path) in listed {
            match opened(&path, (first, last), origin, keys) {
                Ok(tombstone) => found.waiting.push_back((path, tombstone)),
                Err(what) => report.problem(Trouble::of_file(&path, what)),
            }
        }
        found
    }
}

fn opened(path: &Path, (first, last): (u64, u64), origin: &str, keys: &[VerifierKey]) -> Result<Tombstone, What> {
    let note = tombstone::note(path).map_err(|error| What::Unreadable(error.to_string()))?;
    let void = |void: Void| What::Tombstone(void.to_string());
    let found = Tombstone::open(&note.ok_or_else(|| void(Void::Malformed))?, keys).map_err(void)?;
    if found.origin != origin {
        return Err(void(Void::Foreign(found.origin)));
    }
    if (found.first, found.last) != (first, last) {
        return Err(void(Void::Misnamed { first: found.first, last: found.last }));
    }
    Ok(found)
}

impl Pass<'_> {
    /// Lets tombstones stand for what is missing before this record.
    pub(super) fn retired_before(&mut self, first: u64) {
        while let Some((path, tombstone)) =
            self.tombstones.waiting.pop_front_if(|(_, tombstone)| tombstone.first < first)
        {
            if tombstone.first < self.next || tombstone.end() > first {
                self.breach(Trouble::of_file(&path, What::TombstoneOverlap(tombstone.first, tombstone.last)));
            } else {
                self.stand_in(&path, tombstone);
            }
        }
    }

    fn stand_in(&mut self, path: &Path, tombstone: Tombstone) {
        if tombstone.first > self.next {
            let what = What::SegmentMissing { first: self.next, last: tombstone.first - 1 };
            self.breach(Trouble::of_file(path, what));
        }
        if let Some(record) = &tombstone.beginning {
            self.next = 0;
            self.check_record(path, 1, record.as_bytes());
        }
        let subtrees = tombstone.subtrees();
        let Tombstone { first, last, times: (from, to), at, rule, .. } = tombstone;
        self.next = last.saturating_add(1);
        self.first = self.first.or(Some(from));
        self.last = Some(self.last.map_or(to, |last| last.max(to)));
        self.tombstones.records += self.next - first;
        self.tombstones.retired.push(Retired { first, last, from, to, at, rule, tombstone: path.to_owned() });
        for (leaves, hash) in subtrees {
            if !self.broken && !self.tree.push_subtree(leaves.end - leaves.start, hash) {
                self.breach(Trouble::of_file(path, What::Tombstone(Void::Malformed.to_string())));
            }
            if !self.broken {
                self.compare(path);
            }
        }
    }

    /// A segment begins; if there is a tombstone for it, its records must be those that were retired.
    pub(super) fn stands(&mut self, first: u64, last: Option<u64>) {
        let same = |(_, tombstone): &mut (PathBuf, Tombstone)| tombstone.first == first && Some(tombstone.last) == last;
        self.tombstones.standing = self.tombstones.waiting.pop_front_if(same).map(|(path, tombstone)| {
            let runs = vec![Frontier::default(); tombstone.subtrees().len()];
            (path, tombstone, runs)
        });
    }

    /// Whether a segment was retired since it was listed; then its tombstone stands for it.
    pub(super) fn retired_meanwhile(&mut self, first: u64, last: Option<u64>) -> bool {
        let Some(last) = last else { return false };
        let path = self.subject.directory.join(tombstone::file(first, last));
        let origin = checkpoint::origin(self.subject.node, self.subject.incarnation);
        self.tombstones.standing = None;
        match opened(&path, (first, last), &origin, self.subject.keys) {
            Ok(tombstone) => self.stand_in(&path, tombstone),
            Err(_) => return false,
        }
        true
    }

    /// A record of it was read.
    pub(super) fn stood(&mut self, index: u64, record: &[u8]) {
        let Some((_, tombstone, runs)) = &mut self.tombstones.standing else { return };
        let leaf = Hash::of_leaf(record);
        for ((leaves, _), run) in tombstone.subtrees().iter().zip(runs) {
            if leaves.contains(&index) {
                run.push(leaf);
            }
        }
    }

    /// The segment is over.
    pub(super) fn stood_to_the_end(&mut self) {
        let Some((path, tombstone, runs)) = self.tombstones.standing.take() else { return };
        let same = tombstone
            .subtrees()
            .into_iter()
            .zip(&runs)
            .all(|((leaves, hash), run)| run.size() == leaves.end - leaves.start && run.root() == hash);
        let (first, last) = (tombstone.first, tombstone.last);
        if same {
            self.report.note(Trouble::of_file(&path, What::StillThere { first, last }));
        } else {
            self.breach(Trouble::of_file(&path, What::TombstoneDiffers { first, last }));
        }
    }

    /// Somebody stated a tree that ends among what was retired, so that it can't be computed any more.
    pub(super) fn unchecked(&mut self, size: u64, from: &From) {
        if self.tombstones.retired.iter().any(|retired| retired.first < size && size <= retired.last) {
            match from {
                From::Own => self.tombstones.unchecked += 1,
                From::Held(_) | From::Cited(_) => {
                    let what = What::NotCheckable { size, by: said(size, from) };
                    self.report.note(Trouble::of_file(self.subject.directory, what));
                }
            }
        }
    }

    /// What was retired at the end of all must be covered by somebody, too.
    pub(super) fn retired_at_the_end(&mut self) {
        self.retired_before(u64::MAX);
        let unchecked = self.tombstones.unchecked;
        if unchecked > 0 {
            self.report.note(Trouble::of_file(self.subject.directory, What::OwnNotCheckable(unchecked)));
        }
        if let Some(last) = self.tombstones.retired.last()
            && !self.broken
            && last.last >= self.proved
        {
            let what = What::TombstoneUnproved { first: last.first, last: last.last };
            self.breach(Trouble::of_file(&last.tombstone.clone(), what));
        }
    }
}
