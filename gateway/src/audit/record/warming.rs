//! What the calls that keep a function warm were found to be worth.

use policy::{permit::TargetIndex, question::FunctionName};
use serde::{Deserialize, Serialize};

/// Whether a target is kept warm from now on, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warming {
    /// The function.
    pub function: FunctionName,
    /// The target.
    pub target: TargetIndex,
    /// What follows.
    pub verdict: Verdict,
    /// After how long without a call one was made, in milliseconds.
    pub every_ms: u64,
    /// Pauses between callers in which it was kept warm.
    pub warmed: Tally,
    /// Pauses in which it was left alone.
    pub alone: Tally,
}

/// Whether calls are made from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// In half of the pauses, to find out.
    #[default]
    Trying,
    /// They save cold starts: in most pauses.
    Helps,
    /// They save none, or hardly any: in no pause.
    Stopped,
}

impl Verdict {
    /// The word in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Helps => "helps",
            Self::Stopped => "stopped",
        }
    }
}

/// Pauses, and how many of the calls that ended them met a cold start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub pauses: usize,
    /// Those that ended in a cold start.
    pub cold: usize,
}
