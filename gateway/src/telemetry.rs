//! Metrics, logs and spans. Names of metrics are a contract: dashboards and alerts stand on them.

pub(crate) mod attribute;
mod cost;
mod detect;
pub mod export;
pub(crate) mod lines;
pub mod logs;
mod measures;
mod meters;
mod shadow;
pub mod span;
pub mod state;
mod warm;

pub(crate) use cost::{BudgetMeters, CostMeters};
pub(crate) use detect::DetectMeters;
use jiff::Timestamp;
use meters::TelemetryMeters;
use policy::question::FunctionName;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
pub(crate) use shadow::ShadowMeters;
use std::{fmt, sync::Arc, time::Duration};
pub(crate) use warm::WarmMeters;

/// All metrics of a gateway.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    calls: Family<CallLabels, Counter>,
    durations: Family<FunctionLabels, Histogram, fn() -> Histogram>,
    backends: Family<FunctionLabels, Histogram, fn() -> Histogram>,
    in_flight: Family<FunctionLabels, Gauge>,
    denials: Family<DenialLabels, Counter>,
    observed: Family<DenialLabels, Counter>,
    late: Family<FunctionLabels, Counter>,
    /// Reloads by result.
    pub reloads: Family<ResultLabels, Counter>,
    /// Connections by listener.
    pub connections: Family<ListenerLabels, Gauge>,
    /// Handshakes that failed, by listener.
    pub handshakes_failed: Family<ListenerLabels, Counter>,
    cost: CostMeters,
    budgets: BudgetMeters,
    pub(crate) warm: WarmMeters,
    pub(crate) telemetry: TelemetryMeters,
    pub(crate) shadow: ShadowMeters,
    pub(crate) detect: DetectMeters,
    since: Timestamp,
}

/// A function's metrics, looked up once per generation. Every call has a clone.
#[derive(Clone)]
pub struct FunctionMeters(Arc<Looked>);

struct Looked {
    name: Arc<str>,
    calls: Family<CallLabels, Counter>,
    completed: Counter,
    duration: Histogram,
    backend: Histogram,
    in_flight: Gauge,
    denials: Family<DenialLabels, Counter>,
    observed: Family<DenialLabels, Counter>,
    late: Family<FunctionLabels, Counter>,
    cost: CostMeters,
}

/// Labels of calls.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CallLabels {
    function: Arc<str>,
    outcome: &'static str,
}

/// Labels of denials.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct DenialLabels {
    function: Arc<str>,
    reason: &'static str,
}

/// One function.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct FunctionLabels {
    function: Arc<str>,
}

/// One result: `ok`, `failed` or `unchanged`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ResultLabels {
    /// The result.
    pub result: &'static str,
}

/// One listener.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ListenerLabels {
    /// Its name.
    pub listener: Arc<str>,
}

impl Metrics {
    /// Registers everything, and `state`, which is read when metrics are asked for.
    #[must_use]
    pub fn new(state: state::State) -> Self {
        let mut registry = Registry::with_prefix("latchwork");
        let calls = Family::<CallLabels, Counter>::default();
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        let durations = Family::<FunctionLabels, Histogram, fn() -> Histogram>::new_with_constructor(histogram);
        let backends = Family::<FunctionLabels, Histogram, fn() -> Histogram>::new_with_constructor(histogram);
        let in_flight = Family::<FunctionLabels, Gauge>::default();
        let denials = Family::<DenialLabels, Counter>::default();
        let observed = Family::<DenialLabels, Counter>::default();
        let late = Family::<FunctionLabels, Counter>::default();
        let reloads = Family::<ResultLabels, Counter>::default();
        let connections = Family::<ListenerLabels, Gauge>::default();
        let handshakes_failed = Family::<ListenerLabels, Counter>::default();
        registry.register(
            "calls",
            "Calls by function and outcome; the function is empty where none was named",
            calls.clone(),
        );
        registry.register(
            "call_duration_seconds",
            "From the head of the request to the end of the answer",
            durations.clone(),
        );
        registry.register(
            "backend_duration_seconds",
            "From asking a target to the head of its answer, or to its failure",
            backends.clone(),
        );
        registry.register("calls_in_flight", "Calls between admission and the end of the answer", in_flight.clone());
        registry.register("denials", "Denials of policy by function and reason", denials.clone());
        registry.register("denials_observed", "Denials that were only recorded", observed.clone());
        registry.register("calls_late", "Calls that ran while the audit log could not be written", late.clone());
        registry.register("reloads", "Reloads by result", reloads.clone());
        registry.register("connections", "Open connections by listener", connections.clone());
        registry.register(
            "handshakes_failed",
            "Connections that ended before their first request",
            handshakes_failed.clone(),
        );
        let cost = CostMeters::default();
        cost.register(&mut registry);
        let budgets = BudgetMeters::default();
        budgets.register(&mut registry);
        let warm = WarmMeters::default();
        warm.register(&mut registry);
        let telemetry = TelemetryMeters::default();
        telemetry.register(&mut registry);
        let shadow = ShadowMeters::default();
        shadow.register(&mut registry);
        let detect = DetectMeters::default();
        detect.register(&mut registry);
        registry.register_collector(Box::new(state));
        Self {
            registry: Arc::new(registry),
            calls,
            durations,
            backends,
            in_flight,
            denials,
            observed,
            late,
            reloads,
            connections,
            handshakes_failed,
            cost,
            budgets,
            warm,
            telemetry,
            shadow,
            detect,
            since: Timestamp::now(),
        }
    }

    /// Since when counters count.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    pub(crate) fn budgets(&self) -> BudgetMeters {
        self.budgets.clone()
    }

    /// The handles of one function.
    #[must_use]
    pub fn function(&self, name: &FunctionName) -> FunctionMeters {
        self.named(name.as_str().into())
    }

    /// The handles of calls that named no function.
    #[must_use]
    pub fn unnamed(&self) -> FunctionMeters {
        self.named("".into())
    }

    fn named(&self, name: Arc<str>) -> FunctionMeters {
        let labels = FunctionLabels { function: name.clone() };
        let completed = CallLabels { function: name.clone(), outcome: "completed" };
        FunctionMeters(Arc::new(Looked {
            calls: self.calls.clone(),
            completed: self.calls.get_or_create_owned(&completed),
            duration: self.durations.get_or_create_owned(&labels),
            backend: self.backends.get_or_create_owned(&labels),
            in_flight: self.in_flight.get_or_create_owned(&labels),
            denials: self.denials.clone(),
            observed: self.observed.clone(),
            late: self.late.clone(),
            cost: self.cost.clone(),
            name,
        }))
    }

    /// The text exposition format of OpenMetrics 1.0.
    ///
    /// # Errors
    /// Never in practice: writing to a `String` can't fail.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl FunctionMeters {
    /// A call ended.
    pub fn ended(&self, outcome: &'static str, took: Duration) {
        if outcome == "completed" {
            self.0.completed.inc();
        } else {
            self.0.calls.get_or_create(&CallLabels { function: self.0.name.clone(), outcome }).inc();
        }
        self.0.duration.observe(took.as_secs_f64());
    }

    /// A target answered, or failed.
    pub fn ran(&self, took: Duration) {
        self.0.backend.observe(took.as_secs_f64());
    }

    /// What runs cost, and the function's name as labels have it.
    pub(crate) fn cost(&self) -> (&CostMeters, &Arc<str>) {
        (&self.0.cost, &self.0.name)
    }

    /// Policy said no, and the call runs all the same.
    pub fn observed(&self, reason: &'static str) {
        self.0.observed.get_or_create(&DenialLabels { function: self.0.name.clone(), reason }).inc();
    }

    /// A call ran before the log had its intent.
    pub fn late(&self) {
        self.0.late.get_or_create(&FunctionLabels { function: self.0.name.clone() }).inc();
    }

    /// Policy said no.
    pub fn denied(&self, reason: &'static str) {
        self.0.denials.get_or_create(&DenialLabels { function: self.0.name.clone(), reason }).inc();
    }

    /// A call was admitted; the count falls when the guard is dropped.
    #[must_use]
    pub fn admitted(&self) -> InFlight {
        self.0.in_flight.inc();
        InFlight(self.0.in_flight.clone())
    }
}

/// Counts a call as in flight while it lives.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl fmt::Debug for FunctionMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionMeters({})", self.0.name)
    }
}
