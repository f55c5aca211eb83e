//! The keys of one issuer: fetched when first needed, fetched again when due or when a token names a new one.

mod document;
mod fetch;
pub(crate) mod key;
mod source;

pub(crate) use self::{document::parse, source::Source};

use self::{fetch::Fetcher, key::Key};
use super::fault::Fault;
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::sync::{Mutex as Gate, oneshot};

/// After a fetch for an unknown key that brought nothing new, the next such fetch waits this long; and twice as long
/// after each further one, so that an issuer is not asked on behalf of whoever makes up key ids.
const UNKNOWN_KEY_GAP: Duration = Duration::from_secs(2);
/// Longest such wait: how late a new key may be that no scheduled fetch brought, while someone makes up key ids.
const UNKNOWN_KEY_GAP_MAX: Duration = Duration::from_secs(10);
/// When nobody asked for an unknown key for this long, the first gap is short again.
const UNKNOWN_KEY_CALM: Duration = Duration::from_secs(60);
/// After a fetch that failed, callers are refused for this long before one of them tries again.
const FAILED_GAP: Duration = Duration::from_secs(1);
/// Longest pause between two tries in the background while fetches fail.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Keys are never fetched in the background more often than this.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The keys of one issuer.
pub(crate) struct Keys {
    source: Source,
    fetcher: Fetcher,
    last_good: ArcSwapOption<KeySet>,
    pacing: Mutex<Pacing>,
    /// Held by the one fetch that is in flight.
    gate: Arc<Gate<()>>,
    /// Dropped with the keys, which ends the background task at once.
    _alive: oneshot::Sender<()>,
    dropped: Mutex<Option<oneshot::Receiver<()>>>,
}

/// The keys that one fetch brought.
#[derive(Debug)]
pub(crate) struct KeySet {
    /// Counts how often the keys changed; a fetch that brings the same keys leaves it.
    pub(crate) generation: u64,
    keys: Arc<[Key]>,
    fetched: Instant,
    fetched_at: Timestamp,
}

/// A key for a token.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The key.
    pub(crate) key: Key,
    /// The generation of its set.
    pub(crate) generation: u64,
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// No key has this id.
    Unknown,
    /// The token names none, and there is not exactly one.
    NotNamed,
    /// The key is not for the token's algorithm.
    Algorithm,
    /// The issuer can't be reached, and the last good keys are too old.
    Unavailable,
}

/// How the keys fare.
#[derive(Debug)]
pub(crate) struct KeysStats {
    pub(crate) available: bool,
    pub(crate) count: usize,
    pub(crate) fetched: Option<Timestamp>,
    pub(crate) fetches_ok: u64,
    pub(crate) fetches_failed: u64,
    pub(crate) problem: Option<String>,
}

#[derive(Debug, Default)]
struct Pacing {
    /// Fetches that were started.
    started: u64,
    ok: u64,
    failed: u64,
    /// Failures since the last success.
    failures: u32,
    failed_last: Option<Instant>,
    problem: Option<String>,
    /// When a fetch for an unknown key last brought nothing new.
    fruitless_last: Option<Instant>,
    /// How often in a row.
    fruitless: u32,
}

#[derive(Clone, Copy, Debug)]
enum Why<'a> {
    Due,
    Empty,
    UnknownKey(&'a str),
}

impl KeyError {
    /// What is wrong with the token; nothing, when it is the issuer that fails.
    pub(crate) fn fault(self) -> Option<Fault> {
        match self {
            Self::Unknown => Some(Fault::UnknownKey),
            Self::NotNamed => Some(Fault::KeyNotNamed),
            Self::Algorithm => Some(Fault::KeyAlgorithm),
            Self::Unavailable => None,
        }
    }
}

impl Keys {
    /// No network yet.
    pub(crate) fn new(source: Source) -> Result<Arc<Self>, String> {
        let (alive, dropped) = oneshot::channel();
        Ok(Arc::new(Self {
            fetcher: Fetcher::new(&source)?,
            source,
            last_good: ArcSwapOption::empty(),
            pacing: Mutex::default(),
            gate: Arc::default(),
            _alive: alive,
            dropped: Mutex::new(Some(dropped)),
        }))
    }

    /// Where they come from.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The last good set, unless it is older than a refresh and the grace.
    pub(crate) fn in_force(&self) -> Option<Arc<KeySet>> {
        let age_max = self.source.refresh.saturating_add(self.source.grace);
        self.last_good.load_full().filter(|set| set.fetched.elapsed() <= age_max)
    }

    /// The key for a token.
    pub(crate) async fn find(self: &Arc<Self>, kid: Option<&str>, algorithm: Algorithm) -> Result<Found, KeyError> {
        self.start();
        let arrived = self.pacing().started;
        let set = match self.in_force() {
            Some(set) => set,
            None => self.fetch(arrived, Why::Empty).await?,
        };
        match (set.find(kid, algorithm), kid) {
            (Err(KeyError::Unknown), Some(kid)) => {
                self.fetch(arrived, Why::UnknownKey(kid)).await?.find(Some(kid), algorithm)
            }
            (found, _) => found,
        }
    }

    /// Starts the background task that fetches the keys when they are due; at most one.
    pub(crate) fn start(self: &Arc<Self>) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        if tokio::runtime::Handle::try_current().is_ok()
            && let Some(dropped) = dropped.take()
        {
            tokio::spawn(keep_fresh(Arc::downgrade(self), dropped));
        }
    }

    /// How the keys fare.
    pub(crate) fn stats(&self) -> KeysStats {
        let (last_good, pacing) = (self.last_good.load(), self.pacing());
        KeysStats {
            available: self.in_force().is_some(),
            count: last_good.as_ref().map_or(0, |set| set.keys.len()),
            fetched: last_good.as_ref().map(|set| set.fetched_at),
            fetches_ok: pacing.ok,
            fetches_failed: pacing.failed,
            problem: pacing.problem.clone(),
        }
    }

    /// The set after a fetch that started after `arrived`: one that others waited for too, or a new one.
    async fn fetch(self: &Arc<Self>, arrived: u64, why: Why<'_>) -> Result<Arc<KeySet>, KeyError> {
        let guard = self.gate.clone().lock_owned().await;
        if self.may_fetch(arrived, why)? {
            let unknown_key = matches!(why, Why::UnknownKey(_));
            // A task of its own: a caller that hangs up must not take the answer from those who wait with it.
            let keys = self.clone();
            let fetch = tokio::spawn(async move {
                keys.fetch_now(unknown_key).await;
                drop(guard);
            });
            fetch.await.map_err(|_| KeyError::Unavailable)?;
        }
        let set = self.in_force().ok_or(KeyError::Unavailable)?;
        match why {
            // Whether the issuer has such a key is not known, so the token must not be called bad.
            Why::UnknownKey(kid) if !set.has(kid) && self.pacing().failures > 0 => Err(KeyError::Unavailable),
            _ => Ok(set),
        }
    }

    /// INVARIANT: called with the gate held, so nothing is in flight.
    fn may_fetch(&self, arrived: u64, why: Why<'_>) -> Result<bool, KeyError> {
        let (pacing, in_force) = (self.pacing(), self.in_force());
        let within = |last: Option<Instant>, gap| last.is_some_and(|last| last.elapsed() < gap);
        // What others fetched meanwhile will do, if it is new enough to know of a key that was missing on arrival.
        let enough = match why {
            Why::Due => !self.due_in(&pacing).is_zero(),
            Why::Empty => in_force.is_some(),
            Why::UnknownKey(kid) => in_force.is_some_and(|set| set.has(kid)),
        };
        if enough || pacing.started > arrived {
            return Ok(false);
        }
        match why {
            Why::Due => Ok(true),
            _ if within(pacing.failed_last, FAILED_GAP) => Err(KeyError::Unavailable),
            Why::UnknownKey(_) if within(pacing.fruitless_last, pacing.unknown_key_gap()) => Err(KeyError::Unknown),
            Why::UnknownKey(_) | Why::Empty => Ok(true),
        }
    }

    async fn fetch_now(&self, unknown_key: bool) {
        self.pacing().started += 1;
        // The address is looked up anew when keys are due; an unknown key costs the issuer one request.
        let fetched = self.fetcher.fetch(!unknown_key).await;
        let mut pacing = self.pacing();
        match fetched {
            Ok(keys) => {
                let changed = self.take(keys);
                if changed {
                    pacing.fruitless_last = None;
                } else if unknown_key {
                    pacing.count_fruitless();
                }
                pacing.ok += 1;
                pacing.failures = 0;
                pacing.failed_last = None;
                pacing.problem = None;
            }
            Err(error) => {
                tracing::warn!(issuer = &*self.source.alias, %error, "keys can't be fetched");
                pacing.failed += 1;
                pacing.failures = pacing.failures.saturating_add(1);
                pacing.failed_last = Some(Instant::now());
                pacing.problem = Some(error.to_string());
            }
        }
    }

    /// Puts keys in force; says whether they are others than before.
    fn take(&self, keys: Vec<Key>) -> bool {
        let last = self.last_good.load_full();
        let same = last.as_ref().filter(|set| *set.keys == *keys);
        let changed = same.is_none();
        let set = KeySet {
            generation: last.as_ref().map_or(1, |set| set.generation + u64::from(changed)),
            keys: same.map_or_else(|| keys.into(), |set| set.keys.clone()),
            fetched: Instant::now(),
            fetched_at: Timestamp::now(),
        };
        if changed {
            tracing::info!(issuer = &*self.source.alias, keys = set.keys.len(), "keys of the issuer changed");
        }
        self.last_good.store(Some(Arc::new(set)));
        changed
    }

    /// When the next fetch is due. After nine tenths of the refresh, so that a removed key is gone within it.
    fn due_in(&self, pacing: &Pacing) -> Duration {
        let due = self.source.refresh.mul_f64(0.9);
        if let Some(failed) = pacing.failed_last {
            let backoff = FAILED_GAP * 2_u32.saturating_pow(pacing.failures.clamp(1, 6) - 1);
            return backoff.min(RETRY_MAX).min(due).saturating_sub(failed.elapsed());
        }
        let fetched = self.last_good.load().as_ref().map(|set| set.fetched);
        fetched.map_or(Duration::ZERO, |fetched| due.saturating_sub(fetched.elapsed()))
    }

    fn pacing(&self) -> MutexGuard<'_, Pacing> {
        self.pacing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pacing {
    fn count_fruitless(&mut self) {
        let calm = self.fruitless_last.is_none_or(|last| last.elapsed() >= UNKNOWN_KEY_CALM);
        self.fruitless = if calm { 1 } else { self.fruitless.saturating_add(1) };
        self.fruitless_last = Some(Instant::now());
    }

    fn unknown_key_gap(&self) -> Duration {
        (UNKNOWN_KEY_GAP * 2_u32.saturating_pow(self.fruitless.clamp(1, 4) - 1)).min(UNKNOWN_KEY_GAP_MAX)
    }
}

impl KeySet {
    fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Found, KeyError> {
        let key = choose(&self.keys, kid, algorithm)?;
        Ok(Found { key: key.clone(), generation: self.generation })
    }
}

/// The key among `keys` that a token names, or the only one if it names none.
pub(crate) fn choose<'a>(keys: &'a [Key], kid: Option<&str>, algorithm: Algorithm) -> Result<&'a Key, KeyError> {
    let key = match (kid, keys) {
        (Some(kid), keys) => keys.iter().find(|k| k.kid() == Some(kid)).ok_or(KeyError::Unknown)?,
        (None, [only]) => only,
        (None, _) => return Err(KeyError::NotNamed),
    };
    if key.is_for(algorithm) { Ok(key) } else { Err(KeyError::Algorithm) }
}

/// Fetches keys when they are due, until nobody holds them any more.
async fn keep_fresh(keys: Weak<Keys>, mut dropped: oneshot::Receiver<()>) {
    let mut first = true;
    loop {
        let Some(due_in) = keys.upgrade().map(|keys| keys.due_in(&keys.pacing())) else { return };
        let pause = if first { due_in } else { due_in.max(PAUSE_MIN) };
        first = false;
        tokio::select! {
            _ = &mut dropped => return,
            () = tokio::time::sleep(pause) => {}
        }
        let Some(keys) = keys.upgrade() else { return };
        let arrived = keys.pacing().started;
        // What went wrong is logged, counted and paced where it happened.
        let _ = keys.fetch(arrived, Why::Due).await;
    }
}
