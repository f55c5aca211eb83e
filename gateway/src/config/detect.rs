//! What is watched for in the audit log, and from when on it is told.

use super::Calendar;
use ::policy::question::PrincipalKind;
use ipnet::IpNet;
use jiff::{civil::Weekday, tz::TimeZone};
use std::{sync::Arc, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `[audit.detect]`; a detector that is off is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Detect {
    /// The running gateway watches.
    pub enabled: bool,
    /// Nothing is unusual before the log, or a caller, has been watched for so long.
    pub learn: Duration,
    /// What was not seen for so long is forgotten.
    pub remember: Duration,
    /// Findings of one detector in an hour that are recorded one by one; more are counted.
    pub findings_per_hour: u32,
    /// A caller uses a function that neither it nor its peers ever used.
    pub first_seen: Option<FirstSeen>,
    /// Many denials within a short time.
    pub denials: Option<Denials>,
    /// Far more calls than ever at this hour.
    pub volume: Option<Volume>,
    /// A call at an hour at which its caller does not work.
    pub off_hours: Option<OffHours>,
    /// A known caller comes from a network that is new.
    pub new_network: Option<NewNetwork>,
    /// A call that the policies before would not have allowed, soon after they changed.
    pub policy_change: Option<PolicyChange>,
    /// Calls that began and have no end, or the other way round.
    pub outcomes: Option<Outcomes>,
}

/// `[audit.detect.first_seen]`
#[derive(Clone, Debug, PartialEq)]
pub struct FirstSeen {
    /// The part of a group's members who use a function from which on the others may be expected to.
    pub peers: f64,
    /// How long after a change of policy its new permits and functions may be used for the first time.
    pub settle: Duration,
}

/// `[audit.detect.denials]`
#[derive(Clone, Debug, PartialEq)]
pub struct Denials {
    /// Denials are counted over this time.
    pub within: Duration,
    /// So many of one caller are a burst.
    pub caller: u32,
    /// So many of one network are.
    pub network: u32,
    /// They must be so many times as many as ever in the weeks before, too.
    pub factor: f64,
}

/// `[audit.detect.volume]`
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// Fewer calls in an hour are never too many.
    pub calls_min: u32,
    /// So many times the most of the weeks before at this hour of the day.
    pub factor: f64,
}

/// `[audit.detect.off_hours]`
#[derive(Clone, Debug, PartialEq)]
pub struct OffHours {
    /// Whose hours count.
    pub zone: TimeZone,
    /// Minutes of the day between which everybody may work, if that is configured.
    pub hours: Option<(u16, u16)>,
    /// Days of the week without business.
    pub weekend: Vec<Weekday>,
    /// Says which days are without business, instead of `weekend`.
    pub calendar: Option<Arc<Calendar>>,
    /// Which callers have hours.
    pub kinds: Vec<PrincipalKind>,
    /// Days on which a caller must have been seen before its own hours are known.
    pub days: u32,
    /// Hours from a caller's own at which a call is unusual.
    pub distance: u32,
}

/// `[audit.detect.new_network]`
#[derive(Clone, Debug, PartialEq)]
pub struct NewNetwork {
    /// Addresses that share so many bits are one network.
    pub ipv4_prefix: u8,
    /// The same for IPv6.
    pub ipv6_prefix: u8,
    /// Days on which a caller must have been seen before a network is new to it.
    pub days: u32,
    /// A network that so many other callers use is new to nobody.
    pub shared: u32,
    /// A caller with more networks than this is at home everywhere.
    pub networks_max: u32,
    /// Networks that are never new.
    pub known: Vec<IpNet>,
}

/// `[audit.detect.policy_change]`
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChange {
    /// How long policies are new.
    pub within: Duration,
}

/// `[audit.detect.outcomes]`
#[derive(Clone, Debug, PartialEq)]
pub struct Outcomes {
    /// A call that was not answered must be over after this time.
    pub within: Duration,
}

/// Nothing is watched while the gateway runs; the thresholds are those that count where none are configured.
impl Default for Detect {
    fn default() -> Self {
        Self {
            enabled: false,
            learn: 7 * DAY,
            remember: 90 * DAY,
            findings_per_hour: 30,
            first_seen: Some(FirstSeen::default()),
            denials: Some(Denials::default()),
            volume: Some(Volume::default()),
            off_hours: Some(OffHours::default()),
            new_network: Some(NewNetwork::default()),
            policy_change: Some(PolicyChange::default()),
            outcomes: Some(Outcomes::default()),
        }
    }
}

impl Default for FirstSeen {
    fn default() -> Self {
        Self { peers: 0.25, settle: 7 * DAY }
    }
}

impl Default for Denials {
    fn default() -> Self {
        Self { within: 5 * MINUTE, caller: 20, network: 60, factor: 3.0 }
    }
}

impl Default for Volume {
    fn default() -> Self {
        Self { calls_min: 100, factor: 3.0 }
    }
}

impl Default for OffHours {
    fn default() -> Self {
        let weekend = vec![Weekday::Saturday, Weekday::Sunday];
        let kinds = vec![PrincipalKind::User];
        Self { zone: TimeZone::UTC, hours: None, weekend, calendar: None, kinds, days: 10, distance: 4 }
    }
}

impl Default for NewNetwork {
    fn default() -> Self {
        Self { ipv4_prefix: 16, ipv6_prefix: 32, days: 15, shared: 3, networks_max: 8, known: Vec::new() }
    }
}

impl Default for PolicyChange {
    fn default() -> Self {
        Self { within: 30 * MINUTE }
    }
}

impl Default for Outcomes {
    fn default() -> Self {
        Self { within: 16 * MINUTE }
    }
}
