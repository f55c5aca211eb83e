//! What policy answers: a permit that runs one function once, or a denial.

use crate::{
    engine::{DISAGREEMENT, looks::Looks},
    question::{FunctionName, Question},
};
use jiff::Timestamp;
use std::{fmt, sync::Arc};

/// How long a permit may wait to be spent, in seconds. Queueing is bounded well below it.
pub const PERMIT_SECONDS_MAX: i64 = 60;

/// The content hash of the policies and vocabulary that decided: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct BundleId(pub Arc<str>);

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A policy's `@id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct PolicyName(pub Arc<str>);

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which of a function's targets: its place in the catalog's list, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct TargetIndex(pub u16);

/// What was asked and answered. Grants nothing, so it may be cloned, kept and asked again.
#[derive(Clone, Debug)]
pub struct Terms(Arc<Granted>);

#[derive(Debug)]
struct Granted {
    question: Arc<Question>,
    input_looks: Looks,
    bundle: BundleId,
    determining: Arc<[PolicyName]>,
    targets: Arc<[TargetIndex]>,
    valid_until: Timestamp,
    observed: Option<(Box<Denial>, Timestamp)>,
}

impl Terms {
    /// What was asked.
    #[must_use]
    pub fn question(&self) -> &Arc<Question> {
        &self.0.question
    }
    /// What of its input the policies looked at that concern the caller.
    #[must_use]
    pub fn input_looks(&self) -> &Looks {
        &self.0.input_looks
    }
    /// Which function may run.
    #[must_use]
    pub fn function(&self) -> &FunctionName {
        &self.0.question.function
    }
    /// Which bundle decided.
    #[must_use]
    pub fn bundle(&self) -> &BundleId {
        &self.0.bundle
    }
    /// The permits that were satisfied.
    #[must_use]
    pub fn determining(&self) -> &Arc<[PolicyName]> {
        &self.0.determining
    }
    /// The targets on which it may run, in the catalog's order.
    #[must_use]
    pub fn targets(&self) -> &Arc<[TargetIndex]> {
        &self.0.targets
    }
    /// The denial that was only observed: policy said no, and the function is not enforced yet.
    #[must_use]
    pub fn observed(&self) -> Option<&Denial> {
        self.0.observed.as_ref().map(|(denial, _)| &**denial)
    }
    /// When a call that was only observed must be over.
    #[must_use]
    pub fn observed_until(&self) -> Option<Timestamp> {
        self.0.observed.as_ref().map(|(_, until)| *until)
    }
    /// When the permit lapses if it is not spent.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.0.valid_until
    }
}

/// The right to run one function once.
///
/// Only [`crate::engine::Snapshot::decide`] makes one: no public constructor or field, not `Clone`,
/// and spending consumes it.
#[must_use]
#[derive(Debug)]
pub struct Permit(Terms);

/// The permit waited too long to be spent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the permit has lapsed")]
pub struct Lapsed;

impl Permit {
    // INVARIANT: called from `engine` only, after an allow.
    pub(crate) fn grant(
        question: Arc<Question>,
        input_looks: Looks,
        bundle: BundleId,
        determining: Arc<[PolicyName]>,
        targets: Arc<[TargetIndex]>,
    ) -> Self {
        let valid_until = question.facts.clock.now + jiff::SignedDuration::from_secs(PERMIT_SECONDS_MAX);
        let observed = None;
        Self(Terms(Arc::new(Granted { question, input_looks, bundle, determining, targets, valid_until, observed })))
    }

    // INVARIANT: called from `engine` only, for a function that is observed and not enforced yet.
    pub(crate) fn observe(denial: Denial, targets: Arc<[TargetIndex]>, until: Timestamp) -> Self {
        let (question, bundle) = (denial.question.clone(), denial.bundle.clone());
        let input_looks = denial.input_looks.clone();
        let valid_until = question.facts.clock.now + jiff::SignedDuration::from_secs(PERMIT_SECONDS_MAX);
        let (determining, observed) = (denial.determining.clone(), Some((Box::new(denial), until)));
        Self(Terms(Arc::new(Granted { question, input_looks, bundle, determining, targets, valid_until, observed })))
    }

    /// What was granted.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.0
    }

    /// Ends the permit: from here on there are only its terms.
    ///
    /// # Errors
    /// [`Lapsed`] when `now` is after `valid_until`.
    pub fn spend(self, now: Timestamp) -> Result<Terms, Lapsed> {
        if now <= self.0.valid_until() { Ok(self.0) } else { Err(Lapsed) }
    }
}

/// Why policy said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialReason {
    /// No permit was satisfied.
    NotPermitted,
    /// A forbid was satisfied.
    Forbidden,
    /// A policy could not be evaluated.
    PolicyError,
    /// The question names an entity that neither the snapshot nor a credential vouches for.
    AbsentEntity,
    /// The call is permitted, but on none of the function's targets.
    NoTarget,
    /// The bundle's time is over, and it is configured to deny then.
    BundleExpired,
}

/// A "no" of policy, with what the records need. The caller sees none of it.
#[derive(Clone, Debug)]
pub struct Denial {
    /// What was asked.
    pub question: Arc<Question>,
    /// What of its input the policies looked at that concern the caller.
    pub input_looks: Looks,
    /// Which bundle decided.
    pub bundle: BundleId,
    /// Why.
    pub reason: DenialReason,
    /// The forbids that were satisfied, or the policies that could not be evaluated.
    pub determining: Arc<[PolicyName]>,
    /// Evaluation errors or absent entities, in words.
    pub errors: Vec<String>,
    /// Whether the caller may know that the function exists (`describe`).
    pub may_describe: bool,
}

impl Denial {
    /// Whether the answer was denied because Cedar's own authorizer, asked as a check, contradicted it.
    #[must_use]
    pub fn is_disagreement(&self) -> bool {
        self.errors.iter().any(|error| error == DISAGREEMENT)
    }
}
