//! What waits for the writer, and the room that is promised to pending calls. The lock is held for a push or a take.

use super::{Unrecorded, record::Kind};
use jiff::Timestamp;
use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Room that every open call is promised, in memory and on disk: its `answered` and `closed`, or a small `refused`.
pub(crate) const CALL_BYTES: usize = 2048;
/// Most calls that may be open at once.
const CALLS_MAX: usize = 16 * 1024;
/// Most bytes that may wait in memory or be promised to open calls.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most records that may wait besides those that open calls were promised.
const EXTRA_MAX: usize = 16 * 1024;

/// What becomes of a record when the disk refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// It is refused: what it announces won't happen.
    Refusable,
    /// It is kept until the disk takes it: it happened.
    Owed,
}

/// What a record means for the room that its call was promised on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// None.
    None,
    /// From here on there must be room for the rest of the call.
    Begins,
    /// It is written into that room.
    Uses,
    /// It is written into that room and gives the rest of it back.
    Ends,
}

/// One record on its way.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) at: Timestamp,
    pub(crate) tail: Vec<u8>,
    pub(crate) duty: Duty,
    pub(crate) promise: Promise,
    pub(crate) waiter: Option<oneshot::Sender<Result<(), Unrecorded>>>,
    /// Room in memory that is free again once the record is written: bytes, calls, extra records.
    pub(crate) room: Room,
    pub(crate) since: Instant,
    /// Times go on from this record's, even if that is back.
    pub(crate) sets_clock: bool,
}

/// An amount of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) bytes: usize,
    pub(crate) calls: usize,
    pub(crate) extra: usize,
}

impl Room {
    /// What an open call holds.
    pub(crate) const CALL: Self = Self { bytes: CALL_BYTES, calls: 1, extra: 0 };
    /// What is free at first.
    pub(crate) const ALL: Self = Self { bytes: BYTES_MAX, calls: CALLS_MAX, extra: EXTRA_MAX };

    /// What a record of this length needs besides.
    pub(crate) fn record(bytes: usize) -> Self {
        Self { bytes, calls: 0, extra: 1 }
    }

    /// Both together.
    pub(crate) fn with(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, calls: self.calls + other.calls, extra: self.extra + other.extra }
    }

    fn less(self, other: Self) -> Option<Self> {
        Some(Self {
            bytes: self.bytes.checked_sub(other.bytes)?,
            calls: self.calls.checked_sub(other.calls)?,
            extra: self.extra.checked_sub(other.extra)?,
        })
    }
}

/// Why and since when the log can't be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// What the disk said.
    pub error: String,
}

/// See the file's first line.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    entries: Vec<Entry>,
    all: Room,
    free: Room,
    failing: Option<Failing>,
    /// Refused at once while the log failed.
    refused: u64,
    /// Ran without an accepted record, and those of them that have none at all.
    ran_late: u64,
    lost: u64,
    last_error: Option<String>,
    /// The writer waits to be woken.
    asleep: bool,
    /// How many entries it wants before it is woken.
    wanted: usize,
    /// Whoever queues a record sees to it that it is written.
    shared: bool,
    stop: bool,
    ended: bool,
}

impl Queue {
    pub(crate) fn new(room: Room) -> Self {
        let state = State {
            entries: Vec::new(),
            all: room,
            free: room,
            failing: None,
            refused: 0,
            ran_late: 0,
            lost: 0,
            last_error: None,
            asleep: false,
            wanted: 1,
            shared: false,
            stop: false,
            ended: false,
        };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Takes room for a call; refused at once while the log fails.
    pub(crate) fn open_call(&self) -> Result<(), Unrecorded> {
        let mut state = self.lock();
        state.check()?;
        state.free = state.free.less(Room::CALL).ok_or(Unrecorded::NoRoom)?;
        Ok(())
    }

    /// Takes room for a call that was refused because the log fails, and may run all the same.
    pub(crate) fn open_late(&self) -> Result<(), Unrecorded> {
        let mut state = self.lock();
        if state.stop {
            return Err(Unrecorded::Closed);
        }
        state.refused = state.refused.saturating_sub(1);
        state.free = state.free.less(Room::CALL).ok_or(Unrecorded::NoRoom)?;
        Ok(())
    }

    /// How many were refused at once since this was asked last.
    pub(crate) fn take_refused(&self) -> u64 {
        mem::take(&mut self.lock().refused)
    }

    /// Gives room back.
    pub(crate) fn give_back(&self, room: Room) {
        let mut state = self.lock();
        state.free = state.free.with(room);
    }

    /// Queues a record that may be refused, in room of its own.
    pub(crate) fn push(&self, mut entry: Entry) -> Result<(), Unrecorded> {
        let room = Room::record(entry.tail.len());
        let mut state = self.lock();
        state.check()?;
        state.free = state.free.less(room).ok_or(Unrecorded::NoRoom)?;
        entry.room = entry.room.with(room);
        self.put(state, entry);
        Ok(())
    }

    /// Queues a record in room of its own, but leaves half of all that there is to those on which an answer depends.
    pub(crate) fn push_spare(&self, mut entry: Entry) -> Result<(), Unrecorded> {
        let room = Room::record(entry.tail.len());
        let mut state = self.lock();
        state.check()?;
        let free =
            state.free.less(room).filter(|free| free.bytes >= state.all.bytes / 2 && free.extra >= state.all.extra / 2);
        state.free = free.ok_or(Unrecorded::NoRoom)?;
        entry.room = entry.room.with(room);
        self.put(state, entry);
        Ok(())
    }

    /// Queues a record of what happens whether or not the disk takes it now, in room of its own.
    pub(crate) fn push_late(&self, mut entry: Entry) -> Result<(), Unrecorded> {
        let room = Room::record(entry.tail.len());
        let mut state = self.lock();
        if state.stop {
            return Err(Unrecorded::Closed);
        }
        state.free = state.free.less(room).ok_or(Unrecorded::NoRoom)?;
        entry.room = entry.room.with(room);
        self.put(state, entry);
        Ok(())
    }

    /// A call runs without an accepted record; `lost` if there will be none.
    pub(crate) fn ran_late(&self, lost: bool) {
        let mut state = self.lock();
        state.ran_late += 1;
        state.lost += u64::from(lost);
    }

    /// How many calls ran without an accepted record since this was asked last, and of how many there is none.
    pub(crate) fn take_late(&self) -> (u64, u64) {
        let mut state = self.lock();
        (mem::take(&mut state.ran_late), mem::take(&mut state.lost))
    }

    /// Queues a record in room that its call was promised.
    pub(crate) fn push_promised(&self, entry: Entry) -> Result<(), Unrecorded> {
        let mut state = self.lock();
        if entry.duty == Duty::Refusable {
            state.check()?;
        } else if state.ended {
            return Err(Unrecorded::Closed);
        }
        self.put(state, entry);
        Ok(())
    }

    /// Queues a large owed record if there is room for it beyond what was promised; gives it back otherwise.
    pub(crate) fn push_large(&self, mut entry: Entry) -> Result<(), Entry> {
        let mut state = self.lock();
        let room = Room::record(entry.tail.len());
        match state.free.less(room) {
            Some(free) if state.check().is_ok() => {
                state.free = free;
                entry.room = entry.room.with(room);
                self.put(state, entry);
                Ok(())
            }
            _ => Err(entry),
        }
    }

    fn put(&self, mut state: MutexGuard<'_, State>, mut entry: Entry) {
        // Taken under the lock, so that `at` never runs backwards in a segment while the clock does not.
        entry.at = Timestamp::now();
        state.entries.push(entry);
        if !state.shared && state.entries.len() >= state.wanted {
            self.rouse(state);
        }
    }

    /// From now on the writer is woken only when [`Queue::wake`] asks for it.
    pub(crate) fn share(&self) {
        self.lock().shared = true;
    }

    /// Has the writer look at what waits.
    pub(crate) fn wake(&self) {
        self.rouse(self.lock());
    }

    fn rouse(&self, mut state: MutexGuard<'_, State>) {
        let asleep = mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.wake.notify_one();
        }
    }

    /// Puts records back that were taken, before those that came since.
    pub(crate) fn put_back(&self, mut entries: Vec<Entry>) {
        let mut state = self.lock();
        entries.append(&mut state.entries);
        state.entries = entries;
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// Takes all that waits; says whether the log is to stop.
    pub(crate) fn take(&self, entries: &mut Vec<Entry>) -> bool {
        let mut state = self.lock();
        mem::swap(entries, &mut state.entries);
        state.stop
    }

    /// Returns when something waits, at the latest after `longest`.
    pub(crate) fn wait(&self, longest: Duration) {
        self.wait_for(longest, |_| 1);
    }

    /// If something waits, returns when as many records wait as calls are open, or as were taken the last time; at
    /// the latest after `longest`.
    pub(crate) fn gather(&self, taken: usize, longest: Duration) {
        let wanted = |state: &State| taken.max(state.all.calls - state.free.calls);
        self.wait_for(longest, |state| if state.entries.is_empty() { 0 } else { wanted(state) });
    }

    fn wait_for(&self, longest: Duration, wanted: impl Fn(&State) -> usize) {
        if longest.is_zero() {
            return;
        }
        let until = Instant::now() + longest;
        let mut state = self.lock();
        loop {
            let wanted = wanted(&state);
            let left = until.saturating_duration_since(Instant::now());
            if state.entries.len() >= wanted || state.stop || left.is_zero() {
                break;
            }
            state.asleep = true;
            state.wanted = wanted;
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.asleep = false;
    }

    pub(crate) fn set_failing(&self, failing: Option<Failing>) {
        let mut state = self.lock();
        if let Some(failing) = &failing {
            state.last_error = Some(failing.error.clone());
        }
        state.failing = failing;
    }

    /// Asks the writer to end.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_all();
    }

    /// From here on nothing is taken; what waits is given back.
    pub(crate) fn end(&self) -> Vec<Entry> {
        let mut state = self.lock();
        state.stop = true;
        state.ended = true;
        mem::take(&mut state.entries)
    }

    pub(crate) fn failing(&self) -> Option<Failing> {
        self.lock().failing.clone()
    }

    /// Entries that wait, room that is free, the last error.
    pub(crate) fn look(&self) -> (usize, Room, Option<Failing>, Option<String>) {
        let state = self.lock();
        (state.entries.len(), state.free, state.failing.clone(), state.last_error.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and every state between its statements is sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&mut self) -> Result<(), Unrecorded> {
        if self.stop {
            Err(Unrecorded::Closed)
        } else if self.failing.is_some() {
            self.refused += 1;
            Err(Unrecorded::Failing)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
