//! `[telemetry]`, checked: where traces, metrics and logs go, and what may wait for it.

use super::Secret;
use http::HeaderName;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// `[telemetry]`
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// Where it goes.
    pub collector: Collector,
    /// What is sent.
    pub signals: Signals,
    /// Which calls have a span.
    pub sampling: Sampling,
    /// How often metrics are sent; spans and log lines wait at most as long.
    pub interval: Duration,
    /// Most spans, and most log lines, that may wait.
    pub queue_max: usize,
    /// Attributes of the resource besides the node's id.
    pub resource: Vec<(Arc<str>, Arc<str>)>,
}

/// A collector (OTLP over gRPC).
#[derive(Clone, Debug, PartialEq)]
pub struct Collector {
    /// Scheme, host and port.
    pub endpoint: http::Uri,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, Secret)>,
    /// PEM file of the authorities that may vouch for it, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time for one request.
    pub timeout: Duration,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    /// One span per call.
    pub traces: bool,
    /// What `/metrics` shows.
    pub metrics: bool,
    /// Log lines.
    pub logs: bool,
}

/// Which calls have a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// The part of traces that is sampled where nobody has decided before.
    pub ratio: f64,
    /// A caller's own decision counts.
    pub parent_based: bool,
}
