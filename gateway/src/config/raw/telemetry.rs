//! `[telemetry]` as written.

use super::At;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `[telemetry]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// The collector (OTLP over gRPC), such as `"https://collector.internal:4317"`.
    #[schemars(required)]
    pub(crate) endpoint: Option<At<String>>,
    /// What is sent. Default `["traces", "metrics", "logs"]`.
    pub(crate) signals: Option<At<Vec<At<Signal>>>>,
    /// Headers of every request to the collector, each value by reference: `"env:NAME"` or `"file:PATH"`.
    pub(crate) headers: BTreeMap<At<String>, At<String>>,
    /// PEM file of the authorities that may vouch for the collector, instead of the system's.
    pub(crate) ca: Option<At<String>>,
    /// Clear text off loopback is meant.
    pub(crate) clear_text: Option<At<bool>>,
    /// The part of traces that is sampled where nobody has decided before, 0 to 1. Default 1.
    pub(crate) sample_ratio: Option<At<f64>>,
    /// A caller's own decision counts (the sampled flag of its `traceparent`). Default true.
    pub(crate) parent_based: Option<bool>,
    /// How often metrics are sent; spans and log lines wait at most as long. Default `"10s"`.
    pub(crate) interval: Option<At<String>>,
    /// Longest time for one request to the collector. Default `"10s"`.
    pub(crate) timeout: Option<At<String>>,
    /// Most spans, and most log lines, that may wait for the collector; what comes after is dropped. Default 2048.
    pub(crate) queue_max: Option<At<i64>>,
    /// Attributes of the resource, such as `"deployment.environment.name"`. `service.name` is `"latchwork"` unless given;
    /// `service.instance.id` is the node's id.
    pub(crate) resource: BTreeMap<At<String>, At<String>>,
}

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Signal {
    /// One span per call.
    Traces,
    /// What `/metrics` shows.
    Metrics,
    /// Log lines.
    Logs,
}
