//! Moments as people write them.

use jiff::{Span, Timestamp, ZonedDateTime, civil};

/// A moment: RFC 3339, a date or a time of day without zone (in that of `now`), or how long ago, such as `90m` or `7d`.
///
/// # Errors
/// What it should be.
pub fn parse(text: &str, now: &ZonedDateTime) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let ago = || now.checked_sub(text.parse::<Span>().ok()?).ok();
    // Before dates: a span is never one.
    if let Some(moment) = ago() {
        return Ok(moment.timestamp());
    }
    let civil =
        text.parse::<civil::DateTime>().ok().and_then(|civil| civil.to_zoned_datetime(now.time_zone().clone()).ok());
    civil.map(|moment| moment.timestamp()).ok_or_else(|| {
        format!("`{text}` is no moment; one is like `2026-11-28T09:00:00Z`, `2026-11-28`, or `1h` for an hour ago")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::{TimeZone, offset};

    #[test]
    fn moments_are_absolute_or_ago() {
        let now = "2026-11-28T09:00:00Z".parse::<Timestamp>().unwrap().to_zoned_datetime(TimeZone::fixed(offset(2)));
        let cases = [
            ("2026-11-28T08:00:00Z", Some("2026-11-28T08:00:00Z")),
            ("2026-11-28T08:00:00.5+01:00", Some("2026-11-28T07:00:00.5Z")),
            ("2026-11-28", Some("2026-11-27T22:00:00Z")),
            ("2026-11-28T08:00", Some("2026-11-28T06:00:00Z")),
            ("1h", Some("2026-11-28T08:00:00Z")),
            ("1h30m", Some("2026-11-28T07:30:00Z")),
            ("90 minutes", Some("2026-11-28T07:30:00Z")),
            ("7d", Some("2026-11-21T09:00:00Z")),
            ("PT1H", Some("2026-11-28T08:00:00Z")),
            ("", None),
            ("yesterday", None),
            ("1", None),
            ("99999999999y", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|moment| moment.parse::<Timestamp>().unwrap());
            assert_eq!(parse(text, &now).ok(), expected, "`{text}`");
        }
    }
}
