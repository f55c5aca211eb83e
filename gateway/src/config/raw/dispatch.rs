//! How a function's calls are spread over its targets, and what runs cost, as written.

use super::At;
use schemars::JsonSchema;
use serde::Deserialize;

/// `dispatch = { order = "fastest", hedge_after = "150ms" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Dispatch {
    /// Which target is asked first, of those that policy allows and that work: `"listed"` (default), `"weighted"`,
    /// `"cheapest"` or `"fastest"`, the last two by what calls before came to.
    pub(crate) order: Option<At<Order>>,
    /// Most attempts of one call, at most 8. Default one for each target. With more, the first is asked again after a while.
    pub(crate) attempts_max: Option<At<i64>>,
    /// Longest time for one attempt, so that another target can be asked in time; of a function that is `idempotent`, or
    /// whose targets are `tcp`, only.
    pub(crate) attempt_timeout: Option<At<String>>,
    /// After how long without an answer a second target is asked too, and the first answer taken; of an `idempotent`
    /// function only.
    pub(crate) hedge_after: Option<At<String>>,
    /// How many failures in a row let a target rest. Default 5.
    pub(crate) failures_max: Option<At<i64>>,
    /// How long it rests at first, at most `"5m"`; each further time twice as long. Default `"10s"`.
    pub(crate) rest: Option<At<String>>,
}

/// Which target is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    Listed,
    Weighted,
    Cheapest,
    Fastest,
}

/// `[price.NAME]`: what runs cost, as a provider published it. Amounts are in `currency`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Price {
    /// Three letters (ISO 4217), such as `"USD"`; the same for all prices.
    #[schemars(required)]
    pub(crate) currency: Option<At<String>>,
    /// Where it is published: a URL, or a contract's name.
    #[schemars(required)]
    pub(crate) source: Option<At<String>>,
    /// When it was looked up, such as `"2026-11-28"`.
    #[schemars(required)]
    pub(crate) date: Option<At<String>>,
    /// For a million calls.
    pub(crate) per_million_calls: Option<At<f64>>,
    /// For each GiB of memory and second.
    pub(crate) per_gib_second: Option<At<f64>>,
    /// For each second, whatever the memory.
    pub(crate) per_second: Option<At<f64>>,
    /// For a million units of the request's body; a begun unit counts whole.
    pub(crate) per_million_units: Option<At<f64>>,
    /// What a unit is, in bytes.
    pub(crate) unit_bytes: Option<At<i64>>,
    /// What times are rounded up to. Default `"1ms"`.
    pub(crate) time_step: Option<At<String>>,
    /// The shortest time that is billed. Default `"1ms"`.
    pub(crate) time_min: Option<At<String>>,
    /// What memory is rounded up to, in MiB. Default 1.
    pub(crate) memory_step_mib: Option<At<i64>>,
    /// The least memory that is billed, in MiB. Default 1.
    pub(crate) memory_min_mib: Option<At<i64>>,
    /// The time of a cold start is billed too.
    pub(crate) init_billed: bool,
}
