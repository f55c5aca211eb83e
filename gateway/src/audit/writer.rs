//! The one writer of an incarnation: takes what waits, writes it with one write and one sync, then wakes who waits.
//!
//! While the disk refuses, what announces an effect is refused at once, what happened already is kept, and the disk
//! is tried again until it takes all of that.

use super::{
    early::Early,
    log::Counters,
    notary::{Due, Notary},
    queue::{CALL_BYTES, Duty, Entry, Promise, Queue, Room},
    record::{Kind, System, tail},
    segment::{Disk, Name, Segment},
    tree::{Frontier, Hash},
};
use current::Current;
use failing::{Failure, PROBE_EVERY, tell};
use jiff::{SignedDuration, Timestamp};
use std::{
    io, mem,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use syncer::Syncer;

mod current;
mod failing;
pub(crate) mod pen;
mod syncer;

/// How often counted refusals become summaries.
const SUMMARY_EVERY: Duration = Duration::from_secs(1);
/// Longest time that the writer lets a batch gather if syncs are slow.
const GATHER_MAX: Duration = Duration::from_millis(5);
/// A batch gathers for this part of the last sync's time.
const GATHER_PART: u32 = 20;
/// A buffer that grew beyond this shrinks again.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;
/// A clock that goes back by less is not worth a record: times stand still meanwhile.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(1);
/// How often a segment's name is tried again with another suffix.
const NAMES_MAX: u32 = 64;

/// See the file's first line.
pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) early: Arc<Early>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) disk: Box<dyn Disk>,
    /// Whether an accepted record was synced.
    pub(crate) durable: bool,
    pub(crate) segment_bytes_max: u64,
    /// The members of every head that never change, as JSON.
    pub(crate) identity: String,
    /// Syncs behind the writer's back, unless the log is durable.
    syncer: Option<Syncer>,
    /// Signs the tree now and then.
    pub(crate) notary: Option<Notary>,
    /// Slow writes by callers, one after another.
    slow: u32,
    /// Callers leave the disk to the thread until then.
    slow_until: Option<Instant>,
    /// What callers take turns with.
    batch: Vec<Entry>,
    state: State,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// Segments that could not be closed yet, with the number after their last record.
    unclosed: Vec<(Current, u64)>,
    /// The tree over all records that were accepted; its size is the next record's number.
    tree: Frontier,
    /// The newest `at`.
    last_at: Timestamp,
    /// Bytes on disk that are promised to calls whose intent is written.
    promised: u64,
    failing: Option<Failure>,
    /// What is owed while the disk refuses.
    owed: Vec<Entry>,
    buffer: Vec<u8>,
    /// How long the last sync took.
    sync_took: Duration,
}

impl Writer {
    pub(crate) fn new(
        queue: Arc<Queue>,
        early: Arc<Early>,
        counters: Arc<Counters>,
        disk: Box<dyn Disk>,
        (durable, segment_bytes_max): (bool, u64),
        identity: String,
    ) -> io::Result<Self> {
        let syncer = if durable { None } else { Some(Syncer::start()?) };
        let state = State::default();
        let (notary, slow, slow_until, batch) = (None, 0, None, Vec::new());
        Ok(Self {
            queue,
            early,
            counters,
            disk,
            durable,
            segment_bytes_max,
            identity,
            syncer,
            notary,
            slow,
            slow_until,
            batch,
            state,
        })
    }

    /// Writes the first record; unlike later ones, it must succeed at once.
    pub(crate) fn begin(&mut self, started: &System) -> io::Result<()> {
        self.rotate()?;
        let entries = vec![own(started)];
        self.commit(&entries, Some(0))?;
        self.accept(entries);
        Ok(())
    }

    /// From now on the tree is signed; its first checkpoint is there before this returns.
    pub(crate) fn sign_with(&mut self, mut notary: Notary) -> io::Result<()> {
        notary.start(&self.state.tree)?;
        self.notary = Some(notary);
        Ok(())
    }

    /// How long the thread may wait for records, and how long a batch may gather then.
    fn patience(&self, summarised: Instant) -> (Duration, Duration) {
        let summary = SUMMARY_EVERY.saturating_sub(summarised.elapsed());
        let patience = match &self.state.failing {
            Some(failure) => summary.min(PROBE_EVERY.saturating_sub(failure.probed.elapsed())),
            None => summary,
        };
        (patience, (self.state.sync_took / GATHER_PART).min(GATHER_MAX))
    }

    fn handle(&mut self, batch: Vec<Entry>) {
        if self.state.failing.is_none() {
            return self.write(batch);
        }
        self.endure(batch);
        if self.state.failing.as_ref().is_some_and(|failure| failure.probed.elapsed() >= PROBE_EVERY) {
            self.recover();
        }
    }

    fn write(&mut self, mut batch: Vec<Entry>) {
        while !batch.is_empty() {
            let fitting = self.fitting(&batch);
            if fitting == 0 {
                if let Err(error) = self.rotate() {
                    return self.fail(&error, batch);
                }
                continue;
            }
            let mut rest = batch.split_off(fitting);
            self.write_all(&mut batch);
            if self.state.failing.is_some() {
                return self.endure(rest);
            }
            mem::swap(&mut batch, &mut rest);
        }
    }

    /// Writes what fits into the current segment, and leaves the vector empty.
    fn write_all(&mut self, batch: &mut Vec<Entry>) {
        match self.commit(batch, Some(0)) {
            Ok(()) => self.accept(batch.drain(..)),
            Err(error) => self.fail(&error, mem::take(batch)),
        }
    }

    /// How many of these go into the current segment.
    fn fitting(&self, batch: &[Entry]) -> usize {
        let Some(current) = self.state.current.as_ref().filter(|current| !current.broken) else { return 0 };
        let mut bytes = current.bytes;
        let fits = |entry: &&Entry| {
            bytes += (entry.tail.len() + tail::HEAD_BYTES_MAX) as u64;
            bytes <= self.segment_bytes_max
        };
        let fitting = batch.iter().take_while(fits).count();
        if current.bytes == 0 { fitting.max(1) } else { fitting }
    }

    /// Writes these records, whole or not at all. Unless they are written into room that was promised, it makes sure
    /// that all promises can still be kept, with so many bytes to `spare`.
    fn commit(&mut self, entries: &[Entry], spare: Option<u64>) -> io::Result<()> {
        let mut buffer = mem::take(&mut self.state.buffer);
        buffer.clear();
        buffer.shrink_to(BUFFER_BYTES_KEPT);
        let mut promised = self.state.promised;
        let mut at = self.state.last_at;
        let mut ends = Vec::with_capacity(entries.len());
        for (entry, seq) in entries.iter().zip(self.state.tree.size()..) {
            // What is owed is written late, and the clock may go back.
            at = if entry.sets_clock { entry.at } else { at.max(entry.at) };
            tail::line(&mut buffer, entry.kind, seq, at, &self.identity, &entry.tail);
            ends.push(buffer.len());
            match entry.promise {
                Promise::None | Promise::Uses => {}
                Promise::Begins => promised += CALL_BYTES as u64,
                Promise::Ends => promised = promised.saturating_sub(CALL_BYTES as u64),
            }
        }
        let current = self.state.current.as_mut().ok_or(io::ErrorKind::NotFound)?;
        if let Some(spare) = spare {
            current.reserve(buffer.len() as u64 + promised + spare)?;
        } else if current.reserves && current.bytes + buffer.len() as u64 > current.reserved_to {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(syncer) = &self.syncer
            && let Err(error) = syncer.check()
        {
            current.broken = true;
            return Err(error);
        }
        let took = current.write(&buffer, self.durable)?;
        if let Some(syncer) = &self.syncer {
            syncer.written();
        }
        self.counters.bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        if let Some(took) = took {
            self.counters.syncs.fetch_add(1, Ordering::Relaxed);
            self.state.sync_took = took;
        }
        let mut rest = buffer.as_slice();
        let mut from = 0;
        for end in ends {
            let (line, after) = rest.split_at(end - from);
            // A leaf is a record without its newline.
            self.state.tree.push(Hash::of_leaf(line.strip_suffix(b"\n").unwrap_or(line)));
            (rest, from) = (after, end);
        }
        self.state.last_at = at;
        self.state.promised = promised;
        self.state.buffer = buffer;
        Ok(())
    }

    /// Has the tree signed when that is due.
    fn notarise(&mut self, now: bool) {
        let (Some(notary), Some(current)) = (&mut self.notary, &self.state.current) else { return };
        if !notary.due(self.state.tree.size(), now) {
            return;
        }
        // What is not durable yet is synced first: a checkpoint never covers what a power cut takes away.
        let unsynced = if self.durable { None } else { current.segment.twin().ok() };
        if self.durable || unsynced.is_some() {
            notary.submit(Due { tree: self.state.tree.clone(), unsynced });
        }
    }

    fn accept(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let mut room = Room::default();
        for entry in entries {
            room = room.with(entry.room);
            self.counters.record(entry.kind);
            if let Some(waiter) = entry.waiter {
                // A caller that hung up does not listen any more.
                let _ = waiter.send(Ok(()));
            }
        }
        self.queue.give_back(room);
    }

    /// Begins a new segment. The old one stays current until the new one can keep every promise.
    fn rotate(&mut self) -> io::Result<()> {
        let (name, segment) = self.create()?;
        let mut new = Current::new(name, segment);
        if let Err(error) = new.reserve(self.state.promised) {
            // The empty segment does no harm if it stays.
            let _ = self.disk.remove(&new.name.file());
            return Err(error);
        }
        if let Some(syncer) = &self.syncer {
            syncer.follow(new.segment.as_ref())?;
        }
        if let Some(old) = self.state.current.replace(new) {
            self.state.unclosed.push((old, self.state.tree.size()));
            self.close();
        }
        Ok(())
    }

    /// Cuts what does not count off the segments that are over, and gives them their last names.
    fn close(&mut self) {
        let disk = &mut self.disk;
        self.state.unclosed.retain_mut(|(old, next)| {
            let done = old.close(*next, disk.as_mut());
            if let Err(error) = &done {
                tracing::warn!(%error, segment = old.name.file(), "a segment could not be closed cleanly");
            }
            done.is_err()
        });
    }

    fn create(&mut self) -> io::Result<(Name, Box<dyn Segment>)> {
        for again in 0..NAMES_MAX {
            let name = Name::open(self.state.tree.size(), again);
            match self.disk.create(&name.file()) {
                Ok(segment) => return Ok((name, segment)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// What is done every second.
    fn tick(&mut self) {
        if self.state.failing.is_some() {
            return;
        }
        if let Some(current) = &mut self.state.current
            && !self.disk.is_there(&current.name.file())
        {
            current.broken = true;
            return self.fail(&io::Error::new(io::ErrorKind::NotFound, "the segment was removed"), Vec::new());
        }
        self.close();
        let mut own_records = Vec::new();
        let back = self.state.last_at.duration_since(Timestamp::now());
        if back > CLOCK_STEP {
            let record = own(&System::ClockSetBack { by_ms: u64::try_from(back.as_millis()).unwrap_or(0) });
            own_records.push(Entry { sets_clock: true, ..record });
        }
        own_records.extend(self.early.take().iter().map(|summary| entry(Kind::Summary, tail::plain(summary))));
        self.write(own_records);
    }

    fn finish(&mut self) {
        let entries = self.queue.end();
        if self.state.failing.is_some() {
            self.recover();
        }
        self.handle(entries);
        let calls_open = Room::ALL.calls.saturating_sub(self.queue.look().1.calls) as u64;
        self.handle(vec![own(&System::Stopped { calls_open })]);
        for entry in &mut self.state.owed {
            tell(entry);
        }
        self.notarise(true);
        if let Some(current) = self.state.current.take() {
            self.state.unclosed.push((current, self.state.tree.size()));
        }
        self.close();
        if let Some(notary) = self.notary.take() {
            notary.finish();
        }
    }
}

/// Whatever ends the writer, from then on nobody waits for it.
struct Ending(Arc<Queue>);

impl Drop for Ending {
    fn drop(&mut self) {
        drop(self.0.end());
    }
}

fn own(record: &System) -> Entry {
    entry(Kind::System, tail::plain(record))
}

/// A record of the writer itself.
fn entry(kind: Kind, tail: Vec<u8>) -> Entry {
    Entry {
        kind,
        at: Timestamp::now(),
        tail,
        duty: Duty::Owed,
        promise: Promise::None,
        waiter: None,
        room: Room::default(),
        since: Instant::now(),
        sets_clock: false,
    }
}
