//! Retiring segments: what is to go must be what was signed; it is recorded, a tombstone stands for it durably, and only
//! then it is removed.

use super::{Worker, settled, stock::Stored};
use crate::audit::{
    archive,
    checkpoint::{self, Head, Notes},
    note::Note,
    query::{self, Part, Parts},
    record::{Body, Predecessor, System},
    segment::Name,
    tombstone::{self, BEGINNING_BYTES_MAX, Tombstone},
    tree::{Frontier, Hash},
};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use std::{
    fs::{self, File},
    io::{self, BufReader},
    ops::Range,
    path::Path,
    sync::atomic::Ordering,
};
use uuid::Uuid;

/// Most segments that are retired with one reading of the log.
pub(super) const BATCH_MAX: usize = 16;

/// A segment that is about to be retired, as it is read.
struct Grave<'a> {
    segment: &'a Stored,
    rule: &'a str,
    runs: Vec<(Range<u64>, Frontier)>,
    beginning: Option<String>,
    times: Option<(Timestamp, Timestamp)>,
}

impl<'a> Grave<'a> {
    fn new((segment, rule): &'a (&'a Stored, String)) -> Self {
        let records = segment.records();
        let runs = tombstone::runs(records.start, records.end - 1);
        let runs = runs.into_iter().map(|run| (run, Frontier::default())).collect();
        Self { segment, rule, runs, beginning: None, times: None }
    }

    fn add(&mut self, part: &Part) -> io::Result<()> {
        let Some(line) = part.line.as_ref().filter(|line| self.segment.records().contains(&line.head.seq)) else {
            return Ok(());
        };
        let (at, index) = (line.head.at, line.head.seq);
        self.times = Some((self.times.map_or(at, |(first, _)| first), at));
        if index == 0 {
            let record = String::from_utf8(line.bytes.clone()).map_err(io::Error::other)?;
            self.beginning = Some(record).filter(|record| record.len() <= BEGINNING_BYTES_MAX);
        }
        for (run, tree) in &mut self.runs {
            if run.contains(&index) {
                tree.push(part.hash);
            }
        }
        Ok(())
    }

    /// What stands for it, if all of it was read.
    fn tombstone(self, origin: &str, at: Timestamp) -> Option<Tombstone> {
        let records = self.segment.records();
        let whole = self.runs.iter().all(|(run, tree)| tree.size() == run.end - run.start);
        let begun = records.start > 0 || self.beginning.is_some();
        let (first, last) = (records.start, records.end - 1);
        let hashes = self.runs.iter().map(|(_, tree)| tree.root()).collect();
        let (beginning, rule) = (self.beginning, self.rule.to_owned());
        let tombstone =
            Tombstone { origin: origin.to_owned(), first, last, times: self.times?, at, rule, beginning, hashes };
        (whole && begun).then_some(tombstone)
    }
}

impl Worker {
    /// Retires segments of one incarnation, oldest first.
    pub(super) fn retire(&mut self, due: &[(&Stored, String)]) -> io::Result<()> {
        let Some((first, _)) = due.first() else { return Ok(()) };
        let origin = checkpoint::origin(&self.node, first.incarnation);
        let end = due.iter().map(|(segment, _)| segment.records().end).max().unwrap_or(0);
        let graves = due.iter().map(Grave::new).collect();
        let Some(graves) = self.read(first, &origin, end, graves)? else {
            // The next checkpoint covers it.
            return Ok(());
        };
        for grave in graves {
            if self.shared.stopped() {
                break;
            }
            let segment = grave.segment;
            let Some(tombstone) = grave.tombstone(&origin, (self.now)()) else {
                // A beginning that no tombstone can keep stays where it is.
                continue;
            };
            let note = tombstone.signed(self.signer.as_ref())?;
            let text = note.to_string();
            self.step("retire")?;
            self.record(segment, &tombstone, &text)?;
            self.step("recorded")?;
            self.remove(segment, Some((&tombstone, &note)))?;
        }
        Ok(())
    }

    /// Reads an incarnation up to something that was signed and covers what is to go. `None` if nothing does yet, if it is
    /// damaged, and once this is to stop.
    fn read<'a>(
        &mut self,
        of: &Stored,
        origin: &str,
        end: u64,
        mut graves: Vec<Grave<'a>>,
    ) -> io::Result<Option<Vec<Grave<'a>>>> {
        let Some((size, root)) = self.stated(of.incarnation, &of.home, origin, end)? else { return Ok(None) };
        let mut tree = Frontier::default();
        for part in Parts::of_incarnation(of.incarnation, &of.home)? {
            if self.shared.stopped() {
                return Ok(None);
            }
            let part = match part {
                Ok(part) => part,
                Err(problem) => return Ok(self.damaged(of, &problem.to_string())),
            };
            let length = part.leaves.end - part.leaves.start;
            if part.leaves.start != tree.size() || !tree.push_subtree(length, part.hash) {
                return Ok(self.damaged(of, &format!("record {} is missing", tree.size())));
            }
            graves.iter_mut().try_for_each(|grave| grave.add(&part))?;
            if tree.size() >= size {
                break;
            }
        }
        if tree.size() == size && tree.root() == root {
            return Ok(Some(graves));
        }
        Ok(self.damaged(of, &format!("the first {size} records are others")))
    }

    /// An incarnation that is not as it was signed stays as evidence; the others are not kept by it.
    fn damaged<T>(&mut self, of: &Stored, what: &str) -> Option<T> {
        let folder = of.home.display();
        let message = format!("`{folder}` is not as it was signed, so nothing of it is removed: {what}");
        tracing::error!("{message}");
        self.damaged.insert(of.incarnation, message);
        None
    }

    /// The first statement about a tree that has these records: a checkpoint, or what a later incarnation found.
    fn stated(&self, incarnation: Uuid, home: &Path, origin: &str, end: u64) -> io::Result<Option<(u64, Hash)>> {
        match File::open(home.join(checkpoint::ALL)) {
            Ok(file) => {
                for found in Notes::new(BufReader::new(file)) {
                    let head = found?.note.and_then(|note| Head::parse(&note.text));
                    if let Some(head) = head.filter(|head| head.size >= end && head.origin == origin) {
                        return Ok(Some((head.size, head.root)));
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        for (id, folder) in query::folders(&self.folder)? {
            let beginning = query::beginning(id, &folder, archive::of(&folder).as_slice());
            let body = beginning.and_then(|(head, bytes)| Body::parse(head.kind, &bytes).ok());
            let Some(Body::System(System::Started { predecessor, others, .. })) = body else { continue };
            let cited =
                |cited: Predecessor| cited.tree.filter(|tree| cited.incarnation == incarnation && tree.size >= end);
            let tree = predecessor.into_iter().chain(others).find_map(cited);
            if let Some((size, root)) = tree.and_then(|tree| Some((tree.size, Hash::parse(&tree.root)?))) {
                return Ok(Some((size, root)));
            }
        }
        Ok(None)
    }

    /// Says in the log what is about to be removed.
    fn record(&self, segment: &Stored, tombstone: &Tombstone, text: &str) -> io::Result<()> {
        let digest = digest(&SHA256, text.as_bytes());
        let hash = digest.as_ref().iter().fold(String::from("sha256:"), |text, byte| format!("{text}{byte:02x}"));
        let (log, rule) = (segment.incarnation, tombstone.rule.clone());
        let record = System::Retired { log, first: tombstone.first, last: tombstone.last, rule, tombstone: hash };
        self.log.system_blocking(&record).map_err(io::Error::other)
    }

    /// Removes a segment, for which a tombstone stands from now on or stands already, unless it is on hold.
    pub(super) fn remove(&self, segment: &Stored, tombstone: Option<(&Tombstone, &Note)>) -> io::Result<()> {
        let remove = || {
            if let Some((tombstone, note)) = tombstone {
                let path = segment.home.join(tombstone.file());
                crate::state::replace(&path, note.to_string().as_bytes(), 0o600)?;
                settled(&path)?;
            }
            self.step("tombstone")?;
            // While it was being packed or moved, it may have been there twice; the copy goes first.
            let elsewhere = archive::of(&segment.home);
            for folder in elsewhere.as_deref().into_iter().chain([segment.home.as_path()]) {
                for packed in [true, false] {
                    let path = folder.join(Name { packed, ..segment.name }.file());
                    match fs::remove_file(&path) {
                        Ok(()) => settled(&path)?,
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
                self.step("removed")?;
            }
            self.shared.counters.retired.fetch_add(1, Ordering::Relaxed);
            tracing::info!(
                incarnation = %segment.incarnation, first = segment.name.first, last = segment.name.last,
                "a segment of the audit log is retired"
            );
            Ok(())
        };
        match self.log.subjects() {
            // Whatever is put on hold meanwhile is looked at first.
            Some(subjects) => subjects.unless_changed(self.held.holds(), remove).unwrap_or(Ok(())),
            None => remove(),
        }
    }
}
