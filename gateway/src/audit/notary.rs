//! Signs the tree now and then, on a thread of its own, and keeps the checkpoints: beside the log and in other places.
//!
//! Nothing waits for it but the end of the log. What can't be signed or kept now is covered by the next checkpoint.

use super::{
    checkpoint::{self, Head},
    log::OpenError,
    note::Note,
    segment::Segment,
    signer::Signer,
    tree::Frontier,
};
use crate::config;
use shelf::Shelf;
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use uuid::Uuid;
use witness::Witness;

pub(crate) mod shelf;
mod witness;

/// A tree that is to be signed.
pub(crate) struct Due {
    pub(crate) tree: Frontier,
    /// A segment that is synced first.
    pub(crate) unsynced: Option<Box<dyn Segment>>,
}

/// See the file's first line. This is the writer's end of it.
#[derive(Debug)]
pub(crate) struct Notary {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    witness: Option<Witness>,
    records: u64,
    interval: Duration,
    /// What was submitted last, and when.
    submitted: u64,
    at: Instant,
}

/// How far a log is signed.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    signed: AtomicU64,
    witnessed: AtomicU64,
}

impl Progress {
    pub(crate) fn signed(&self) -> u64 {
        self.signed.load(Ordering::Relaxed)
    }

    pub(crate) fn witnessed(&self) -> u64 {
        self.witnessed.load(Ordering::Relaxed)
    }
}

struct Shared {
    signer: Arc<dyn Signer>,
    origin: String,
    shelf: Mutex<Shelf>,
    progress: Arc<Progress>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    due: Option<Due>,
    stop: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("origin", &self.origin).field("signer", &self.signer).finish_non_exhaustive()
    }
}

impl Notary {
    /// Prepares to sign the tree of an incarnation.
    ///
    /// # Errors
    /// When a witness can't be asked as it is configured.
    pub(crate) fn new(
        signer: Arc<dyn Signer>,
        config: &config::Audit,
        node: &str,
        incarnation: Uuid,
    ) -> Result<Self, OpenError> {
        let checkpoints = &config.checkpoints;
        let within = |root: &PathBuf| root.join(node).join(incarnation.to_string());
        let shelf = Shelf::new(within(&config.path), checkpoints.copies.iter().map(within).collect());
        let progress = Arc::new(Progress::default());
        let origin = checkpoint::origin(node, incarnation);
        let (state, wake) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { signer, origin, shelf: Mutex::new(shelf), progress, state, wake });
        let log = (incarnation, within(&config.path));
        let witness = checkpoints.witness.as_ref().map(|witness| Witness::new(witness, log, Arc::clone(&shared)));
        let witness = witness.transpose().map_err(OpenError::Witness)?;
        let (records, interval) = (checkpoints.records, checkpoints.interval);
        Ok(Self { shared, thread: None, witness, records, interval, submitted: 0, at: Instant::now() })
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.shared.progress)
    }

    /// Signs the tree as it begins, and starts the thread.
    ///
    /// # Errors
    /// When that can't be done or kept beside the log.
    pub(crate) fn start(&mut self, tree: &Frontier) -> io::Result<()> {
        let note = self.shared.sign(tree)?;
        if let Some(witness) = &mut self.witness {
            witness.start()?;
            witness.offer(note, tree.clone());
        }
        let (shared, offers) = (Arc::clone(&self.shared), self.witness.as_ref().map(Witness::offers));
        let run = move || {
            shared.run(|note, tree| {
                if let Some(offers) = &offers {
                    offers.put(note, tree)
                }
            })
        };
        self.thread = Some(thread::Builder::new().name("audit-notary".into()).spawn(run)?);
        (self.submitted, self.at) = (tree.size(), Instant::now());
        Ok(())
    }

    /// Whether the tree is to be signed; `now` when it won't grow any more.
    pub(crate) fn due(&self, size: u64, now: bool) -> bool {
        let fresh = size - self.submitted.min(size);
        fresh > 0 && (now || fresh >= self.records || self.at.elapsed() >= self.interval)
    }

    /// Has it signed; what was submitted before and is not signed yet is left out.
    pub(crate) fn submit(&mut self, due: Due) {
        (self.submitted, self.at) = (due.tree.size(), Instant::now());
        self.shared.lock().due = Some(due);
        self.shared.wake.notify_one();
    }

    /// Signs what was submitted and ends.
    pub(crate) fn finish(mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that signs the audit log failed");
        }
        if let Some(witness) = self.witness.take() {
            witness.finish();
        }
    }
}

impl Shared {
    fn run(&self, offer: impl Fn(Note, Frontier)) {
        let mut state = self.lock();
        loop {
            let Some(mut due) = state.due.take() else {
                if state.stop {
                    return;
                }
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let synced = due.unsynced.as_mut().map_or(Ok(()), |segment| segment.sync());
            match synced.and_then(|()| self.sign(&due.tree)) {
                Ok(note) => offer(note, due.tree),
                Err(error) => tracing::warn!(%error, size = due.tree.size(), "the audit log could not be signed"),
            }
            state = self.lock();
        }
    }

    /// Signs a tree and keeps the checkpoint.
    fn sign(&self, tree: &Frontier) -> io::Result<Note> {
        let text = Head { origin: self.origin.clone(), size: tree.size(), root: tree.root() }.to_string();
        let signature = self.signer.sign(text.as_bytes())?;
        let note = Note { text, signatures: vec![signature] };
        self.shelf().keep(&note, tree)?;
        self.progress.signed.store(tree.size(), Ordering::Relaxed);
        Ok(note)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // No code panics while it holds the lock.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
