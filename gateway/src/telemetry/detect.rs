//! Metrics of what is watched in the audit log.

use crate::audit::detect::{Detectors, Why, finding::Detector};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Which detectors may be unable to judge, and why.
const UNJUDGED: [(Detector, Why); 6] = [
    (Detector::FirstSeen, Why::Memory),
    (Detector::PolicyChange, Why::Memory),
    (Detector::Outcomes, Why::Memory),
    (Detector::Denials, Why::Concealed),
    (Detector::NewNetwork, Why::Concealed),
    (Detector::NewNetwork, Why::Roaming),
];

/// See the file's first line.
#[derive(Clone, Debug, Default)]
pub(crate) struct DetectMeters {
    seen: Counter,
    findings: Family<DetectorLabels, Counter>,
    unjudged: Family<UnjudgedLabels, Gauge>,
    forgotten: Gauge,
}

/// One detector.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DetectorLabels {
    detector: &'static str,
}

/// One detector, and why it could not judge.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UnjudgedLabels {
    detector: &'static str,
    why: &'static str,
}

impl DetectMeters {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("detect_records", "Records that detectors have seen", self.seen.clone());
        for detector in Detector::ALL {
            drop(self.findings.get_or_create(&DetectorLabels { detector: detector.as_str() }));
        }
        registry.register(
            "findings",
            "Findings of detectors, those included that are only counted",
            self.findings.clone(),
        );
        for (detector, why) in UNJUDGED {
            drop(self.unjudged.get_or_create(&UnjudgedLabels { detector: detector.as_str(), why: why.as_str() }));
        }
        registry.register(
            "detect_unjudged",
            "Records that a detector could not judge, since it began to remember",
            self.unjudged.clone(),
        );
        registry.register(
            "detect_forgotten",
            "Callers, functions and networks that detectors had to forget for want of room",
            self.forgotten.clone(),
        );
    }

    /// A record was seen.
    pub(crate) fn seen(&self) {
        self.seen.inc();
    }

    /// Something was found.
    pub(crate) fn found(&self, detector: Detector) {
        self.findings.get_or_create(&DetectorLabels { detector: detector.as_str() }).inc();
    }

    /// What detectors know of their own limits.
    pub(crate) fn state(&self, detectors: &Detectors) {
        self.forgotten.set(i64::try_from(detectors.forgotten()).unwrap_or(i64::MAX));
        for (detector, whys) in detectors.unjudged() {
            for (why, count) in whys {
                let labels = UnjudgedLabels { detector: detector.as_str(), why: why.as_str() };
                self.unjudged.get_or_create(&labels).set(i64::try_from(*count).unwrap_or(i64::MAX));
            }
        }
    }
}
