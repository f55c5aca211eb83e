//! Whether keeping a target warm helps: cold starts after pauses in which it was kept warm, against cold starts after
//! pauses in which it was not. Which pause is which is drawn by lot, so nothing else tells them apart.

use crate::audit::record::{Tally, Verdict};
use std::collections::VecDeque;

/// How many pauses of each kind are remembered, the last ones.
pub(super) const WINDOW: usize = 50;
/// How many of each kind there must be before anything is concluded.
pub(super) const LEAST: usize = 20;
/// The least share of cold starts that must be saved for it to be worth the calls.
const SAVED_MIN: f64 = 0.1;
/// Once it is known to help, one pause in so many is left alone, so that it stays known.
const LEFT_ALONE: usize = 10;
/// Of the normal distribution: 95 % lie above its negative.
const Z: f64 = 1.645;

/// What is known so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial {
    warmed: Window,
    alone: Window,
    verdict: Verdict,
}

/// The last pauses of one kind: whether the call that ended each met a cold start.
#[derive(Clone, Debug, Default)]
struct Window(VecDeque<bool>);

impl Trial {
    /// As far as a record says; in which order pauses came is not known any more.
    pub(super) fn recalled(verdict: Verdict, [warmed, alone]: [Tally; 2]) -> Self {
        Self { warmed: Window::of(warmed), alone: Window::of(alone), verdict }
    }

    /// Whether the pause that begins is one to keep the target warm in.
    pub(super) fn draw(&self) -> bool {
        match self.verdict {
            Verdict::Trying => fastrand::bool(),
            Verdict::Helps => fastrand::usize(..LEFT_ALONE) != 0,
            Verdict::Stopped => false,
        }
    }

    /// A pause ended; tells what follows now if that is not what followed before.
    pub(super) fn ended(&mut self, warmed: bool, cold: bool) -> Option<Verdict> {
        let window = if warmed { &mut self.warmed } else { &mut self.alone };
        window.add(cold);
        let verdict = self.judge();
        let before = std::mem::replace(&mut self.verdict, verdict);
        (before != verdict).then_some(verdict)
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Pauses in which it was kept warm, and those in which it was not.
    pub(super) fn tallies(&self) -> [Tally; 2] {
        [self.warmed.tally(), self.alone.tally()]
    }

    /// By the interval of Agresti and Caffo (The American Statistician 54, 2000), which adds one success and one failure
    /// to either side and so holds for few observations.
    fn judge(&self) -> Verdict {
        let [warmed, alone] = self.tallies();
        if self.verdict == Verdict::Stopped || warmed.pauses.min(alone.pauses) < LEAST {
            return self.verdict;
        }
        let ((warm, spread), (cold, wide)) = (share(warmed), share(alone));
        let (saved, around) = (cold - warm, Z * (spread + wide).sqrt());
        let told_all = warmed.pauses.min(alone.pauses) == WINDOW;
        match self.verdict {
            _ if saved + around < SAVED_MIN => Verdict::Stopped,
            Verdict::Trying if saved - around > 0.0 => Verdict::Helps,
            Verdict::Trying if told_all => Verdict::Stopped,
            verdict => verdict,
        }
    }
}

impl Window {
    fn of(tally: Tally) -> Self {
        let pauses = tally.pauses.min(WINDOW);
        Self((0..pauses).map(|pause| pause < tally.cold).collect())
    }

    fn add(&mut self, cold: bool) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(cold);
    }

    fn tally(&self) -> Tally {
        Tally { pauses: self.0.len(), cold: self.0.iter().filter(|cold| **cold).count() }
    }
}

/// The share of cold starts, as the interval takes it, and its variance.
#[expect(clippy::cast_precision_loss, reason = "windows are small")]
fn share(tally: Tally) -> (f64, f64) {
    let pauses = (tally.pauses + 2) as f64;
    let share = (tally.cold + 1) as f64 / pauses;
    (share, share * (1.0 - share) / pauses)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pauses in turn, each ended by a cold start with the probability of its kind.
    fn tried(mut chance: impl FnMut(bool) -> bool) -> (Verdict, usize) {
        let mut trial = Trial::default();
        for pause in 1..=10 * WINDOW {
            let warmed = pause % 2 == 0;
            if let Some(verdict) = trial.ended(warmed, chance(warmed)) {
                return (verdict, pause);
            }
        }
        (trial.verdict, 10 * WINDOW)
    }

    #[test]
    fn what_saves_every_cold_start_helps_as_soon_as_enough_is_seen() {
        assert_eq!(tried(|warmed| !warmed), (Verdict::Helps, 2 * LEAST));
    }

    #[test]
    fn what_saves_none_is_stopped_however_many_there_are() {
        assert_eq!(tried(|_| true).0, Verdict::Stopped);
        assert_eq!(tried(|_| false).0, Verdict::Stopped);
        // It makes things worse: calls meet an instance that is busy with the gateway's.
        assert_eq!(tried(|warmed| warmed), (Verdict::Stopped, 2 * LEAST));
        let mut every = 0;
        let third = |_| {
            every += 1;
            every % 6 < 2
        };
        let (verdict, pauses) = tried(third);
        assert_eq!(verdict, Verdict::Stopped);
        assert!(pauses <= 2 * WINDOW, "{pauses}");
    }

    #[test]
    fn it_is_seldom_wrong() {
        let mut lot = fastrand::Rng::with_seed(7);
        let mut share = |warmed: f64, alone: f64| {
            let helps =
                |lot: &mut fastrand::Rng| tried(|is| lot.f64() < if is { warmed } else { alone }).0 == Verdict::Helps;
            (0..1000).filter(|_| helps(&mut lot)).count()
        };
        // It is looked at anew with every pause, so more than 5 in 100 are taken for help.
        let (none, some, much) = (share(0.5, 0.5), share(0.2, 0.5), share(0.05, 0.9));
        assert!(none < 200, "{none} of 1000 were said to help and did nothing");
        assert!(some > 850, "{some} of 1000 that save three cold starts in ten were kept");
        assert_eq!(much, 1000);
    }

    #[test]
    fn what_helped_is_stopped_once_nothing_is_cold_any_more() {
        let mut trial = Trial::default();
        for _ in 0..LEAST {
            trial.ended(true, false);
            trial.ended(false, true);
        }
        assert_eq!(trial.verdict, Verdict::Helps);
        let drawn = (0..1000).filter(|_| trial.draw()).count();
        assert!((800..=960).contains(&drawn), "{drawn}");
        let mut said = Vec::new();
        for _ in 0..WINDOW {
            said.extend(trial.ended(false, false));
        }
        assert_eq!((said, trial.verdict), (vec![Verdict::Stopped], Verdict::Stopped));
        assert!((0..100).all(|_| !trial.draw()));
        assert_eq!(trial.ended(false, true), None, "it stays so until it is tried again");
    }
}
