//! An instance's place in its pool: counted from the decision to start it until its process is reaped.

use crate::host::pool::Pool;
use std::sync::Arc;

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not asked for its first call.
    Starting,
    /// It waits for a call, or is ending.
    Free,
    /// It runs a call.
    Busy,
    /// It has answered and will soon ask for the next call.
    Returning,
}

/// The place. Dropping it gives it back, whatever happened to the instance's task.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) pool: Arc<Pool>,
    pub(super) serial: u64,
    phase: Phase,
}

impl Seat {
    /// A place that the pool has counted as starting.
    pub(super) fn new(pool: Arc<Pool>, serial: u64) -> Self {
        pool.host.live().send_modify(|live| *live += 1);
        Self { pool, serial, phase: Phase::Starting }
    }

    /// Counts the instance elsewhere.
    pub(super) fn set(&mut self, phase: Phase) {
        if self.phase != phase {
            self.pool.moved(self.phase, phase);
            self.phase = phase;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.pool.gone(self.serial, self.phase);
        self.pool.host.live().send_modify(|live| *live = live.saturating_sub(1));
    }
}
