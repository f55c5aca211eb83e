//! What a change of policies changes: who may newly do what, and who may no longer.
//!
//! Everything here is pure. What needs a solver is asked through [`Prover`], and no answer of it is believed that can
//! be checked: an example is asked again of both bundles before it is shown, and "unknown" is never "safe".

use crate::question::{FunctionName, PrincipalKind};
use cedar_policy::{Entities, Policy, PolicySet, Request, RequestEnv, Schema};
use serde::Serialize;
use std::{collections::BTreeSet, sync::Arc};

mod assume;
mod claim;
mod compare;
mod head;
mod lints;
mod rerun;
mod side;
mod special;
mod subject;

pub use compare::{Limits, compare};
pub use lints::{Judged, judge};
pub use rerun::{Answer, Example};
pub use side::Side;

/// Proves claims about policies, or finds an example against them.
pub trait Prover {
    /// Answers each claim, in order.
    fn prove(&self, claims: &[Claim]) -> Vec<Proof>;

    /// What proves, for people; `None` when nothing does.
    fn name(&self) -> Option<String>;
}

/// A claim about policies in one setting.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The words that hold there.
    pub schema: Arc<Schema>,
    /// Types of principal and resource, and the action.
    pub setting: RequestEnv,
    /// What is claimed.
    pub what: What,
}

/// What is claimed.
#[derive(Clone, Debug)]
pub enum What {
    /// Whatever the first allows, the second allows.
    Implies(Box<(PolicySet, PolicySet)>),
    /// It can always be evaluated.
    NeverFails(Box<Policy>),
    /// It never holds.
    NeverHolds(Box<Policy>),
}

/// What came of a claim.
#[derive(Clone, Debug)]
pub enum Proof {
    /// It is true of every question.
    Holds,
    /// It is false, as this question shows.
    Fails(Box<Model>),
    /// It is open, for this reason.
    Unknown(String),
}

/// A question that a solver found.
#[derive(Clone, Debug)]
pub struct Model {
    /// The request.
    pub request: Request,
    /// The entities.
    pub entities: Entities,
}

/// A prover for where there is none.
#[derive(Clone, Debug)]
pub struct Unproven(
    /// Why there is none.
    pub String,
);

impl Prover for Unproven {
    fn prove(&self, claims: &[Claim]) -> Vec<Proof> {
        claims.iter().map(|_| Proof::Unknown(self.0.clone())).collect()
    }

    fn name(&self) -> Option<String> {
        None
    }
}

/// Everything that a change changes.
#[derive(Debug, Serialize)]
pub struct Review {
    /// One for each kind of caller, action and group of functions for which something was found or is open.
    pub rows: Vec<Row>,
    /// Policies by their ids: only in the new bundle.
    pub added: BTreeSet<Arc<str>>,
    /// Only in the old one.
    pub removed: BTreeSet<Arc<str>>,
    /// In both, and not the same.
    pub changed: BTreeSet<Arc<str>>,
    /// How many kinds of caller, actions and resources were compared, and found or proved equal.
    pub equal: usize,
    /// How many claims were proved or shown to be false.
    pub claims: usize,
    /// What proved; absent when there was no solver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prover: Option<String>,
}

/// What changes for one kind of caller and one action.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Kind of caller.
    pub principal: PrincipalKind,
    /// What is asked: a call (then each function's own action), `describe`, `run_on` or an administrative verb.
    pub action: Arc<str>,
    /// Resources, of which the first is the one of the examples. Empty: any.
    pub resources: Vec<String>,
    /// Functions that they belong to.
    pub functions: BTreeSet<FunctionName>,
    /// What the change grants.
    pub new: Change,
    /// What it takes away.
    pub lost: Change,
    /// Policies that differ here.
    pub policies: BTreeSet<Arc<str>>,
}

/// What was found in one direction.
#[derive(Clone, Debug, Serialize, PartialEq)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Change {
    /// Nothing, proved.
    Nothing,
    /// Something, as this example shows.
    Something {
        /// The example, which was asked again of both bundles.
        example: Box<Example>,
    },
    /// Neither proved nor shown.
    NotProven {
        /// Why.
        why: String,
    },
}

impl Review {
    /// Whether something new is granted for certain.
    #[must_use]
    pub fn grants_new(&self) -> bool {
        self.rows.iter().any(|row| matches!(row.new, Change::Something { .. }))
    }

    /// Whether something is open about what is granted.
    #[must_use]
    pub fn open(&self) -> bool {
        self.rows.iter().any(|row| matches!(row.new, Change::NotProven { .. }))
    }

    /// Whether nothing at all changes.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests;
