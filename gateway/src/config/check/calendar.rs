//! `[calendar.*]`: days and instants that exist, in order, and not over yet.

use crate::config::{
    Calendar, Freeze, raw,
    raw::{At, Named},
    value::{Desk, shorten},
};
use jiff::{
    Timestamp,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use std::{collections::BTreeSet, ops::Range, sync::Arc};

/// Most holidays, and most freezes, of a calendar.
const DAYS_MAX: usize = 1_000;
/// From when on the end of a calendar is told.
const ENDS_SOON_SECONDS: i64 = 30 * 86_400;

pub(crate) fn calendars(written: &Named<raw::Calendar>, desk: &mut Desk<'_>) -> Vec<Arc<Calendar>> {
    let mut all = Vec::new();
    for (name, table) in written {
        let named = desk.name("a calendar", name);
        let known_through = desk.required("known_through", &table.known_through, &name.span);
        let known_through = known_through.and_then(|written| {
            let day = date(written, desk)?;
            ends(day, &written.span, desk);
            Some(day)
        });
        for (list, many) in [("holidays", table.holidays.len()), ("freezes", table.freezes.len())] {
            if many > DAYS_MAX {
                desk.error("too_many", &name.span, format!("a calendar has at most {DAYS_MAX} {list}"));
            }
        }
        let holidays: BTreeSet<Date> = table.holidays.iter().filter_map(|day| date(day, desk)).collect();
        let freezes = table.freezes.iter().filter_map(|written| freeze(written, desk)).collect();
        let weekend = match &table.weekend {
            None => vec![Weekday::Saturday, Weekday::Sunday],
            Some(days) => days.iter().map(|day| weekday(day.value)).collect(),
        };
        if let (Some(name), Some(known_through)) = (named, known_through) {
            all.push(Arc::new(Calendar { name, weekend, holidays, known_through, freezes }));
        }
    }
    all
}

/// Warns of a calendar that has ended or soon will.
fn ends(day: Date, span: &Range<usize>, desk: &mut Desk<'_>) {
    let end = day.tomorrow().and_then(|after| TimeZone::UTC.to_timestamp(after.at(0, 0, 0, 0)));
    let message = match end.map(|end| end.as_second() - Timestamp::now().as_second()) {
        Ok(left) if left <= 0 => "the calendar is over: `business_day` and `frozen` are missing",
        Ok(left) if left < ENDS_SOON_SECONDS => {
            "the calendar ends within 30 days; then `business_day` and `frozen` are missing"
        }
        Ok(_) | Err(_) => return,
    };
    desk.warn("calendar_ends", span, message, "add the holidays to come, and move `known_through`");
}

/// A day such as `2027-01-31`.
pub(crate) fn date(written: &At<String>, desk: &mut Desk<'_>) -> Option<Date> {
    let day: Option<Date> = written.value.parse().ok();
    let day = day.filter(|day| day.to_string() == written.value);
    if day.is_none() {
        let message = format!("`{}` is no date", shorten(&written.value));
        desk.error_help("bad_date", &written.span, message, "such as `2027-01-31`");
    }
    day
}

fn freeze(written: &At<raw::Freeze>, desk: &mut Desk<'_>) -> Option<Freeze> {
    let from = desk.required("from", &written.value.from, &written.span);
    let until = desk.required("until", &written.value.until, &written.span);
    let (from, until) = (instant(from?, desk), instant(until?, desk));
    let (from, until) = (from?, until?);
    if from >= until {
        desk.error("bad_time", &written.span, "the freeze ends before it begins");
        return None;
    }
    Some(Freeze { from, until })
}

fn instant(written: &At<String>, desk: &mut Desk<'_>) -> Option<Timestamp> {
    let instant = written.value.parse().ok();
    if instant.is_none() {
        let message = format!("`{}` is no instant", shorten(&written.value));
        desk.error_help("bad_time", &written.span, message, "with its zone, such as `2026-12-30T17:00:00Z`");
    }
    instant
}

pub(crate) fn weekday(day: raw::Weekday) -> Weekday {
    match day {
        raw::Weekday::Monday => Weekday::Monday,
        raw::Weekday::Tuesday => Weekday::Tuesday,
        raw::Weekday::Wednesday => Weekday::Wednesday,
        raw::Weekday::Thursday => Weekday::Thursday,
        raw::Weekday::Friday => Weekday::Friday,
        raw::Weekday::Saturday => Weekday::Saturday,
        raw::Weekday::Sunday => Weekday::Sunday,
    }
}
