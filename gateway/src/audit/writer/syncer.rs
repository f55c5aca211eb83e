//! Syncs behind the writer's back where an accepted record need not be synced: at most [`AT_RISK`] of records, and
//! those of one sync, are lost in a power cut.

use crate::audit::segment::Segment;
use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long a written record may wait for the next sync to begin.
const AT_RISK: Duration = Duration::from_millis(100);

/// The writer's end of it. Dropping it ends the thread.
pub(super) struct Syncer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    segment: Option<Box<dyn Segment>>,
    written: Option<Instant>,
    failed: Option<io::Error>,
    stop: bool,
}

impl Syncer {
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), wake: Condvar::new() });
        let behind = Arc::clone(&shared);
        thread::Builder::new().name("audit-sync".into()).spawn(move || behind.run())?;
        Ok(Self(shared))
    }

    /// From now on this is what is synced; the one before was synced by the writer.
    pub(super) fn follow(&self, segment: &dyn Segment) -> io::Result<()> {
        let twin = segment.twin()?;
        let mut state = self.0.lock();
        state.segment = Some(twin);
        state.written = None;
        Ok(())
    }

    /// Says what went wrong with a sync before.
    pub(super) fn check(&self) -> io::Result<()> {
        self.0.lock().failed.take().map_or(Ok(()), Err)
    }

    /// Something was written.
    pub(super) fn written(&self) {
        let mut state = self.0.lock();
        if state.written.is_none() {
            state.written = Some(Instant::now());
            drop(state);
            self.0.wake.notify_one();
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.0.lock().stop = true;
        self.0.wake.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.lock();
        while !state.stop {
            let wait = state.written.map(|written| AT_RISK.saturating_sub(written.elapsed()));
            state = match wait {
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(wait) if !wait.is_zero() => {
                    self.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                Some(_) => self.sync(state),
            };
        }
    }

    fn sync<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.written = None;
        let Some(mut segment) = state.segment.take() else { return state };
        // The writer goes on meanwhile.
        drop(state);
        let done = segment.sync();
        let mut state = self.lock();
        state.failed = done.err();
        if state.segment.is_none() {
            state.segment = Some(segment);
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
