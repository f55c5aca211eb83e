//! What a record says of a run: where it was, how it started, and what that is estimated to have cost.

use policy::permit::TargetIndex;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

/// `attempt`: another target is about to be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The target.
    pub target: TargetIndex,
    /// Why the former one failed, as a word; `slow` if it goes on.
    pub failed: Cow<'static, str>,
    /// Why, as a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How the former one ran, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
}

/// How an attempt ran, as far as its backend told. What nobody told is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The target.
    pub target: TargetIndex,
    /// The kind of its backend.
    pub provider: Cow<'static, str>,
    /// `cold` or `warm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Cow<'static, str>>,
    /// How long the start took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_us: Option<u64>,
    /// How long the function ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_us: Option<u64>,
    /// How long the provider bills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed_us: Option<u64>,
    /// The memory that it had, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// What it is estimated to have cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Spent>,
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// In millionths of a millionth of the currency.
    pub pico: u64,
    /// Three letters (ISO 4217).
    pub currency: Arc<str>,
}
