//! Credentials that end: fetched once for all who wait, renewed ahead of their end, and never served past it.

pub(crate) mod endpoint;
pub(crate) mod jwt;
#[cfg(test)]
mod tests;

use crate::invocation::InvokeError;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

/// Longest time that fetching one may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long before its end a credential is renewed; a quarter of its life if that is shorter.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// How long before its end it is no longer used, since it must last until the provider has read it; a tenth if shorter.
const MARGIN: Duration = Duration::from_secs(10);

/// Longest time that a credential is kept, whatever its issuer says.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long after a failure the next try waits; doubled with each further failure.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Longest such wait.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// Why there is no credential. Nothing secret is in the words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TokenError(pub(crate) Arc<str>);

impl TokenError {
    /// With these words.
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into().into())
    }
}

/// How old a credential is at least that a provider's refusal ends: a new one is not asked for with every call.
const REJECTED_AGE: Duration = Duration::from_secs(30);

/// A credential as its issuer gave it.
#[derive(Clone, Debug)]
pub(crate) struct Lease<T> {
    /// The credential.
    pub(crate) value: T,
    /// How long it counts, from when it was asked for.
    pub(crate) lifetime: Duration,
}

/// A fetch under way.
pub(crate) type Fetching<T> = Pin<Box<dyn Future<Output = Result<Lease<T>, TokenError>> + Send>>;

/// One credential for many calls.
pub(crate) struct Kept<T>(Arc<Inner<T>>);

struct Inner<T> {
    fetch: Box<dyn Fn() -> Fetching<T> + Send + Sync>,
    state: Mutex<State<T>>,
}

struct State<T> {
    held: Option<Held<T>>,
    /// Closes when the fetch that is under way has ended.
    running: Option<watch::Receiver<()>>,
    failed: Option<Failure>,
}

struct Held<T> {
    value: Arc<T>,
    asked: Instant,
    renew: Instant,
    end: Instant,
    /// The same end for a machine that slept: its monotonic clock stood still meanwhile.
    end_of_day: SystemTime,
}

struct Failure {
    error: TokenError,
    retry: Instant,
    wait: Duration,
}

enum Step<T> {
    Ready(Arc<T>),
    Failed(TokenError),
    Wait(watch::Receiver<()>),
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// One that is fetched so; nothing is fetched yet.
    pub(crate) fn new(fetch: impl Fn() -> Fetching<T> + Send + Sync + 'static) -> Self {
        let state = State { held: None, running: None, failed: None };
        Self(Arc::new(Inner { fetch: Box::new(fetch), state: Mutex::new(state) }))
    }

    /// The credential, until `deadline`.
    ///
    /// # Errors
    /// [`InvokeError::NoCredential`], or [`InvokeError::TimedOut`].
    pub(crate) async fn get(&self, deadline: Instant) -> Result<Arc<T>, InvokeError> {
        self.get_at(Instant::now, deadline).await
    }

    /// As [`Kept::get`] by a clock.
    async fn get_at(&self, now: impl Fn() -> Instant, deadline: Instant) -> Result<Arc<T>, InvokeError> {
        loop {
            match self.step(now()) {
                Step::Ready(value) => return Ok(value),
                Step::Failed(error) => return Err(InvokeError::NoCredential(error.to_string())),
                // It is closed, never sent to.
                Step::Wait(mut ended) => {
                    drop(timeout_at(deadline, ended.changed()).await.map_err(|_| InvokeError::TimedOut)?);
                }
            }
        }
    }

    /// Forgets a credential that its provider no longer takes, if it is still this one and not new.
    pub(crate) fn reject(&self, value: &Arc<T>, now: Instant) {
        let mut state = self.0.lock();
        state.held = state.held.take().filter(|h| !Arc::ptr_eq(&h.value, value) || now < h.asked + REJECTED_AGE);
    }

    fn step(&self, now: Instant) -> Step<T> {
        let mut state = self.0.lock();
        // A fetch that panicked has closed it, too.
        if state.running.as_ref().is_some_and(|running| running.has_changed().is_err()) {
            state.running = None;
        }
        state.held = state.held.take().filter(|held| now < held.end && SystemTime::now() < held.end_of_day);
        let waits = state.failed.as_ref().filter(|failed| now < failed.retry).map(|failed| failed.error.clone());
        if let Some(held) = &state.held {
            let value = held.value.clone();
            if now >= held.renew && state.running.is_none() && waits.is_none() {
                state.running = Some(self.start(now));
            }
            return Step::Ready(value);
        }
        match (state.running.clone(), waits) {
            (Some(running), _) => Step::Wait(running),
            (None, Some(error)) => Step::Failed(error),
            (None, None) => {
                let running = self.start(now);
                state.running = Some(running.clone());
                Step::Wait(running)
            }
        }
    }

    /// Fetches in a task of its own: a caller who hangs up does not end it for the others.
    fn start(&self, asked: Instant) -> watch::Receiver<()> {
        let (ending, ended) = watch::channel(());
        let inner = self.0.clone();
        let fetching = (inner.fetch)();
        tokio::spawn(async move {
            let asked_of_day = SystemTime::now();
            let late = |_| Err(TokenError::new(format!("no credential within {FETCH_TIMEOUT:?}")));
            let fetched = timeout(FETCH_TIMEOUT, fetching).await.unwrap_or_else(late);
            inner.lock().settle(fetched, asked, asked_of_day);
            drop(ending);
        });
        ended
    }
}

impl<T> State<T> {
    fn settle(&mut self, fetched: Result<Lease<T>, TokenError>, asked: Instant, asked_of_day: SystemTime) {
        self.running = None;
        let ended = TokenError::new("the credential that came has ended already");
        let fetched = fetched.and_then(|lease| if lease.lifetime.is_zero() { Err(ended) } else { Ok(lease) });
        match fetched {
            Ok(Lease { value, lifetime }) => {
                let lifetime = lifetime.min(LIFETIME_MAX);
                let usable = lifetime - MARGIN.min(lifetime / 10);
                let renew = asked + (lifetime - AHEAD.min(lifetime / 4));
                let end_of_day = asked_of_day + usable;
                self.held = Some(Held { value: Arc::new(value), asked, renew, end: asked + usable, end_of_day });
                self.failed = None;
            }
            Err(error) => {
                let wait = self.failed.take().map_or(BACK_OFF, |failed| (failed.wait * 2).min(BACK_OFF_MAX));
                tracing::warn!(%error, again_in = ?wait, "no credential for a backend");
                self.failed = Some(Failure { error, retry: asked + wait, wait });
            }
        }
    }
}

impl<T> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Kept<T> {
    /// Shows nothing of the credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}
