//! What a call used of this machine, told once it is over.

use crate::{
    host::{memory::Memory, recipe::Recipe},
    report::{Report, Reporting, Start},
};
use std::time::Duration;
use tokio::time::Instant;

/// An instance's start, once it is ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    ready: Instant,
    took: Duration,
}

impl Started {
    /// One that was launched then is ready now.
    pub(super) fn now(launched: Instant) -> Self {
        let ready = Instant::now();
        Self { ready, took: ready.saturating_duration_since(launched) }
    }

    /// How long it took, if a call that is expected since then was there before it was over.
    pub(super) fn awaited_since(self, expected: Instant) -> Option<Duration> {
        (expected <= self.ready).then_some(self.took)
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Usage {
    begun: Instant,
    init: Option<Duration>,
    memory_mib: Option<u32>,
    memory: Memory,
    reporting: Reporting,
}

impl Usage {
    /// An instance begins with a call now. `init` is how long the call waited for the instance's start, if it did.
    pub(super) fn begin(init: Option<Duration>, recipe: &Recipe, memory: Memory, reporting: Reporting) -> Self {
        let memory_mib = recipe.limits.memory_mib.and_then(|mib| u32::try_from(mib).ok());
        Self { begun: Instant::now(), init, memory_mib, memory, reporting }
    }

    /// The call is over.
    pub(super) fn end(&self) {
        self.reporting.tell(Report {
            start: Some(if self.init.is_some() { Start::Cold } else { Start::Warm }),
            init: self.init,
            ran: Some(self.begun.elapsed()),
            billed: None,
            memory_mib: self.memory_mib,
            memory_used_mib: self.memory.peak_mib(),
        });
    }
}
