//! Policies that are asked beside those in force: what they would have answered is told, and grants nothing.

use crate::{
    bundle::{self, Source, manifest::Digest},
    declared::Declared,
    engine::{DISAGREEMENT, Snapshot, Trace},
    finding::Finding,
    permit::{BundleId, Denial, DenialReason, PolicyName, TargetIndex, Terms},
    question::{FunctionName, Principal, Question},
    replay::{Recorded, Replay},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// Policies that are asked and never obeyed: no method of it makes a [`crate::permit::Permit`].
#[derive(Clone, Debug)]
pub struct Shadow {
    snapshot: Arc<Snapshot>,
    kind: Kind,
}

/// Which policies are asked beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Those in force and, with them, the ones in shadow.
    Policies,
    /// Another bundle.
    Bundle,
}

/// How a decision would have been another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Would {
    /// It was denied, and would be allowed.
    Allow,
    /// It was allowed, and would be denied.
    Deny,
    /// The same, but for another reason, on other targets, or told otherwise to the caller.
    Otherwise,
}

/// What was decided by the policies in force, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    denied: Option<DenialReason>,
    may_describe: bool,
    targets: Vec<TargetIndex>,
    compared: bool,
}

/// A decision that would have been another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// How.
    pub would: Would,
    /// Why it would be denied, if it would.
    pub reason: Option<DenialReason>,
    /// The policies that make the difference; none where nothing permits.
    pub determining: Vec<PolicyName>,
    /// Evaluation errors or absent entities, in words.
    pub errors: Vec<String>,
}

/// Cedar's own authorizer, asked as a check, contradicted the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cedar's own authorizer decides otherwise")]
pub struct Contradicted;

impl Kind {
    /// The word in records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Policies => "policies",
            Self::Bundle => "bundle",
        }
    }
}

impl Would {
    /// The word in records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Otherwise => "otherwise",
        }
    }
}

impl Decided {
    /// What was granted. A denial that was only observed is one.
    #[must_use]
    pub fn granted(terms: &Terms) -> Self {
        match terms.observed() {
            Some(denial) => Self::denied(denial),
            None => Self { denied: None, may_describe: true, targets: terms.targets().to_vec(), compared: true },
        }
    }

    /// What was denied.
    #[must_use]
    pub fn denied(denial: &Denial) -> Self {
        // Neither says anything of the policies.
        let compared = denial.reason != DenialReason::BundleExpired && !denial.is_disagreement();
        Self { denied: Some(denial.reason), may_describe: denial.may_describe, targets: Vec::new(), compared }
    }

    /// Whether it was allowed.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.denied.is_none()
    }

    /// Why it was denied, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<DenialReason> {
        self.denied
    }

    /// Whether the policies decided it, so that others can be compared.
    #[must_use]
    pub fn is_compared(&self) -> bool {
        self.compared
    }
}

impl Shadow {
    pub(crate) fn of_policies(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, kind: Kind::Policies }
    }

    /// Loads another bundle, to be asked as if it were in force. It takes what is the same from the one that was asked
    /// before, or from what is in force.
    ///
    /// # Errors
    /// As [`bundle::load`].
    pub fn load(
        sources: &[Source],
        declared: Arc<Declared>,
        now: Timestamp,
        (beside, before): (&Snapshot, Option<&Self>),
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let known = before.map_or(beside, |before| &before.snapshot);
        let (snapshot, warnings) = bundle::reload(sources, declared, now, known)?;
        Ok((Self { snapshot: Arc::new(snapshot), kind: Kind::Bundle }, warnings))
    }

    /// A hash of the names and types that its policies were checked against.
    #[must_use]
    pub fn declared_digest(&self) -> Digest {
        self.snapshot.declared_digest()
    }

    /// Which policies it asks.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Which bundle they are from.
    #[must_use]
    pub fn id(&self) -> &BundleId {
        self.snapshot.id()
    }

    /// Whether its answer can depend on the input.
    #[must_use]
    pub fn needs_input(&self, function: &FunctionName, principal: &Principal) -> bool {
        self.snapshot.needs_input(function, principal)
    }

    /// Asks it what was decided, and says how it differs.
    ///
    /// # Errors
    /// [`Contradicted`].
    pub fn judge(&self, question: &Question, decided: &Decided) -> Result<Option<Disagreement>, Contradicted> {
        let trace = self.snapshot.trace(question);
        if trace.call.errors.iter().any(|error| error == DISAGREEMENT) {
            return Err(Contradicted);
        }
        let denied = trace.denied();
        let reason = denied.as_ref().map(|(reason, _)| *reason);
        let (would, determining) = match (decided.denied, reason) {
            (None, Some(_)) => (Would::Deny, of_denied(&denied)),
            (Some(DenialReason::NoTarget), None) => (Would::Allow, self.of_targets(&trace, decided)),
            (Some(_), None) => (Would::Allow, trace.call.determining.clone()),
            (None, None) if trace.targets().eq(decided.targets.iter().copied()) => return Ok(None),
            (None, None) => (Would::Otherwise, self.of_targets(&trace, decided)),
            (Some(then), Some(now)) if then != now => (Would::Otherwise, of_denied(&denied)),
            (Some(_), Some(_)) => {
                let describe = trace.describe.clone().unwrap_or_default();
                if describe.denied.is_none() == decided.may_describe {
                    return Ok(None);
                }
                (Would::Otherwise, describe.determining)
            }
        };
        let errors = denied.map(|(_, verdict)| verdict.errors).unwrap_or_default();
        Ok(Some(Disagreement { would, reason, determining: self.own(determining), errors }))
    }

    /// Asks a recorded decision again of it.
    pub fn replay(&self, replay: &mut Replay, recorded: Recorded) {
        replay.add(recorded, &self.snapshot);
    }

    /// The policies that decided of targets on which the answers differ.
    fn of_targets(&self, trace: &Trace, decided: &Decided) -> Vec<PolicyName> {
        let places = (0..).map(TargetIndex).zip(&trace.run_on);
        let other = places.filter(|(place, now)| now.denied.is_none() != decided.targets.contains(place));
        let names: BTreeSet<_> = other.flat_map(|(_, verdict)| verdict.determining.iter().cloned()).collect();
        names.into_iter().collect()
    }

    /// Only what is in shadow makes a difference, where all else is the same.
    fn own(&self, names: Vec<PolicyName>) -> Vec<PolicyName> {
        let shadowed = |name: &PolicyName| self.snapshot.policy(name).is_some_and(|policy| policy.shadowed);
        match self.kind {
            Kind::Policies => names.into_iter().filter(shadowed).collect(),
            Kind::Bundle => names,
        }
    }
}

fn of_denied(denied: &Option<(DenialReason, crate::engine::Verdict)>) -> Vec<PolicyName> {
    denied.as_ref().map(|(_, verdict)| verdict.determining.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
