//! What a detector found: who, what, how much of it, how much is too much, and at which record.

use super::sight::Place;
use crate::audit::record::tail;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};
use uuid::Uuid;

/// Which detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// A caller uses a function that neither it nor its peers ever used.
    FirstSeen,
    /// Many denials within a short time.
    Denials,
    /// Far more calls than ever at this hour.
    Volume,
    /// A call at an hour at which its caller does not work.
    OffHours,
    /// A known caller comes from a network that is new.
    NewNetwork,
    /// A call that the policies before would not have allowed, soon after they changed.
    PolicyChange,
    /// Calls that began and have no end, or the other way round.
    Outcomes,
}

impl Detector {
    /// Every detector.
    pub const ALL: [Self; 7] = [
        Self::FirstSeen,
        Self::Denials,
        Self::Volume,
        Self::OffHours,
        Self::NewNetwork,
        Self::PolicyChange,
        Self::Outcomes,
    ];

    /// The word in records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstSeen => "first_seen",
            Self::Denials => "denials",
            Self::Volume => "volume",
            Self::OffHours => "off_hours",
            Self::NewNetwork => "new_network",
            Self::PolicyChange => "policy_change",
            Self::Outcomes => "outcomes",
        }
    }
}

/// What a number of a finding counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Days for which there was none.
    Days,
    /// Denials in the window.
    Denials,
    /// Calls in an hour.
    Calls,
    /// Hours from those at which the caller works.
    Hours,
    /// Seconds since policies changed, or since a call began.
    Seconds,
    /// Calls that have no end.
    Unended,
    /// Ends of calls that have no beginning.
    Unbegun,
}

/// One finding, as it stands in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which detector.
    pub detector: Detector,
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The network, or what stands for it where it is hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The bundle that was new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// Who put it in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How much there was.
    pub count: u64,
    /// How much is too much.
    pub threshold: u64,
    /// Of what.
    pub unit: Unit,
    /// Since when.
    #[serde(serialize_with = "tail::micros")]
    pub since: Timestamp,
    /// The call that made the difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_call: Option<Uuid>,
    /// The record that made it, by which the same finding is known again.
    pub record: Place,
}

/// Findings that were counted instead of recorded one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Which detector.
    pub detector: Detector,
    /// How many.
    pub count: u64,
    /// When the first was counted.
    #[serde(serialize_with = "tail::micros")]
    pub from: Timestamp,
    /// When the last was counted.
    #[serde(serialize_with = "tail::micros")]
    pub to: Timestamp,
}

impl Finding {
    /// A text from a record, bounded.
    pub(super) fn text(text: &str) -> Option<String> {
        Some(tail::text(text).into_owned())
    }

    fn subject(&self) -> Cow<'_, str> {
        match (&self.caller, &self.function, &self.network) {
            (Some(caller), Some(function), _) => format!("{caller} → {function}").into(),
            (Some(caller), None, _) => caller.into(),
            (None, Some(function), _) => format!("all callers → {function}").into(),
            (None, None, Some(network)) => network.into(),
            (None, None, None) => "the gateway".into(),
        }
    }
}

/// In words, with control characters as they are: whoever shows it escapes them.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, threshold, .. } = self;
        let subject = self.subject();
        let network = self.network.as_deref().unwrap_or("?");
        match (self.detector, self.unit) {
            (Detector::FirstSeen, _) => write!(f, "{subject}: not seen in the {count} days before, nor of its peers"),
            (Detector::NewNetwork, _) => {
                write!(f, "{subject}: from {network}, not seen of it in the {count} days before")
            }
            (Detector::Denials, _) => {
                write!(f, "{subject}: {count} denials in a short time ({threshold} are too many)")
            }
            (Detector::Volume, _) => write!(f, "{subject}: {count} calls in an hour ({threshold} are too many)"),
            (Detector::OffHours, _) => write!(f, "{subject}: {count} hours from those at which it works"),
            (Detector::PolicyChange, _) => {
                write!(f, "{subject}: allowed by policies that are {count} seconds old")?;
                self.by.as_ref().map_or(Ok(()), |by| write!(f, ", put in force by {by}"))
            }
            (Detector::Outcomes, Unit::Unended) => write!(f, "{count} calls have no end: their gateway ended before"),
            (Detector::Outcomes, Unit::Unbegun) => write!(f, "a call has an end and no beginning"),
            (Detector::Outcomes, _) => write!(f, "{subject}: no end after {count} seconds"),
        }
    }
}
