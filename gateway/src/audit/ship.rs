//! Ships records to places besides the log: each sink on a thread of its own, which follows the log from the disk.
//!
//! Calls and the log's writer know nothing of it: a sink that is slow or dead leaves its records where they are, in the
//! log, and goes on from there when it can.

mod cursor;
mod feed;
mod file;
mod nats;
mod objects;
mod otlp;
mod pump;
mod sink;
mod status;
#[cfg(test)]
mod tests;

use super::log::Log;
use crate::config;
use feed::Accepted;
use pump::Pump;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

pub use status::{State, Status};

/// How long what the log still holds at the end may take to be shipped; what is left goes at the next start.
pub const END_GRACE: Duration = Duration::from_secs(2);

/// The log that is shipped.
#[derive(Clone)]
pub struct Origin {
    /// The folder of the node's incarnations.
    pub folder: PathBuf,
    /// The node.
    pub node: Arc<str>,
    /// The one that runs.
    pub incarnation: Uuid,
    accepted: Accepted,
}

/// Everything that ships.
#[derive(Debug)]
pub struct Shipping {
    origin: Origin,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    settings: Vec<config::Ship>,
    sinks: Vec<Arc<Status>>,
    stop: Arc<Stop>,
}

/// Ends the threads of sinks, and knows how many still run.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
    threads: AtomicUsize,
}

impl Origin {
    /// The log of this incarnation.
    #[must_use]
    pub fn new(log: &Log, folder: PathBuf, node: Arc<str>, incarnation: Uuid) -> Self {
        let log = log.clone();
        Self { folder, node, incarnation, accepted: Arc::new(move || log.accepted()) }
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin")
            .field("node", &self.node)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

impl Shipping {
    /// Ships nothing yet.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self { origin, running: Mutex::default() }
    }

    /// From now on it is shipped as configured. What ran before ends by itself, and hands its cursors over.
    pub fn apply(&self, settings: &[config::Ship]) {
        let mut running = self.lock();
        if running.settings == settings {
            return;
        }
        running.stop.stop();
        let stop = Arc::new(Stop::default());
        let sinks = settings.iter().map(|settings| start(settings, &self.origin, &stop)).collect();
        *running = Running { settings: settings.to_vec(), sinks, stop };
    }

    /// How each sink fares.
    #[must_use]
    pub fn status(&self) -> Vec<Arc<Status>> {
        self.lock().sinks.clone()
    }

    /// Ships what is left, no longer than `grace`. Blocks; the log should be closed.
    pub fn shutdown_blocking(&self, grace: Duration) {
        let stop = Arc::clone(&self.lock().stop);
        stop.stop();
        stop.wait_for_threads(grace);
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        // No code panics while it holds the lock.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number below which every configured sink has acknowledged all records of an incarnation: what retention may
/// remove as far as shipping is concerned. Everything, where nothing is shipped.
#[must_use]
pub fn acknowledged(node: &Path, sinks: &[config::Ship], incarnation: Uuid) -> u64 {
    let of = |sink: &config::Ship| match cursor::seen(node, &sink.name, incarnation) {
        cursor::Cursor { done: true, .. } => u64::MAX,
        cursor::Cursor { next, .. } => next,
    };
    sinks.iter().map(of).min().unwrap_or(u64::MAX)
}

/// The id of a record wherever it goes: it is the same however often it is shipped.
#[must_use]
pub fn id(node: &str, incarnation: Uuid, seq: u64) -> String {
    format!("{node}/{incarnation}/{seq}")
}

fn start(settings: &config::Ship, origin: &Origin, stop: &Arc<Stop>) -> Arc<Status> {
    let status = Arc::new(Status::new(settings, Arc::clone(&origin.accepted)));
    let (pump, running) = (Pump::new(settings, origin, &status, stop), Thread::new(stop, &status));
    let work = move || {
        let _running = running;
        pump.run();
    };
    if let Err(error) = std::thread::Builder::new().name("latchwork-ship".to_owned()).spawn(work) {
        status.failed(&format!("there is no thread: {error}"));
    }
    status
}

impl Stop {
    fn stop(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.lock()
    }

    /// Waits, no longer than until the stop.
    pub(crate) fn wait(&self, time: Duration) {
        let stopped = self.lock();
        // Whether it was the stop that ended it, the next look says.
        let _ = self.changed.wait_timeout_while(stopped, time, |stopped| !*stopped);
    }

    fn wait_for_threads(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut stopped = self.lock();
        while self.threads.load(Ordering::Acquire) > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            stopped = match self.changed.wait_timeout(stopped, left) {
                Ok((stopped, _)) => stopped,
                Err(_) => return,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // No code panics while it holds the lock.
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that runs, until it is dropped.
struct Thread {
    stop: Arc<Stop>,
    status: Arc<Status>,
}

impl Thread {
    fn new(stop: &Arc<Stop>, status: &Arc<Status>) -> Self {
        stop.threads.fetch_add(1, Ordering::AcqRel);
        Self { stop: Arc::clone(stop), status: Arc::clone(status) }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.status.failed("its thread failed; records go on at the next start");
        }
        let _stopped = self.stop.lock();
        self.stop.threads.fetch_sub(1, Ordering::AcqRel);
        self.stop.changed.notify_all();
    }
}
