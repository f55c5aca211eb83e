//! How many refusals of somebody unknown are recorded: few enough that nobody can fill the log with them.

use jiff::Timestamp;
use std::sync::{Mutex, PoisonError};

/// Most in a minute.
const PER_MINUTE_MAX: u32 = 60;

/// What was recorded in the minute that runs.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<(i64, u32)>);

impl Strangers {
    /// Whether one more is recorded.
    pub(super) fn take(&self, now: Timestamp) -> bool {
        let minute = now.as_second().div_euclid(60);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != minute {
            *seen = (minute, 0);
        }
        seen.1 = seen.1.saturating_add(1);
        seen.1 <= PER_MINUTE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn a_minute_has_an_end() {
        let strangers = Strangers::default();
        let now: Timestamp = "2026-11-28T04:00:30Z".parse().unwrap();
        let taken = (0..100).filter(|_| strangers.take(now)).count();
        assert_eq!(taken, 60);
        assert!(!strangers.take(now + SignedDuration::from_secs(29)));
        assert!(strangers.take(now + SignedDuration::from_secs(30)));
    }
}
