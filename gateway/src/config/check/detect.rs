//! `[audit.detect]`: thresholds within limits, hours and zones that exist.

use super::{calendar::weekday, issuer::kind_of};
use crate::config::{
    Calendar, Function,
    detect::{Denials, Detect, FirstSeen, NewNetwork, OffHours, Outcomes, PolicyChange, Volume},
    raw,
    raw::At,
    value::{Desk, shorten},
};
use jiff::{civil::Time, tz::TimeZone};
use std::{ops::RangeInclusive, sync::Arc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Added to the longest time-out of a function: recording the end takes time, too.
const RECORDING: Duration = MINUTE;
/// Most networks that are never new.
const KNOWN_MAX: usize = 1_000;

pub(crate) fn detect(
    written: Option<&raw::detect::Detect>,
    calendars: &[Arc<Calendar>],
    desk: &mut Desk<'_>,
) -> Detect {
    let Some(written) = written else { return Detect::default() };
    let on = |enabled: Option<bool>| enabled.unwrap_or(true);
    let default = Detect::default();
    Detect {
        enabled: on(written.enabled),
        learn: desk.duration(written.learn.as_ref(), default.learn, Duration::ZERO..=90 * DAY),
        remember: desk.duration(written.remember.as_ref(), default.remember, DAY..=1_000 * DAY),
        findings_per_hour: number(written.findings_per_hour.as_ref(), default.findings_per_hour, 1..=10_000, desk),
        first_seen: on(written.first_seen.enabled).then(|| first_seen(&written.first_seen, desk)),
        denials: on(written.denials.enabled).then(|| denials(&written.denials, desk)),
        volume: on(written.volume.enabled).then(|| volume(&written.volume, desk)),
        off_hours: on(written.off_hours.enabled).then(|| off_hours(&written.off_hours, calendars, desk)),
        new_network: on(written.new_network.enabled).then(|| new_network(&written.new_network, desk)),
        policy_change: on(written.policy_change.enabled).then(|| {
            let default = PolicyChange::default().within;
            PolicyChange { within: desk.duration(written.policy_change.within.as_ref(), default, SECOND..=30 * DAY) }
        }),
        outcomes: on(written.outcomes.enabled).then(|| Outcomes {
            within: desk.duration(written.outcomes.within.as_ref(), Duration::ZERO, SECOND..=7 * DAY),
        }),
    }
}

/// The time after which every answer must have come, unless it is configured.
pub(crate) fn wait_for(functions: &[Function], detect: &mut Detect) {
    if let Some(outcomes) = detect.outcomes.as_mut().filter(|outcomes| outcomes.within.is_zero()) {
        outcomes.within = functions.iter().map(|f| f.timeout).max().unwrap_or(MINUTE) + RECORDING;
    }
}

fn first_seen(written: &raw::detect::FirstSeen, desk: &mut Desk<'_>) -> FirstSeen {
    let default = FirstSeen::default();
    FirstSeen {
        peers: fraction(written.peers.as_ref(), default.peers, 0.0..=1.0, desk),
        settle: desk.duration(written.settle.as_ref(), default.settle, Duration::ZERO..=90 * DAY),
    }
}

fn denials(written: &raw::detect::Denials, desk: &mut Desk<'_>) -> Denials {
    let default = Denials::default();
    Denials {
        within: desk.duration(written.within.as_ref(), default.within, SECOND..=DAY),
        caller: number(written.caller.as_ref(), default.caller, 1..=1_000_000, desk),
        network: number(written.network.as_ref(), default.network, 1..=1_000_000, desk),
        factor: fraction(written.factor.as_ref(), default.factor, 1.0..=1_000.0, desk),
    }
}

fn volume(written: &raw::detect::Volume, desk: &mut Desk<'_>) -> Volume {
    let default = Volume::default();
    Volume {
        calls_min: number(written.calls_min.as_ref(), default.calls_min, 1..=1_000_000_000, desk),
        factor: fraction(written.factor.as_ref(), default.factor, 1.0..=1_000.0, desk),
    }
}

fn off_hours(written: &raw::detect::OffHours, calendars: &[Arc<Calendar>], desk: &mut Desk<'_>) -> OffHours {
    let calendar = written.calendar.as_ref().and_then(|written| {
        let found = calendars.iter().find(|calendar| *calendar.name == *written.value).cloned();
        if found.is_none() {
            desk.unknown("unknown_calendar", "calendar", written, calendars.iter().map(|calendar| &*calendar.name));
        }
        found
    });
    if let (Some(_), Some(day)) = (&written.calendar, written.weekend.as_ref().and_then(|days| days.first())) {
        desk.error("unused_key", &day.span, "the calendar says which days are without business");
    }
    let default = OffHours::default();
    let kinds = match &written.kinds {
        None => default.kinds,
        Some(kinds) => kinds.value.iter().map(|kind| kind_of(*kind)).collect(),
    };
    OffHours {
        zone: written.zone.as_ref().map_or(TimeZone::UTC, |zone| desk.time_zone(zone)),
        hours: written.hours.as_ref().and_then(|hours| between(hours, desk)),
        weekend: match &written.weekend {
            None => default.weekend,
            Some(days) => days.iter().map(|day| weekday(day.value)).collect(),
        },
        calendar,
        kinds,
        days: number(written.days.as_ref(), default.days, 1..=60, desk),
        distance: number(written.distance.as_ref(), default.distance, 1..=12, desk),
    }
}

/// `"07:00-19:00"`, as minutes of the day. Hours may go over midnight.
fn between(written: &At<String>, desk: &mut Desk<'_>) -> Option<(u16, u16)> {
    let minute = |text: &str| {
        let time: Time = text.parse().ok().filter(|_| text.len() == "07:00".len())?;
        u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).ok()
    };
    let parsed = written.value.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    let parsed = parsed.filter(|(from, to)| from != to);
    if parsed.is_none() {
        let message = format!("`{}` are no hours", shorten(&written.value));
        desk.error_help("bad_time", &written.span, message, "such as `07:00-19:00`");
    }
    parsed
}

fn new_network(written: &raw::detect::NewNetwork, desk: &mut Desk<'_>) -> NewNetwork {
    if let Some(network) = written.known.get(KNOWN_MAX) {
        desk.error("too_many", &network.span, format!("at most {KNOWN_MAX} networks are known"));
    }
    let default = NewNetwork::default();
    NewNetwork {
        ipv4_prefix: number(written.ipv4_prefix.as_ref(), default.ipv4_prefix, 8..=32, desk),
        ipv6_prefix: number(written.ipv6_prefix.as_ref(), default.ipv6_prefix, 16..=128, desk),
        days: number(written.days.as_ref(), default.days, 1..=60, desk),
        shared: number(written.shared.as_ref(), default.shared, 1..=1_000, desk),
        networks_max: number(written.networks_max.as_ref(), default.networks_max, 1..=64, desk),
        known: written.known.iter().filter_map(|network| desk.network(network)).collect(),
    }
}

fn fraction(written: Option<&At<f64>>, default: f64, limits: RangeInclusive<f64>, desk: &mut Desk<'_>) -> f64 {
    let Some(At { value, span }) = written else { return default };
    if limits.contains(value) {
        return *value;
    }
    desk.error("out_of_range", span, format!("{value} is not between {} and {}", limits.start(), limits.end()));
    default
}

/// A number within limits, in the type of its default.
fn number<N: Copy + Into<u64> + TryFrom<u64>>(
    written: Option<&At<i64>>,
    default: N,
    limits: RangeInclusive<u64>,
    desk: &mut Desk<'_>,
) -> N {
    N::try_from(desk.number(written, default.into(), limits)).unwrap_or(default)
}
