//! Metrics of what is asked in shadow.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use std::sync::Arc;

/// Why a decision may not have been compared, or not been recorded.
const WHYS: [&str; 4] = ["input", "busy", "contradicted", "unrecorded"];

/// See the file's first line.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShadowMeters {
    asked: Counter,
    disagreements: Family<DisagreementLabels, Counter>,
    lost: Family<WhyLabels, Counter>,
}

/// One policy, and how it would have been otherwise.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DisagreementLabels {
    policy: Arc<str>,
    would: &'static str,
    shadow: &'static str,
}

/// One reason.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WhyLabels {
    why: &'static str,
}

impl ShadowMeters {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("shadow_asked", "Decisions that were compared with the shadow", self.asked.clone());
        registry.register(
            "shadow_disagreements",
            "Decisions that would have been others, by the policy that makes the difference; none where no permit holds",
            self.disagreements.clone(),
        );
        for why in WHYS {
            drop(self.lost.get_or_create(&WhyLabels { why }));
        }
        registry.register("shadow_lost", "Decisions that could not be compared, or recorded", self.lost.clone());
    }

    /// A decision is compared.
    pub(crate) fn asked(&self) {
        self.asked.inc();
    }

    /// A decision would have been another.
    pub(crate) fn disagreed(&self, policy: &Arc<str>, would: &'static str, shadow: &'static str) {
        self.disagreements.get_or_create(&DisagreementLabels { policy: policy.clone(), would, shadow }).inc();
    }

    /// A decision could not be compared.
    pub(crate) fn not_judged(&self, why: &'static str) {
        self.lost.get_or_create(&WhyLabels { why }).inc();
    }

    /// What was found could not be recorded.
    pub(crate) fn unrecorded(&self) {
        self.not_judged("unrecorded");
    }
}
