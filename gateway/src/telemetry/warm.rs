//! Metrics of calls that keep functions warm, and of whether they help.

use mesh::report::Start;
use policy::permit::TargetIndex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::Arc;

/// See the file's first line.
#[derive(Clone, Debug, Default)]
pub(crate) struct WarmMeters {
    calls: Family<CallLabels, Counter>,
    pauses: Family<PauseLabels, Counter>,
    active: Family<TargetLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    function: Arc<str>,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PauseLabels {
    function: Arc<str>,
    target: u16,
    warmed: &'static str,
    start: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TargetLabels {
    function: Arc<str>,
    target: u16,
}

impl WarmMeters {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("warm_calls", "Calls that the gateway made to keep functions warm", self.calls.clone());
        registry.register(
            "warm_pauses",
            "Pauses between callers, by whether the target was kept warm and how the call that ended each began",
            self.pauses.clone(),
        );
        registry.register("warm_active", "Whether a target is kept warm: 0 once that was no help", self.active.clone());
    }

    /// Calls to keep it warm: so many were answered, and so many were not.
    pub(crate) fn called(&self, function: &Arc<str>, answered: usize, failed: usize) {
        for (result, count) in [("answered", answered), ("failed", failed)] {
            if count > 0 {
                let labels = CallLabels { function: function.clone(), result };
                self.calls.get_or_create(&labels).inc_by(count as u64);
            }
        }
    }

    /// A caller ended a pause.
    pub(crate) fn ended(&self, function: &Arc<str>, target: TargetIndex, warmed: bool, start: Start) {
        let warmed = if warmed { "yes" } else { "no" };
        let labels = PauseLabels { function: function.clone(), target: target.0, warmed, start: start.as_str() };
        self.pauses.get_or_create(&labels).inc();
    }

    /// Whether it is kept warm from now on.
    pub(crate) fn active(&self, function: &Arc<str>, target: TargetIndex, active: bool) {
        let labels = TargetLabels { function: function.clone(), target: target.0 };
        self.active.get_or_create(&labels).set(i64::from(active));
    }
}
