//! The one writer of an incarnation: takes what waits, writes it with one write and one sync, then wakes who waits.
//!
//! While the disk refuses, what announces an effect is refused at once, what happened already is kept, and the disk
//! is tried again until it takes all of that.

use super::{
    early::Early,
    log::Counters,
    queue::{CALL_BYTES, Duty, Entry, Promise, Queue, Room},
    record::{Kind, System, tail},
    segment::{Disk, Name, Segment},
};
use current::Current;
use failing::{Failure, PROBE_EVERY, tell};
use jiff::Timestamp;
use std::{
    io, mem,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use syncer::Syncer;

mod current;
mod failing;
mod syncer;

/// How often counted refusals become summaries.
const SUMMARY_EVERY: Duration = Duration::from_secs(1);
/// Longest time that the writer lets a batch gather if syncs are slow.
const GATHER_MAX: Duration = Duration::from_millis(5);
/// A batch gathers for this part of the last sync's time.
const GATHER_PART: u32 = 20;
/// A buffer that grew beyond this shrinks again.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;
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
    state: State,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    next_seq: u64,
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
        Ok(Self { queue, early, counters, disk, durable, segment_bytes_max, identity, syncer, state })
    }

    /// Writes the first record; unlike later ones, it must succeed at once.
    pub(crate) fn begin(&mut self, started: &System) -> io::Result<()> {
        self.rotate()?;
        let entries = vec![own(started)];
        self.commit(&entries, Some(0))?;
        self.accept(entries);
        Ok(())
    }

    /// Runs until the log is stopped.
    pub(crate) fn run(mut self) {
        let _ending = Ending(Arc::clone(&self.queue));
        let mut batch = Vec::new();
        let mut summarised = Instant::now();
        let mut taken = 0;
        loop {
            self.queue.wait(self.patience(summarised));
            // A slow sync is better shared: calls that are open will want one soon.
            self.queue.gather(taken, (self.state.sync_took / GATHER_PART).min(GATHER_MAX));
            let stop = self.queue.take(&mut batch);
            taken = batch.len();
            let last = stop && batch.is_empty();
            self.handle(mem::take(&mut batch));
            if summarised.elapsed() >= SUMMARY_EVERY || last {
                summarised = Instant::now();
                self.tick();
            }
            if last {
                return self.finish();
            }
        }
    }

    fn patience(&self, summarised: Instant) -> Duration {
        let summary = SUMMARY_EVERY.saturating_sub(summarised.elapsed());
        match &self.state.failing {
            Some(failure) => summary.min(PROBE_EVERY.saturating_sub(failure.probed.elapsed())),
            None => summary,
        }
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
            match self.commit(&batch, Some(0)) {
                Ok(()) => self.accept(batch),
                Err(error) => {
                    batch.append(&mut rest);
                    return self.fail(&error, batch);
                }
            }
            batch = rest;
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
        let mut seq = self.state.next_seq;
        let mut promised = self.state.promised;
        for entry in entries {
            tail::line(&mut buffer, entry.kind, seq, entry.at, &self.identity, &entry.tail);
            seq += 1;
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
        self.state.next_seq = seq;
        self.state.promised = promised;
        self.state.buffer = buffer;
        Ok(())
    }

    fn accept(&mut self, entries: Vec<Entry>) {
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
            let _ = self.disk.remove(&new.name);
            return Err(error);
        }
        if let Some(syncer) = &self.syncer {
            syncer.follow(new.segment.as_ref())?;
        }
        if let Some(mut old) = self.state.current.replace(new)
            && let Err(error) = old.segment.truncate(old.bytes).and_then(|()| old.segment.sync())
        {
            tracing::warn!(%error, segment = old.name, "a segment could not be closed cleanly");
        }
        Ok(())
    }

    fn create(&mut self) -> io::Result<(String, Box<dyn Segment>)> {
        for again in 0..NAMES_MAX {
            let name = Name { first: self.state.next_seq, again }.file();
            match self.disk.create(&name) {
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
            && !self.disk.is_there(&current.name)
        {
            current.broken = true;
            return self.fail(&io::Error::new(io::ErrorKind::NotFound, "the segment was removed"), Vec::new());
        }
        let summaries = self.early.take().iter().map(|summary| entry(Kind::Summary, tail::plain(summary))).collect();
        self.write(summaries);
    }

    fn finish(mut self) {
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
        if let Some(mut current) = self.state.current.take()
            && let Err(error) = current.segment.truncate(current.bytes).and_then(|()| current.segment.sync())
        {
            tracing::warn!(%error, segment = current.name, "the last segment could not be closed cleanly");
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
    }
}
