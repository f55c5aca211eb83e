//! How a sink fares: for metrics, the administrative interface, and one line whenever that changes.

use super::feed::Accepted;
use crate::config;
use jiff::Timestamp;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

/// The time of no record.
const NONE: i64 = i64::MIN;

/// How a sink fares.
pub struct Status {
    /// Its name.
    pub name: Arc<str>,
    /// `file`, `objects`, `otlp` or `nats`.
    pub kind: &'static str,
    accepted: Accepted,
    state: Mutex<Now>,
    shipped: AtomicU64,
    failures: AtomicU64,
    rejected: AtomicU64,
    missing: AtomicU64,
    /// The number of the first record of our own incarnation that was not acknowledged.
    own: AtomicU64,
    /// Records of other incarnations that were not acknowledged.
    others: AtomicU64,
    /// When the oldest record that was not acknowledged was written, in microseconds since 1970.
    oldest: AtomicI64,
}

/// What a sink does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It ships.
    Shipping,
    /// Another one, of the configuration or the gateway before, has the same cursors; it goes on once that has ended.
    Waiting,
    /// It can't, and tries again.
    Failing,
}

/// What it does now.
#[derive(Clone, Debug)]
struct Now {
    state: State,
    since: Timestamp,
    /// Why it fails.
    problem: Option<String>,
}

impl State {
    /// The word in the administrative interface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shipping => "shipping",
            Self::Waiting => "waiting",
            Self::Failing => "failing",
        }
    }
}

impl Status {
    pub(super) fn new(settings: &config::Ship, accepted: Accepted) -> Self {
        let kind = match &settings.sink {
            config::Sink::File(_) => "file",
            config::Sink::Objects(_) => "objects",
            config::Sink::Otlp(_) => "otlp",
            config::Sink::Nats(_) => "nats",
        };
        let state = Mutex::new(Now { state: State::Shipping, since: Timestamp::now(), problem: None });
        let [shipped, failures, rejected, missing, own, others] = Default::default();
        let (name, oldest) = (Arc::clone(&settings.name), AtomicI64::new(NONE));
        Self { name, kind, accepted, state, shipped, failures, rejected, missing, own, others, oldest }
    }

    /// What it does, since when, and why it fails.
    #[must_use]
    pub fn state(&self) -> (State, Timestamp, Option<String>) {
        let Now { state, since, problem } = self.lock().clone();
        (state, since, problem)
    }

    /// Records that it acknowledged.
    #[must_use]
    pub fn shipped(&self) -> u64 {
        self.shipped.load(Ordering::Relaxed)
    }

    /// Tries that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Records that it answered it will never take.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Numbers that no record in the log has any more.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing.load(Ordering::Relaxed)
    }

    /// Records that the log holds and it has not acknowledged.
    #[must_use]
    pub fn lag_records(&self) -> u64 {
        let own = (self.accepted)().saturating_sub(self.own.load(Ordering::Relaxed));
        own + self.others.load(Ordering::Relaxed)
    }

    /// For how long the oldest of these has waited, in seconds.
    #[must_use]
    pub fn lag_seconds(&self) -> u64 {
        match self.oldest.load(Ordering::Relaxed) {
            NONE => 0,
            oldest => u64::try_from((Timestamp::now().as_microsecond() - oldest) / 1_000_000).unwrap_or(0),
        }
    }

    pub(super) fn acknowledged(&self, records: u64) {
        self.shipped.fetch_add(records, Ordering::Relaxed);
        self.enter(State::Shipping, None);
    }

    pub(super) fn failed(&self, problem: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.enter(State::Failing, Some(problem));
    }

    pub(super) fn waits(&self) {
        self.enter(State::Waiting, None);
    }

    pub(super) fn resumed(&self) {
        self.enter(State::Shipping, None);
    }

    /// Records that the sink will never take: it said so.
    pub(super) fn refused(&self, records: u64, why: &str) {
        if self.rejected.fetch_add(records, Ordering::Relaxed) == 0 {
            let sink = &*self.name;
            tracing::warn!(sink, records, why, "records were shipped, and the sink answered that it won't take them");
        }
    }

    /// Records that the log does not have any more.
    pub(super) fn missed(&self, records: u64) {
        if records > 0 {
            self.missing.fetch_add(records, Ordering::Relaxed);
            let sink = &*self.name;
            tracing::warn!(sink, records, "records can't be shipped: the log does not have them any more");
        }
    }

    pub(super) fn progress(&self, own: u64, others: u64, oldest: Option<Timestamp>) {
        self.own.store(own, Ordering::Relaxed);
        self.others.store(others, Ordering::Relaxed);
        self.oldest.store(oldest.map_or(NONE, Timestamp::as_microsecond), Ordering::Relaxed);
    }

    /// One line per change.
    fn enter(&self, state: State, problem: Option<&str>) {
        let mut now = self.lock();
        now.problem = problem.map(str::to_owned);
        if now.state == state {
            return;
        }
        (now.state, now.since) = (state, Timestamp::now());
        drop(now);
        let (sink, lag) = (&*self.name, self.lag_records());
        match (state, problem) {
            (State::Failing, problem) => {
                let problem = problem.unwrap_or_default();
                tracing::warn!(
                    sink,
                    lag,
                    problem,
                    "audit records can't be shipped; the log keeps them, and it is tried again"
                );
            }
            (State::Waiting, _) => {
                tracing::info!(sink, "these records are still shipped by the one before; this one goes on after it")
            }
            (State::Shipping, _) => tracing::info!(sink, "audit records are shipped"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let now = self.lock().clone();
        f.debug_struct("Status").field("name", &self.name).field("now", &now).finish_non_exhaustive()
    }
}
