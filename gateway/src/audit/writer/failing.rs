//! What the writer does while the disk refuses, and how it finds back.

use super::{Writer, own};
use crate::audit::{
    Unrecorded,
    queue::{Duty, Entry, Failing, Promise, Room},
    record::System,
};
use jiff::Timestamp;
use std::{
    io, mem,
    time::{Duration, Instant},
};

/// How often a failing disk is tried again.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(200);
/// How long a record that is owed waits for a failing disk before its call is told.
const OWED_WAIT: Duration = Duration::from_secs(2);

/// Room for the next calls without which the log has not recovered, so that it does not fail again at once.
const SPARE_BYTES: u64 = 8 * 1024;

/// What happened, and what was refused since.
pub(super) struct Failure {
    pub(super) since: Timestamp,
    pub(super) error: String,
    pub(super) refused: u64,
    /// Calls that ran all the same, and those of them of which nothing is known any more.
    pub(super) ran: u64,
    pub(super) lost: u64,
    pub(super) probed: Instant,
}

impl Writer {
    pub(super) fn fail(&mut self, error: &io::Error, batch: Vec<Entry>) {
        let error = error.to_string();
        tracing::error!(%error, "the audit log can't be written; calls are refused until it can");
        let since = Timestamp::now();
        self.queue.set_failing(Some(Failing { since, error: error.clone() }));
        self.state.failing = Some(Failure { since, error, refused: 0, ran: 0, lost: 0, probed: Instant::now() });
        if let Some(current) = &mut self.state.current {
            // A cut gave the promised room back; if it can't be had again, what is owed waits in memory.
            let _ = current.reserve(self.state.promised);
        }
        self.endure(batch);
    }

    /// Refuses what may be refused, keeps what is owed, and writes of that what has room by promise.
    pub(super) fn endure(&mut self, batch: Vec<Entry>) {
        let mut room = Room::default();
        let mut refused = 0;
        for mut entry in batch {
            match entry.duty {
                Duty::Owed => self.state.owed.push(entry),
                Duty::Refusable => {
                    refused += 1;
                    room = room.with(entry.room);
                    tell(&mut entry);
                }
            }
        }
        self.queue.give_back(room);
        if let Some(failure) = &mut self.state.failing {
            failure.refused += refused;
        }
        self.keep_promises();
        for entry in &mut self.state.owed {
            if entry.since.elapsed() >= OWED_WAIT {
                tell(entry);
            }
        }
    }

    /// Writes what was promised room on disk.
    fn keep_promises(&mut self) {
        if self.state.current.as_ref().is_none_or(|current| current.broken) {
            return;
        }
        let owed = mem::take(&mut self.state.owed);
        let (promised, mut rest): (Vec<_>, Vec<_>) =
            owed.into_iter().partition(|e| matches!(e.promise, Promise::Uses | Promise::Ends));
        if !promised.is_empty() {
            match self.commit(&promised, None) {
                Ok(()) => self.accept(promised),
                Err(_) => rest.extend(promised),
            }
        }
        self.state.owed = rest;
    }

    /// Tries the disk again, with all that is owed.
    pub(super) fn recover(&mut self) {
        let Some(failure) = &mut self.state.failing else { return };
        failure.probed = Instant::now();
        failure.refused += self.queue.take_refused();
        let (ran, lost) = self.queue.take_late();
        (failure.ran, failure.lost) = (failure.ran + ran, failure.lost + lost);
        let Failure { since, refused, ran, lost, .. } = *failure;
        let recovered = System::LogRecovered { since, error: failure.error.clone(), refused, ran, lost };
        if self.state.current.as_ref().is_none_or(|current| current.broken) && self.rotate().is_err() {
            return;
        }
        let mut entries = mem::take(&mut self.state.owed);
        entries.push(own(&recovered));
        match self.commit(&entries, Some(SPARE_BYTES)) {
            Ok(()) => {
                self.accept(entries);
                self.state.failing = None;
                self.queue.set_failing(None);
                tracing::info!("the audit log can be written again");
            }
            Err(_) => {
                entries.pop();
                self.state.owed = entries;
            }
        }
    }
}

/// Tells a caller that its record is not there.
pub(super) fn tell(entry: &mut Entry) {
    if let Some(waiter) = entry.waiter.take() {
        let _ = waiter.send(Err(Unrecorded::Failing));
    }
}
