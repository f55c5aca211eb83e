//! A call at an hour at which its caller does not work: outside of hours that are configured, or of its own.

use super::{
    finding::{Detector, Finding, Unit},
    memory::Memory,
    scene::{DAY, HOUR, Scene, instant},
    sight::Used,
};
use crate::config::detect::OffHours;
use jiff::{Timestamp, civil::DateTime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most callers whose hours are known.
const CALLERS_MAX: usize = 20_000;
const HOURS: usize = 24;
/// On so many days a caller must have been seen in an hour before that is one of its own.
const HABIT_DAYS: u8 = 2;
/// The hours after midnight are of the day before: so long.
const NIGHT: i64 = 4 * HOUR;
/// Weekends are known after so many weeks.
const WEEKENDS_AFTER: i64 = 21 * DAY;
/// A caller who was found is not found again within this time.
const QUIET: i64 = 12 * HOUR;

/// See the file's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    callers: Memory<Arc<str>, Habits>,
}

/// When a caller works.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Habits {
    since: i64,
    /// Days on which it was seen.
    days: u32,
    /// The last of them, by its number, and the hours of it that are counted, as bits.
    day: i64,
    hours: u32,
    /// On how many days it was seen in each hour: business days, and others.
    business: [u8; HOURS],
    other: [u8; HOURS],
    found: Option<i64>,
}

impl State {
    pub(super) fn new(remember: i64) -> Self {
        Self { callers: Memory::new(CALLERS_MAX, remember) }
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.callers.forgotten()
    }

    /// A call was permitted.
    pub(super) fn used(&mut self, config: &OffHours, used: &Used<'_>, scene: &mut Scene<'_>) {
        let who = &used.who;
        if !who.is_known() || !config.kinds.contains(&who.kind) {
            return;
        }
        let local = config.zone.to_datetime(instant(scene.at));
        let business = is_business(config, instant(scene.at.saturating_sub(NIGHT)));
        if self.callers.get(&*who.id, scene.at).is_none() {
            let habits = Habits { since: scene.at, ..Habits::default() };
            self.callers.insert(who.id.as_ref().into(), habits, scene.at);
        }
        let Some(habits) = self.callers.get(&*who.id, scene.at) else { return };
        let day = local.date().duration_since(jiff::civil::date(1970, 1, 1)).as_hours() / 24;
        let hour = usize::try_from(local.hour()).unwrap_or(0) % HOURS;
        let known = habits.days >= config.days && (business || scene.age(habits.since) >= WEEKENDS_AFTER);
        let away = habits.away(config, (business, hour, known), local);
        habits.count(day, business, hour);
        if let Some(away) = away.filter(|_| habits.found.is_none_or(|found| scene.age(found) > QUIET)) {
            habits.found = Some(scene.at);
            let numbers = (away.into(), config.distance.into(), Unit::Hours);
            let mut finding = scene.finding(Detector::OffHours, numbers, scene.at);
            finding.caller = Finding::text(&who.id);
            finding.function = Finding::text(&used.function);
            finding.of_call = Some(used.call);
            scene.found.push(finding);
        }
    }
}

impl Habits {
    /// How far an hour is from those at which the caller works, if that is too far.
    fn away(&self, config: &OffHours, (business, hour, known): (bool, usize, bool), local: DateTime) -> Option<u32> {
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
        let allowed = |(from, to): (u16, u16)| match from < to {
            true => (from..to).contains(&minute),
            false => minute >= from || minute < to,
        };
        if business && config.hours.is_some_and(allowed) {
            return None;
        }
        if !known {
            // Nothing is known of it, so what is configured counts alone.
            return config.hours.map(|_| config.distance);
        }
        let hours = if business { &self.business } else { &self.other };
        let usual = hours.iter().enumerate().filter(|(_, days)| **days >= HABIT_DAYS).map(|(usual, _)| usual);
        let apart = |usual: usize| usual.abs_diff(hour).min(HOURS - usual.abs_diff(hour));
        let nearest = usual.map(apart).min().unwrap_or(HOURS / 2);
        u32::try_from(nearest).ok().filter(|nearest| *nearest >= config.distance)
    }

    fn count(&mut self, day: i64, business: bool, hour: usize) {
        if self.days == 0 || day > self.day {
            (self.day, self.hours) = (day, 0);
            self.days = self.days.saturating_add(1);
        }
        let bit = 1 << hour;
        if self.hours & bit == 0 {
            self.hours |= bit;
            let hours = if business { &mut self.business } else { &mut self.other };
            if let Some(days) = hours.get_mut(hour) {
                *days = days.saturating_add(1);
            }
        }
    }
}

/// Whether there is business on a day. After the last day that a calendar knows, its weekend is all there is.
fn is_business(config: &OffHours, at: Timestamp) -> bool {
    let local = config.zone.to_datetime(at);
    match &config.calendar {
        Some(calendar) => {
            calendar.business_day(local.date()).unwrap_or_else(|| !calendar.weekend.contains(&local.date().weekday()))
        }
        None => !config.weekend.contains(&local.date().weekday()),
    }
}
