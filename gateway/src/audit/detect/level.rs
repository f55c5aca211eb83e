//! How much there usually is: the most of the weeks before, by hour of the day, against a count that slides.

use super::scene::{DAY, HOUR};
use serde::{Deserialize, Serialize};

/// Steps of the time over which is counted.
const STEPS: usize = 12;
const HOURS: usize = 24;
/// Each day the most of the days before counts for a part less: one of so many.
const FADE: u32 = 32;
/// Days after which nothing is left, or nearly.
const FADED_DAYS: i64 = 90;
/// What there is counts for what is usual after so many hours: a burst does not make itself usual.
const LAG: i64 = 3;
/// At hours when there is nothing as a rule, this part of the most of all hours is usual.
const ELSEWHERE: u32 = 2;

/// See the file's first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Level {
    /// When it was made.
    pub(super) since: i64,
    /// Too much was found, and has not ended.
    pub(super) found: bool,
    step: i64,
    counts: [u32; STEPS],
    sum: u32,
    peaks: [u32; HOURS],
    /// The most of the last hours, which are not among those yet; of each hour of the day that of the last time.
    recent: [u32; HOURS],
    day: i64,
    /// More than this is not learned while too much is found.
    limit: u32,
}

impl Level {
    pub(super) fn new(at: i64, within: i64) -> Self {
        let (step, day) = (at.div_euclid(length(within)), at.div_euclid(DAY));
        let (counts, peaks, recent) = ([0; STEPS], [0; HOURS], [0; HOURS]);
        Self { since: at, found: false, step, counts, sum: 0, peaks, recent, day, limit: u32::MAX }
    }

    /// Counts so many at an instant; answers how many there were within the time until then.
    pub(super) fn add(&mut self, many: u32, at: i64, within: i64) -> u32 {
        self.advance(at, within);
        if let Some(count) = self.counts.get_mut(slot(self.step, STEPS)) {
            *count = count.saturating_add(many);
        }
        self.sum = self.sum.saturating_add(many);
        self.sum
    }

    /// The most that is usual about an hour of the day.
    pub(super) fn usual(&self, at: i64) -> u32 {
        let hour = at.div_euclid(HOUR);
        let near = [hour - 1, hour, hour + 1].map(|hour| self.peaks.get(slot(hour, HOURS)).copied().unwrap_or(0));
        near.into_iter().max().unwrap_or(0).max(self.most() / ELSEWHERE)
    }

    /// The most that is usual at any hour.
    pub(super) fn most(&self) -> u32 {
        self.peaks.into_iter().max().unwrap_or(0)
    }

    /// Whether there is too much for the first time since there was not.
    pub(super) fn exceeds(&mut self, threshold: u32) -> bool {
        if self.found {
            self.found = self.sum >= threshold / 2;
            return false;
        }
        self.found = self.sum >= threshold;
        self.limit = if self.found { threshold } else { u32::MAX };
        self.found
    }

    fn advance(&mut self, at: i64, within: i64) {
        let step = at.div_euclid(length(within));
        if step <= self.step {
            return;
        }
        let hour = self.step.saturating_mul(length(within)).div_euclid(HOUR);
        if let Some(peak) = self.recent.get_mut(slot(hour, HOURS)) {
            // What is too much once is usual only in part: the same again is found again.
            *peak = (*peak).max(self.sum.min(self.limit));
        }
        let now = step.saturating_mul(length(within)).div_euclid(HOUR);
        let passed = now.saturating_sub(hour).clamp(0, HOURS as i64);
        for old in now - LAG - passed..now - LAG {
            let slot = slot(old, HOURS);
            if let (Some(recent), Some(peak)) = (self.recent.get_mut(slot), self.peaks.get_mut(slot)) {
                *peak = (*peak).max(std::mem::take(recent));
            }
        }
        let passed = step.saturating_sub(self.step);
        if passed >= STEPS as i64 {
            (self.counts, self.sum) = ([0; STEPS], 0);
        } else {
            for step in self.step + 1..=step {
                if let Some(count) = self.counts.get_mut(slot(step, STEPS)) {
                    self.sum = self.sum.saturating_sub(*count);
                    *count = 0;
                }
            }
        }
        self.step = step;
        self.fade(at.div_euclid(DAY));
    }

    fn fade(&mut self, day: i64) {
        for _ in 0..day.saturating_sub(self.day).clamp(0, FADED_DAYS) {
            self.peaks.iter_mut().for_each(|peak| *peak -= *peak / FADE);
        }
        self.day = day;
    }
}

/// The length of a step.
fn length(within: i64) -> i64 {
    (within / STEPS as i64).max(1)
}

fn slot(number: i64, of: usize) -> usize {
    usize::try_from(number.rem_euclid(of as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = HOUR / 60;

    #[test]
    fn a_count_slides() {
        let mut level = Level::new(0, HOUR);
        assert_eq!(level.add(3, 0, HOUR), 3);
        assert_eq!(level.add(2, 59 * MINUTE, HOUR), 5);
        assert_eq!(level.add(1, 60 * MINUTE, HOUR), 3);
        assert_eq!(level.add(1, 30 * MINUTE, HOUR), 4, "a clock that was set back counts where it was");
        assert_eq!(level.add(1, 200 * MINUTE, HOUR), 1);
    }

    #[test]
    fn the_most_is_by_hour_comes_late_and_fades() {
        let mut level = Level::new(0, HOUR);
        level.add(1000, 10 * HOUR, HOUR);
        level.add(0, 11 * HOUR, HOUR);
        assert_eq!((level.most(), level.usual(11 * HOUR)), (0, 0), "a burst does not make itself usual");
        level.add(40, 20 * HOUR, HOUR);
        level.add(0, DAY, HOUR);
        assert_eq!((level.usual(DAY + 10 * HOUR), level.usual(DAY + 11 * HOUR)), (969, 969));
        assert_eq!((level.usual(DAY + 20 * HOUR), level.most()), (484, 969));
        level.add(0, 30 * DAY, HOUR);
        assert!((300..500).contains(&level.most()), "{}", level.most());
    }

    #[test]
    fn too_much_is_found_once_and_learned_in_part() {
        let mut level = Level::new(0, HOUR);
        level.add(100, 0, HOUR);
        assert!(!level.exceeds(101));
        level.add(900, MINUTE, HOUR);
        assert!(level.exceeds(300) && !level.exceeds(300));
        level.add(0, 6 * HOUR, HOUR);
        assert!(!level.exceeds(300) && !level.found);
        assert_eq!(level.most(), 300);
    }
}
