//! `[calendar.NAME]` as written.

use super::At;
use schemars::JsonSchema;
use serde::Deserialize;

/// `[calendar.NAME]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Calendar {
    /// The last day that is known, such as `"2027-12-31"`: after it `business_day` and `frozen` are missing.
    #[schemars(required)]
    pub(crate) known_through: Option<At<String>>,
    /// Days of the week without business. Default `["saturday", "sunday"]`.
    pub(crate) weekend: Option<Vec<At<Weekday>>>,
    /// Days without business besides, such as `"2026-12-25"`.
    pub(crate) holidays: Vec<At<String>>,
    /// Times when nothing may change.
    pub(crate) freezes: Vec<At<Freeze>>,
}

/// `{ from = "2026-12-30T17:00:00Z", until = "2027-01-02T07:00:00Z" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Freeze {
    /// Its first instant (RFC 3339).
    #[schemars(required)]
    pub(crate) from: Option<At<String>>,
    /// The first instant after it.
    #[schemars(required)]
    pub(crate) until: Option<At<String>>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}
