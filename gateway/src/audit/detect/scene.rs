//! What a detector is given with a record: when it is, what may be judged, and where findings go.

use super::{
    Unjudged, Why,
    finding::{Detector, Finding, Unit},
    sight::Place,
};
use jiff::Timestamp;
use std::time::Duration;

/// Microseconds of a day.
pub(super) const DAY: i64 = 24 * HOUR;
/// Microseconds of an hour.
pub(super) const HOUR: i64 = 3_600 * SECOND;
/// Microseconds of a second.
pub(super) const SECOND: i64 = 1_000_000;

/// See the file's first line. Times are microseconds since 1970.
pub(super) struct Scene<'a> {
    /// When the record was handed to the log.
    pub(super) at: i64,
    /// When the first one was.
    pub(super) began: i64,
    /// How long must have been watched before something is unusual.
    pub(super) learn: i64,
    pub(super) place: Place,
    pub(super) found: &'a mut Vec<Finding>,
    pub(super) unjudged: &'a mut Unjudged,
}

impl Scene<'_> {
    /// Since when a memory is whole: since the log began, or since the newest of what it had to forget was seen.
    pub(super) fn known_since(&self, forgotten: Option<i64>) -> i64 {
        forgotten.map_or(self.began, |forgotten| forgotten.max(self.began))
    }

    /// Whether a memory goes back so far that what is not in it is unusual. If it would but for what it had to forget,
    /// that is counted.
    pub(super) fn has_learned(&mut self, forgotten: Option<i64>, detector: Detector) -> bool {
        let learned = self.age(self.known_since(forgotten)) >= self.learn;
        if !learned && self.age(self.began) >= self.learn {
            self.not_judged(detector, Why::Memory);
        }
        learned
    }

    /// How long ago an instant is.
    pub(super) fn age(&self, since: i64) -> i64 {
        self.at.saturating_sub(since)
    }

    pub(super) fn not_judged(&mut self, detector: Detector, why: Why) {
        *self.unjudged.entry(detector).or_default().entry(why).or_default() += 1;
    }

    /// A finding of this record, to be filled in.
    pub(super) fn finding(
        &self,
        detector: Detector,
        (count, threshold, unit): (u64, u64, Unit),
        since: i64,
    ) -> Finding {
        Finding {
            detector,
            caller: None,
            function: None,
            network: None,
            bundle: None,
            by: None,
            count,
            threshold,
            unit,
            since: instant(since),
            of_call: None,
            record: self.place,
        }
    }
}

/// A duration in microseconds.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Whole units in a time that is not negative.
pub(super) fn whole(time: i64, unit: i64) -> u64 {
    u64::try_from(time.div_euclid(unit)).unwrap_or(0)
}

/// The instant of a number of microseconds; of records they always are in range.
pub(super) fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}
