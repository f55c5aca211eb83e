//! The pauses of one target: when they begin and end, and when a call is due in one.

use super::{Seen, trial::Trial};
use crate::{audit::record::Verdict, config};
use mesh::report::Start;
use std::time::{Duration, Instant};

/// After how long it is tried again whether calls help.
const AGAIN_AFTER: Duration = Duration::from_secs(86_400);

/// One target.
#[derive(Debug)]
pub(super) struct Pausing {
    pub(super) trial: Trial,
    /// When the pause began that is now.
    since: Instant,
    /// Whether the target is kept warm in it, if the lot was asked.
    drawn: Option<bool>,
    /// The last call of anybody.
    last: Instant,
    /// The gateway's calls run.
    calling: bool,
    /// When it was seen to be no help.
    stopped: Option<Instant>,
}

impl Pausing {
    /// What was not called before has no pause behind it; the one that begins is as any.
    pub(super) fn new(now: Instant) -> Self {
        let trial = Trial::default();
        Self { drawn: Some(trial.draw()), trial, since: now, last: now, calling: false, stopped: None }
    }

    /// As it was when a record told of it, so long ago. The pause since then is not counted: who called is not known.
    pub(super) fn recalled(trial: Trial, now: Instant, ago: Duration) -> Self {
        let stopped = (trial.verdict() == Verdict::Stopped).then(|| now.checked_sub(ago).unwrap_or(now));
        Self { trial, drawn: None, since: now, last: now, calling: false, stopped }
    }

    /// A caller's call ended. Tells whether the pause before it was one to keep warm in, and what the call met, where
    /// both mean something.
    pub(super) fn seen(&mut self, seen: &Seen, start: Option<Start>, every: Duration) -> Option<(bool, Start)> {
        // What began before another ended, ended no pause: only the first of several is looked at.
        let pause = seen.asked.checked_duration_since(self.since);
        let drawn = self.drawn;
        if seen.ended > self.since {
            (self.since, self.drawn) = (seen.ended, Some(self.trial.draw()));
            self.last = self.last.max(seen.ended);
        }
        // In a shorter one no call of the gateway could have come.
        let counts = pause.is_some_and(|pause| pause >= every) && self.stopped.is_none();
        drawn.filter(|_| counts).zip(start)
    }

    /// What follows from the trial now.
    pub(super) fn judged(&mut self, verdict: Verdict, now: Instant) {
        if verdict == Verdict::Stopped {
            (self.stopped, self.drawn) = (Some(now), None);
        }
    }

    /// Whether it is time to try again what was no help.
    pub(super) fn again(&mut self, now: Instant) -> bool {
        let over = self.stopped.is_some_and(|since| now.duration_since(since) >= AGAIN_AFTER);
        if over {
            // The pause that is now was not drawn for.
            (self.trial, self.stopped, self.drawn) = (Trial::default(), None, None);
        }
        over
    }

    /// When the next call is due.
    pub(super) fn due(&self, config: &config::Warm) -> Option<Instant> {
        if let Some(since) = self.stopped {
            return Some(since + AGAIN_AFTER);
        }
        let at = self.last + config.every;
        (self.drawn == Some(true) && !self.calling && at.duration_since(self.since) <= config.idle_max).then_some(at)
    }

    pub(super) fn begin(&mut self) {
        self.calling = true;
    }

    pub(super) fn put_off(&mut self, now: Instant) {
        self.last = now;
    }

    pub(super) fn done(&mut self, now: Instant) {
        (self.calling, self.last) = (false, self.last.max(now));
    }
}
