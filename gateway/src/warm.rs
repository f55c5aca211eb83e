//! Keeps functions warm by calls of the gateway's own, as `System::"warmer"`, and only as long as callers meet fewer cold
//! starts for it.
//!
//! A pause begins when a caller's call of a target ends, and ends with the next. A lot says of each whether the target is
//! kept warm in it; what the calls that end pauses meet is compared (`trial.rs`).

pub(crate) mod keeper;
mod pauses;
#[cfg(test)]
mod tests;
mod trial;

use crate::{
    audit::record::{System, Tally, Verdict, Warming},
    config,
    telemetry::WarmMeters,
};
use mesh::report::{Report, Start};
use pauses::Pausing;
use policy::{permit::TargetIndex, question::FunctionName};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use trial::Trial;

/// Wakes the keeper: there is something to say.
pub(crate) type Bell = Arc<Notify>;

/// What keeps one function warm. Calls of it tell here how they went; a reload that leaves the function as it is keeps it.
#[derive(Debug)]
pub struct Warmer {
    config: Arc<config::Warm>,
    function: FunctionName,
    name: Arc<str>,
    meters: WarmMeters,
    bell: Bell,
    /// Callers' calls that run.
    running: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The first call was made, or somebody else made one.
    begun: bool,
    /// The last calls failed.
    failing: bool,
    targets: BTreeMap<TargetIndex, Pausing>,
    news: Vec<System>,
}

/// How one attempt went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) target: TargetIndex,
    pub(crate) asked: Instant,
    pub(crate) ended: Instant,
    /// How long the answer took to begin; `None` when there was none.
    pub(crate) answered: Option<Duration>,
    pub(crate) report: Option<Report>,
}

/// A caller's call that runs, while it lives.
#[derive(Debug)]
pub(crate) struct Running(Arc<Warmer>);

/// Whom a call is for that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Whichever target a caller's call would go to first.
    Any,
    /// This one.
    Target(TargetIndex),
}

impl Warmer {
    pub(crate) fn new(config: Arc<config::Warm>, function: FunctionName, meters: WarmMeters, bell: Bell) -> Self {
        let (name, running, state) = (function.as_str().into(), AtomicUsize::new(0), Mutex::default());
        Self { config, function, name, meters, bell, running, state }
    }

    /// With which calls.
    pub(crate) fn config(&self) -> &config::Warm {
        &self.config
    }

    /// A caller's call runs.
    pub(crate) fn running(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Relaxed);
        Running(Arc::clone(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A caller's attempt ended.
    fn seen(&self, seen: &Seen) {
        let told = seen.report.and_then(|report| report.start);
        let slow = || Some(if seen.answered? > self.config.cold_over? { Start::Cold } else { Start::Warm });
        let start = told.or_else(slow);
        let mut state = self.lock();
        state.begun = true;
        let fresh = !state.targets.contains_key(&seen.target);
        let pausing = state.targets.entry(seen.target).or_insert_with(|| Pausing::new(seen.ended));
        if fresh {
            self.meters.active(&self.name, seen.target, true);
        }
        let Some((warmed, start)) = pausing.seen(seen, start, self.config.every) else { return };
        self.meters.ended(&self.name, seen.target, warmed, start);
        let verdict = pausing.trial.ended(warmed, start == Start::Cold);
        let tallies = pausing.trial.tallies();
        if let Some(verdict) = verdict {
            pausing.judged(verdict, seen.ended);
            state.news.push(self.news(seen.target, verdict, tallies));
            drop(state);
            self.meters.active(&self.name, seen.target, verdict != Verdict::Stopped);
            self.bell.notify_one();
        }
    }

    fn news(&self, target: TargetIndex, verdict: Verdict, [warmed, alone]: [Tally; 2]) -> System {
        System::Warming(Warming {
            function: self.function.clone(),
            target,
            verdict,
            every_ms: self.every_ms(),
            warmed,
            alone,
        })
    }

    fn every_ms(&self) -> u64 {
        u64::try_from(self.config.every.as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes up what a record told so long ago, before anything else is known.
    fn recall(&self, told: &Warming, now: Instant, ago: Duration) {
        if told.every_ms != self.every_ms() {
            return;
        }
        let pausing = Pausing::recalled(Trial::recalled(told.verdict, [told.warmed, told.alone]), now, ago);
        let mut state = self.lock();
        state.targets.entry(told.target).or_insert(pausing);
        let stopped = told.verdict == Verdict::Stopped;
        state.begun |= stopped;
        self.meters.active(&self.name, told.target, !stopped);
    }

    /// What is known and not recorded yet, to be taken up after the next start.
    fn known(&self) -> Vec<System> {
        let mut state = self.lock();
        let mut known = std::mem::take(&mut state.news);
        for (target, pausing) in &state.targets {
            let (verdict, tallies) = (pausing.trial.verdict(), pausing.trial.tallies());
            // When it was stopped is recorded already, and counts from then.
            if verdict != Verdict::Stopped && tallies.iter().any(|tally| tally.pauses > 0) {
                known.push(self.news(*target, verdict, tallies));
            }
        }
        known
    }

    /// What is to be recorded.
    fn take_news(&self) -> Vec<System> {
        std::mem::take(&mut self.lock().news)
    }

    /// What did not fit into the log stays to be said.
    fn put_back(&self, news: impl Iterator<Item = System>) {
        self.lock().news.splice(..0, news);
    }

    /// Takes what is due; each must be given back to [`Self::done`].
    fn take_due(&self, now: Instant) -> Vec<Due> {
        let mut state = self.lock();
        if !state.begun {
            state.begun = true;
            return vec![Due::Any];
        }
        // Whoever runs keeps an instance; another one started beside it would be for nobody.
        let occupied = self.running.load(Relaxed) > 0;
        let mut due = Vec::new();
        for (target, pausing) in &mut state.targets {
            if pausing.again(now) {
                self.meters.active(&self.name, *target, true);
            }
            if pausing.due(&self.config).is_none_or(|at| at > now) {
                continue;
            }
            if occupied {
                pausing.put_off(now);
            } else {
                pausing.begin();
                due.push(Due::Target(*target));
            }
        }
        due
    }

    /// When to look again. A pause that begins after this moment has its first call later.
    fn look_again(&self, now: Instant) -> Instant {
        let again = now + self.config.every;
        self.next().map_or(again, |next| next.min(again))
    }

    /// When the next call is due, as far as pauses have begun.
    fn next(&self) -> Option<Instant> {
        let state = self.lock();
        if !state.begun {
            return Some(Instant::now());
        }
        state.targets.values().filter_map(|pausing| pausing.due(&self.config)).min()
    }

    /// The calls of one that was due are over; tells whether that they failed is news.
    fn done(&self, due: Due, (answered, failed): (usize, usize), now: Instant) -> bool {
        self.meters.called(&self.name, answered, failed);
        let mut state = self.lock();
        if let Due::Target(target) = due
            && let Some(pausing) = state.targets.get_mut(&target)
        {
            pausing.done(now);
        }
        let failed_before = std::mem::replace(&mut state.failing, failed > 0);
        failed > 0 && !failed_before
    }
}

impl Running {
    /// An attempt of it ended.
    pub(crate) fn seen(&self, seen: &Seen) {
        self.0.seen(seen);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}
