//! What is told of how a call ran: by its provider, or by the host on this machine.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How a call ran. What nobody told is absent, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether an instance was started for it.
    pub start: Option<Start>,
    /// How long that start took: of a cold start only.
    pub init: Option<Duration>,
    /// How long the function ran.
    pub ran: Option<Duration>,
    /// How long the provider bills.
    pub billed: Option<Duration>,
    /// The memory that the function has, in MiB.
    pub memory_mib: Option<u32>,
    /// The most that it used, in MiB.
    pub memory_used_mib: Option<u32>,
}

/// How a call found its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// An instance was started for the call.
    Cold,
    /// An instance was there.
    Warm,
}

impl Start {
    /// The word in records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

/// Whether callers meet cold starts of a target, and whether it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starts {
    /// It tells of every run whether an instance was started for it.
    Told,
    /// It does not tell; a cold start is only seen by how long an answer takes.
    Untold,
    /// No caller waits for one: the call is put into a queue, is a record, or a connection.
    Unmet,
}

/// Where a backend tells how one attempt ran, whenever it learns it: also of an attempt that failed, and at the end of
/// a streamed answer. A clone is the same place.
#[derive(Clone, Debug, Default)]
pub struct Reporting(Arc<OnceLock<Report>>);

impl Reporting {
    /// Tells; what was told before stays.
    pub fn tell(&self, report: Report) {
        let _ = self.0.set(report);
    }

    /// What was told so far.
    #[must_use]
    pub fn told(&self) -> Option<Report> {
        self.0.get().copied()
    }
}
