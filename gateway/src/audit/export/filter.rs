//! Which records are exported: those of a time, and of some calls.

use crate::audit::{
    query::Line,
    record::{Kind, Outcome},
};
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use std::borrow::Cow;

/// What any refusal is called.
const REFUSED: &str = "refused";

/// See the file's first line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Only calls of this function.
    pub function: Option<String>,
    /// Only calls of this caller.
    pub caller: Option<String>,
    /// Only calls that ended so: an outcome, the word of a refusal, or `refused`.
    pub outcome: Option<String>,
}

/// What of the records of a call is looked at.
#[derive(Deserialize)]
struct Seen<'a> {
    #[serde(default, borrow)]
    function: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    principal: Option<Who<'a>>,
    #[serde(default, borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(default)]
    outcome: Option<Outcome>,
}

#[derive(Deserialize)]
struct Who<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl Filter {
    /// Whether it is about calls, and so lets nothing else through.
    #[must_use]
    pub fn is_of_calls(&self) -> bool {
        self.function.is_some() || self.caller.is_some() || self.outcome.is_some()
    }

    /// Whether a record by itself is let through.
    pub(super) fn takes(&self, line: &Line) -> bool {
        !self.is_of_calls() && self.is_in_time(line)
    }

    /// Whether a call is let through. Its beginning says when it was.
    pub(super) fn takes_call(&self, records: &[Line]) -> bool {
        let seen: Vec<Seen<'_>> = records.iter().filter_map(|line| serde_json::from_slice(&line.bytes).ok()).collect();
        let function = |seen: &Seen<'_>| seen.function.as_deref() == self.function.as_deref();
        let caller = |seen: &Seen<'_>| seen.principal.as_ref().map(|who| &*who.id) == self.caller.as_deref();
        let ended = |seen: &Seen<'_>| match (&seen.refusal, seen.outcome) {
            (Some(refusal), _) => self.outcome.as_deref().is_some_and(|word| word == REFUSED || word == refusal),
            (None, outcome) => outcome.map(Outcome::as_str) == self.outcome.as_deref(),
        };
        records.first().is_some_and(|line| self.is_in_time(line))
            && (self.function.is_none() || seen.iter().any(function))
            && (self.caller.is_none() || seen.iter().any(caller))
            && (self.outcome.is_none() || seen.iter().any(ended))
    }

    fn is_in_time(&self, line: &Line) -> bool {
        self.since.is_none_or(|since| line.head.at >= since) && self.until.is_none_or(|until| line.head.at < until)
    }
}

/// Reads a time: `2026-11-28T08:00:00Z`, a day (its beginning in UTC), or how long ago, such as `24h`.
///
/// # Errors
/// What would be one.
pub fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Some(begin) = text.parse::<Date>().ok().and_then(|day| day.to_zoned_datetime(TimeZone::UTC).ok()) {
        return Ok(begin.timestamp());
    }
    let ago = text.parse::<Span>().ok().filter(|ago| ago.is_positive());
    let hours = ago.and_then(|ago| ago.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok());
    hours.and_then(|ago| Timestamp::now().checked_sub(ago).ok()).ok_or_else(|| {
        "a time such as `2026-11-28T08:00:00Z`, a day, or how long ago, such as `24h` or `7d`".to_owned()
    })
}

/// Whether a record begins a call.
pub(super) fn begins(line: &Line) -> bool {
    matches!(line.head.kind, Kind::Intent | Kind::Refused)
}
