//! The audit record: one JSON object per line. It is a contract; a change here needs a changelog entry.
//!
//! A line is a head, which the writer makes (`v`, `kind`, `seq`, `at`, `node`, `incarnation`), and a tail, which the
//! caller makes (`tail.rs`). What is read back is [`Head`] and a [`Body`].

use super::detect::finding::{Counted, Finding};
use jiff::Timestamp;
use policy::permit::{BundleId, TargetIndex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};
use uuid::Uuid;

mod authority;
mod cut;
pub(crate) mod kept;
pub(crate) mod read;
mod run;
mod shadow;
pub(crate) mod tail;
#[cfg(test)]
mod tests;
mod warming;
pub(crate) mod write;

pub use authority::{Actor, Authority, Ruling};
pub use read::{ClosedBody, IntentBody, RefusedBody};
pub use run::{Attempt, Run, Spent};
pub use shadow::Shadow;
pub use warming::{Tally, Verdict, Warming};
pub use write::{Closed, Intent, Known, Refused};

/// The version of the format.
pub const VERSION: u8 = 1;
/// Longest record, in bytes, with its newline. What does not fit is cut in defined places and named in `truncated`.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RecordKind")]
pub enum Kind {
    /// A permitted call, before its backend is asked.
    Intent,
    /// A further target is about to be asked.
    Attempt,
    /// The reply starts.
    Answered,
    /// The call is over.
    Closed,
    /// The call was refused.
    Refused,
    /// What policies that are not in force would have answered.
    Shadow,
    /// Refusals before identification that were counted instead of recorded one by one.
    Summary,
    /// An administrative action.
    Admin,
    /// The log's own life.
    System,
}

impl Kind {
    /// Every kind, in the order of their discriminants.
    pub const ALL: [Self; 9] = [
        Self::Intent,
        Self::Attempt,
        Self::Answered,
        Self::Closed,
        Self::Refused,
        Self::Shadow,
        Self::Summary,
        Self::Admin,
        Self::System,
    ];

    /// The word in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Attempt => "attempt",
            Self::Answered => "answered",
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Shadow => "shadow",
            Self::Summary => "summary",
            Self::Admin => "admin",
            Self::System => "system",
        }
    }
}

/// What every record has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// [`VERSION`].
    pub v: u8,
    /// Kind.
    pub kind: Kind,
    /// From 0, contiguous in an incarnation.
    pub seq: u64,
    /// When it was handed to the log.
    pub at: Timestamp,
    /// Node id.
    pub node: String,
    /// Incarnation of the node.
    pub incarnation: Uuid,
    /// Call id; absent in `summary`, `admin` and `system`.
    #[serde(default)]
    pub call: Option<Uuid>,
}

/// A record after its head.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `intent`
    Intent(Box<IntentBody>),
    /// `attempt`
    Attempt(Attempt),
    /// `answered`
    Answered(Answered),
    /// `closed`
    Closed(ClosedBody),
    /// `refused`
    Refused(Box<RefusedBody>),
    /// `shadow`
    Shadow(Box<Shadow>),
    /// `summary`
    Summary(Summary),
    /// `admin`
    Admin(Admin),
    /// `system`
    System(System),
}

impl Body {
    /// Reads the body of a line whose head says `kind`.
    ///
    /// # Errors
    /// When a member is missing or malformed.
    pub fn parse(kind: Kind, line: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            Kind::Intent => Self::Intent(of_call(line)?),
            Kind::Attempt => Self::Attempt(serde_json::from_slice(line)?),
            Kind::Answered => Self::Answered(serde_json::from_slice(line)?),
            Kind::Closed => Self::Closed(serde_json::from_slice(line)?),
            Kind::Refused => Self::Refused(of_call(line)?),
            Kind::Shadow => Self::Shadow(serde_json::from_slice(line)?),
            Kind::Summary => Self::Summary(serde_json::from_slice(line)?),
            Kind::Admin => Self::Admin(serde_json::from_slice(line)?),
            Kind::System => Self::System(serde_json::from_slice(line)?),
        })
    }
}

/// A body with facts, some of which may be concealed.
fn of_call<T: DeserializeOwned>(line: &[u8]) -> Result<T, serde_json::Error> {
    match kept::restored(line)? {
        Some(whole) => serde_json::from_value(whole),
        None => serde_json::from_slice(line),
    }
}

/// The request line, as the gateway understood it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Method.
    pub method: Arc<str>,
    /// Canonical path, without the query.
    pub path: Arc<str>,
    /// Such as `HTTP/1.1`.
    pub version: Cow<'static, str>,
}

/// A step of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// TLS handshake.
    Tls,
    /// Wire to call.
    Front,
    /// Which function.
    Route,
    /// Who calls.
    Identify,
    /// How often.
    Meter,
    /// With what input.
    Ask,
    /// Whether it may.
    Authorize,
    /// Whether there is room.
    Admit,
    /// Running it.
    Invoke,
}

/// `answered`: the reply starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// The target that answers.
    pub target: TargetIndex,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The reply was handed over whole.
    Completed,
    /// The function failed.
    Failed,
    /// The function did not answer in time.
    TimedOut,
    /// The caller hung up.
    Abandoned,
    /// Policy changed meanwhile.
    Revoked,
}

impl Outcome {
    /// The word in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Abandoned => "abandoned",
            Self::Revoked => "revoked",
        }
    }
}

/// `summary`: refusals of one network before identification, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// An IPv4 address, an IPv6 /64, or `other`.
    pub network: String,
    /// When the first was counted.
    #[serde(serialize_with = "tail::micros")]
    pub from: Timestamp,
    /// When the last was counted.
    #[serde(serialize_with = "tail::micros")]
    pub to: Timestamp,
    /// Audit word to number.
    pub counts: BTreeMap<Cow<'static, str>, u64>,
}

/// `admin`: an administrative action, done or refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Admin {
    /// What was done, such as `reload`.
    pub verb: Cow<'static, str>,
    /// Who did it.
    pub who: String,
    /// Bundle before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_before: Option<BundleId>,
    /// Bundle after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_after: Option<BundleId>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// By what right, or why not; absent where nobody is asked who they are, and for what the gateway does itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Box<Authority>>,
}

impl Admin {
    /// What whoever runs the process did to it.
    #[must_use]
    pub fn of_process(verb: &'static str, bundle_after: Option<BundleId>) -> Self {
        Self { bundle_after, ..Self::by(&Actor::named("process"), verb) }
    }

    /// What somebody did.
    #[must_use]
    pub fn by(actor: &Actor, verb: &'static str) -> Self {
        Self {
            verb: verb.into(),
            who: actor.who.clone(),
            bundle_before: None,
            bundle_after: None,
            detail: None,
            authority: actor.authority.clone(),
        }
    }
}

/// `system`: the log's own life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum System {
    /// The incarnation begins.
    Started {
        /// Version of the program.
        version: Cow<'static, str>,
        /// The incarnation before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        predecessor: Option<Predecessor>,
        /// Older ones that nobody had closed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<Predecessor>,
    },
    /// The incarnation ends.
    Stopped {
        /// Calls that were still open.
        calls_open: u64,
    },
    /// The clock was set back, so that the times from here on begin before the last.
    ClockSetBack {
        /// By how much, in milliseconds.
        by_ms: u64,
    },
    /// A segment is removed, as a rule asks; a tombstone stands for it.
    Retired {
        /// The incarnation whose it was.
        log: Uuid,
        /// Its first record.
        first: u64,
        /// Its last record.
        last: u64,
        /// The rule.
        rule: String,
        /// The tombstone's hash.
        tombstone: String,
    },
    /// The log can be written again.
    LogRecovered {
        /// Since when it could not.
        #[serde(serialize_with = "tail::micros")]
        since: Timestamp,
        /// What the disk said.
        error: String,
        /// Records that were refused meanwhile; what they would have recorded did not happen.
        refused: u64,
        /// Calls that ran all the same, because their functions' configuration says so.
        #[serde(default, skip_serializing_if = "is_zero")]
        ran: u64,
        /// Those of them whose intent is nowhere, since there was no room for more.
        #[serde(default, skip_serializing_if = "is_zero")]
        lost: u64,
    },
    /// A detector found something unusual in the log.
    Finding(Box<Finding>),
    /// Findings that were counted instead of recorded one by one.
    FindingsCounted(Counted),
    /// Whether keeping a target warm was found to help.
    Warming(Warming),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The incarnation before this one, as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// Which.
    pub incarnation: Uuid,
    /// Its last good record; absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
    /// Bytes after the last good record, moved to a side file.
    pub torn_bytes: u64,
    /// It still runs, so it was left alone.
    pub running: bool,
    /// The tree over all that it left; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
    /// Its newest checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Tree>,
    /// What is not as it was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A Merkle tree over records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// How many.
    pub size: u64,
    /// Its root, in base64.
    pub root: String,
}
