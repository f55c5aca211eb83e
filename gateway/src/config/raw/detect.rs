//! `[audit.detect]` as written.

use super::{At, Kind, calendar::Weekday};
use schemars::JsonSchema;
use serde::Deserialize;

/// `[audit.detect]`: what is unusual in the log is recorded, logged and counted. Each detector has a table of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Detect {
    /// Whether the running gateway watches. Default true where this table is; without it nothing is watched.
    pub(crate) enabled: Option<bool>,
    /// Nothing is unusual before the log, or a caller, has been watched for so long. Default `"7d"`.
    pub(crate) learn: Option<At<String>>,
    /// What was not seen for so long is forgotten. Default `"90d"`.
    pub(crate) remember: Option<At<String>>,
    /// Findings of one detector in an hour that are recorded one by one; more are counted. Default 30.
    pub(crate) findings_per_hour: Option<At<i64>>,
    /// A caller uses a function that neither it nor its peers ever used.
    pub(crate) first_seen: FirstSeen,
    /// Many denials within a short time.
    pub(crate) denials: Denials,
    /// Far more calls than ever at this hour.
    pub(crate) volume: Volume,
    /// A call at an hour at which its caller does not work.
    pub(crate) off_hours: OffHours,
    /// A known caller comes from a network that is new.
    pub(crate) new_network: NewNetwork,
    /// A call that the policies before would not have allowed, soon after they changed.
    pub(crate) policy_change: PolicyChange,
    /// Calls that began and have no end, or the other way round.
    pub(crate) outcomes: Outcomes,
}

/// `[audit.detect.first_seen]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FirstSeen {
    /// Default true.
    pub(crate) enabled: Option<bool>,
    /// The part of a group's members who use a function from which on the others may be expected to. Default 0.25.
    pub(crate) peers: Option<At<f64>>,
    /// How long after a change of policy its new permits and functions may be used for the first time. Default `"7d"`.
    pub(crate) settle: Option<At<String>>,
}

/// `[audit.detect.denials]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Denials {
    /// Default true.
    pub(crate) enabled: Option<bool>,
    /// Denials are counted over this time. Default `"5m"`.
    pub(crate) within: Option<At<String>>,
    /// So many of one caller are a burst. Default 20.
    pub(crate) caller: Option<At<i64>>,
    /// So many of one network are, those without a good credential included. Default 60.
    pub(crate) network: Option<At<i64>>,
    /// They must be so many times as many as ever in the weeks before, too. Default 3.
    pub(crate) factor: Option<At<f64>>,
}

/// `[audit.detect.volume]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Volume {
    /// Default true.
    pub(crate) enabled: Option<bool>,
    /// Fewer calls in an hour are never too many. Default 100.
    pub(crate) calls_min: Option<At<i64>>,
    /// So many times the most of the weeks before at this hour of the day. Default 3.
    pub(crate) factor: Option<At<f64>>,
}

/// `[audit.detect.off_hours]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OffHours {
    /// Default true.
    pub(crate) enabled: Option<bool>,
    /// Whose hours count, such as `"Europe/Vienna"`. Default `"UTC"`.
    pub(crate) zone: Option<At<String>>,
    /// When everybody may work on business days, such as `"07:00-19:00"`. Without it each caller's own hours count alone.
    pub(crate) hours: Option<At<String>>,
    /// Days of the week without business. Default `["saturday", "sunday"]`.
    pub(crate) weekend: Option<Vec<At<Weekday>>>,
    /// The calendar that says which days are without business, instead of `weekend`.
    pub(crate) calendar: Option<At<String>>,
    /// Which kinds of callers have hours. Default `["User"]`.
    pub(crate) kinds: Option<At<Vec<Kind>>>,
    /// Days on which a caller must have been seen before its own hours are known. Default 10.
    pub(crate) days: Option<At<i64>>,
    /// Hours from a caller's own at which a call is unusual. Default 4.
    pub(crate) distance: Option<At<i64>>,
}

/// `[audit.detect.new_network]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NewNetwork {
    /// Default true.
    pub(crate) enabled: Option<bool>,
    /// Addresses that share so many bits are one network. Default 16: providers give their customers other addresses all the time.
    pub(crate) ipv4_prefix: Option<At<i64>>,
    /// The same for IPv6. Default 32.
    pub(crate) ipv6_prefix: Option<At<i64>>,
    /// Days on which a caller must have been seen before a network is new to it. Default 15.
    pub(crate) days: Option<At<i64>>,
    /// A network that so many other callers use is new to nobody. Default 3.
    pub(crate) shared: Option<At<i64>>,
    /// A caller with more networks than this is at home everywhere. Default 8.
    pub(crate) networks_max: Option<At<i64>>,
    /// Networks that are never new, such as `"10.0.0.0/8"`.
    pub(crate) known: Vec<At<String>>,
}

/// `[audit.detect.policy_change]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PolicyChange {
    /// Default true.
    pub(crate) enabled: Option<bool>,
    /// How long policies are new. Default `"30m"`.
    pub(crate) within: Option<At<String>>,
}

/// `[audit.detect.outcomes]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Outcomes {
    /// Default true.
    pub(crate) enabled: Option<bool>,
    /// A call that was not answered must be over after this time. Default: the longest `timeout` of a function, and a
    /// minute.
    pub(crate) within: Option<At<String>>,
}
