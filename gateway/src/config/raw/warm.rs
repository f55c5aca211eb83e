//! How a function is kept warm, as written.

use super::At;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `warm = { every = "5m", body = '{"warm": true}' }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Warm {
    /// After how long without a call the gateway makes one, at least `"100ms"`, at most `"1h"`: less than instances live
    /// that nobody calls. Default `"5m"`.
    pub(crate) every: Option<At<String>>,
    /// How many calls it makes at once, so that as many instances stay; at most 100. Default 1.
    pub(crate) instances: Option<At<i64>>,
    /// After how long without a caller it stops until the next, at most `"30d"`. Default `"1d"`.
    pub(crate) idle_max: Option<At<String>>,
    /// From when on an answer counts as a cold start, for targets that don't tell, such as `"500ms"`.
    pub(crate) cold_over: Option<At<String>>,
    /// What is sent: JSON, as text. Default nothing.
    pub(crate) body: Option<At<String>>,
    /// The path parameters.
    pub(crate) path: BTreeMap<At<String>, At<String>>,
    /// Query parameters.
    pub(crate) query: BTreeMap<At<String>, At<String>>,
    /// Headers by which the function knows such a call.
    pub(crate) headers: BTreeMap<At<String>, At<String>>,
}
