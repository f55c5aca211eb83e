//! What calls are grouped by.

use crate::audit::index::{
    block::{Block, Row},
    entry::Word,
};
use jiff::{SignedDuration, Timestamp};

/// What stands for what is not known.
const NONE: &str = "-";
/// The outcome of a call that has no end.
pub(crate) const OPEN: &str = "open";
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// Something that a call has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Field {
    /// Who called.
    Caller,
    /// What kind of caller.
    Principal,
    /// The function.
    Function,
    /// How it ended.
    Outcome,
    /// A policy that decided; a call counts for each.
    Policy,
    /// Number of the target that was asked last.
    Target,
    /// Audit word of the refusal.
    Refusal,
    /// Why policy said no.
    Reason,
    /// HTTP status.
    Status,
    /// Listener.
    Listener,
    /// The function's tenant.
    Tenant,
    /// The caller's address, or what stands for it.
    Source,
    /// The bundle that decided.
    Bundle,
    /// Why the function failed, as a word.
    Error,
    /// The node.
    Node,
    /// The hour (UTC).
    Hour,
    /// The day (UTC).
    Day,
}

impl Field {
    /// The name in questions and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Principal => "principal",
            Self::Function => "function",
            Self::Outcome => "outcome",
            Self::Policy => "policy",
            Self::Target => "target",
            Self::Refusal => "refusal",
            Self::Reason => "reason",
            Self::Status => "status",
            Self::Listener => "listener",
            Self::Tenant => "tenant",
            Self::Source => "source",
            Self::Bundle => "bundle",
            Self::Error => "error",
            Self::Node => "node",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// A field by its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        clap::ValueEnum::from_str(name, false).ok()
    }

    fn word(self) -> Option<Word> {
        Some(match self {
            Self::Caller => Word::Caller,
            Self::Principal => Word::Principal,
            Self::Function => Word::Function,
            Self::Outcome => Word::Outcome,
            Self::Refusal => Word::Refusal,
            Self::Reason => Word::Reason,
            Self::Listener => Word::Listener,
            Self::Tenant => Word::Tenant,
            Self::Source => Word::Source,
            Self::Bundle => Word::Bundle,
            Self::Error => Word::Error,
            Self::Policy | Self::Target | Self::Status | Self::Node | Self::Hour | Self::Day => return None,
        })
    }

    /// What a call has of it, as a number of this block. `policy` is one of those that decided.
    pub(crate) fn number(self, row: &Row, policy: u32) -> i64 {
        if let Some(word) = self.word() {
            return row.word(word).into();
        }
        match self {
            Self::Policy => policy.into(),
            Self::Target => row.target.map_or(-1, i64::from),
            Self::Status => row.status.map_or(-1, i64::from),
            Self::Hour => row.at().div_euclid(HOUR),
            Self::Day => row.at().div_euclid(DAY),
            _ => 0,
        }
    }

    /// What such a number stands for.
    pub(crate) fn text(self, number: i64, block: &Block, node: &str) -> String {
        match self {
            Self::Node => node.to_owned(),
            Self::Hour => moment(number, HOUR, "%Y-%m-%dT%H"),
            Self::Day => moment(number, DAY, "%Y-%m-%d"),
            Self::Target | Self::Status if number < 0 => NONE.to_owned(),
            Self::Target | Self::Status => number.to_string(),
            _ => {
                let none = if self == Self::Outcome { OPEN } else { NONE };
                let text = u32::try_from(number).ok().and_then(|word| block.text(word));
                text.map_or_else(|| none.to_owned(), |text| text.to_string())
            }
        }
    }
}

fn moment(number: i64, unit: i64, form: &str) -> String {
    let since = SignedDuration::from_micros(number.saturating_mul(unit));
    Timestamp::from_duration(since).map_or_else(|_| NONE.to_owned(), |at| at.strftime(form).to_string())
}
