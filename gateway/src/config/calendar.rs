//! `[calendar.NAME]`: which days are business days, and when nothing may change.

use jiff::{
    Timestamp,
    civil::{Date, Weekday},
};
use std::{collections::BTreeSet, sync::Arc};

/// A calendar, known up to a day: after it nothing is said, so that a list nobody kept up opens no door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Name.
    pub name: Arc<str>,
    /// Days of the week without business.
    pub weekend: Vec<Weekday>,
    /// Days without business besides.
    pub holidays: BTreeSet<Date>,
    /// The last day that is known.
    pub known_through: Date,
    /// Times of a freeze.
    pub freezes: Vec<Freeze>,
}

/// From an instant until just before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

impl Calendar {
    /// Whether there is business on a day; `None` after the last day that is known.
    #[must_use]
    pub fn business_day(&self, day: Date) -> Option<bool> {
        let business = !self.weekend.contains(&day.weekday()) && !self.holidays.contains(&day);
        (day <= self.known_through).then_some(business)
    }

    /// Whether a freeze is in force at an instant of a day; `None` after the last day that is known.
    #[must_use]
    pub fn frozen(&self, now: Timestamp, day: Date) -> Option<bool> {
        let frozen = self.freezes.iter().any(|freeze| freeze.from <= now && now < freeze.until);
        (day <= self.known_through).then_some(frozen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn calendar() -> Calendar {
        Calendar {
            name: "bank".into(),
            weekend: vec![Weekday::Saturday, Weekday::Sunday],
            holidays: [date(2026, 12, 25)].into(),
            known_through: date(2026, 12, 31),
            freezes: vec![Freeze {
                from: "2026-12-30T17:00:00Z".parse().unwrap(),
                until: "2027-01-02T07:00:00Z".parse().unwrap(),
            }],
        }
    }

    #[test]
    fn weekends_and_holidays_are_no_business_days() {
        let days = [(24, true), (25, false), (26, false), (27, false), (28, true)];
        for (day, business) in days {
            assert_eq!(calendar().business_day(date(2026, 12, day)), Some(business), "{day}");
        }
    }

    #[test]
    fn a_freeze_holds_from_its_first_instant_and_ends_with_its_last() {
        let instants = [("16:59:59.999", false), ("17:00:00", true), ("23:00:00", true)];
        for (at, frozen) in instants {
            let now = format!("2026-12-30T{at}Z").parse().unwrap();
            assert_eq!(calendar().frozen(now, date(2026, 12, 30)), Some(frozen), "{at}");
        }
        let after = Calendar { known_through: date(2027, 12, 31), ..calendar() };
        assert_eq!(after.frozen("2027-01-02T06:59:59Z".parse().unwrap(), date(2027, 1, 2)), Some(true));
        assert_eq!(after.frozen("2027-01-02T07:00:00Z".parse().unwrap(), date(2027, 1, 2)), Some(false));
    }

    #[test]
    fn after_the_last_known_day_nothing_is_said() {
        let day = date(2027, 1, 1);
        assert_eq!(calendar().business_day(day), None);
        assert_eq!(calendar().frozen("2027-01-01T12:00:00Z".parse().unwrap(), day), None);
    }
}
