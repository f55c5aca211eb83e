//! `warm = { … }` of a function: with which call, and how often, it is kept warm.

use bytes::Bytes;
use http::HeaderMap;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// `warm = { … }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warm {
    /// After how long without a call one is made.
    pub every: Duration,
    /// How many are made at once.
    pub instances: usize,
    /// After how long without a caller none is made any more.
    pub idle_max: Duration,
    /// From when on an answer counts as a cold start, of targets that don't tell.
    pub cold_over: Option<Duration>,
    /// What is sent: JSON, or nothing.
    pub body: Bytes,
    /// Path parameters.
    pub path: BTreeMap<Arc<str>, Arc<str>>,
    /// Query without `?`.
    pub query: Option<Arc<str>>,
    /// Headers, the body's own included.
    pub headers: HeaderMap,
}
