//! Metrics of telemetry itself: what the collector took, and what was dropped.

use super::export::Signal;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// By signal; there are none where telemetry is not configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct TelemetryMeters {
    exported: Family<SignalLabels, Counter>,
    dropped: Family<SignalLabels, Counter>,
    healthy: Family<SignalLabels, Gauge>,
}

/// One signal.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SignalLabels {
    signal: &'static str,
}

impl TelemetryMeters {
    pub(super) fn register(&self, registry: &mut Registry) {
        let exported = self.exported.clone();
        registry.register("telemetry_exported", "Spans, points and log lines that the collector took", exported);
        let dropped = self.dropped.clone();
        registry.register("telemetry_dropped", "Spans, points and log lines that were dropped", dropped);
        registry.register("telemetry_healthy", "1 while the collector takes them", self.healthy.clone());
    }

    pub(super) fn exported(&self, signal: Signal) -> Counter {
        self.exported.get_or_create_owned(&SignalLabels { signal: signal.as_str() })
    }

    pub(super) fn dropped(&self, signal: Signal) -> Counter {
        self.dropped.get_or_create_owned(&SignalLabels { signal: signal.as_str() })
    }

    pub(super) fn healthy(&self, signal: Signal) -> Gauge {
        self.healthy.get_or_create_owned(&SignalLabels { signal: signal.as_str() })
    }
}
