//! Puts an emergency forbid in force, or lifts it: over the policies in force, whatever is on disk by now.

use super::Worker;
use crate::{
    audit::record::{Actor, Admin},
    build,
    emergency::{Change, ChangeError},
    generation::Generation,
};
use jiff::Timestamp;
use policy::{emergency::Emergency, finding::Finding, permit::BundleId};
use std::sync::Arc;

/// What became of a change.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Changed {
    /// The forbid that was put in force or lifted.
    pub emergency: Emergency,
    /// The bundle in force.
    pub bundle: BundleId,
    /// What did not go as it should: it is in force, but not kept or not recorded.
    pub problems: Vec<String>,
}

/// Why a change was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// It makes no sense.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The policies could not be built with it.
    #[error("the policies can't be built with it: {0}")]
    Unbuildable(Box<Finding>),
    /// It can't be kept or recorded, and is no matter of safety.
    #[error("{0}")]
    NotKept(String),
}

impl Worker {
    pub(super) fn emergency(&self, change: &Change, actor: &Actor) -> Result<Changed, Refused> {
        let (now, who) = (Timestamp::now(), actor.who.as_str());
        let old = self.gateway.generation();
        let declared = old.config.declared();
        let (emergencies, emergency) = old.emergencies.with(change, who, &declared, now)?;
        let policy = build::policy(&old.policies, &emergencies, &old.config, Some(&old.policy));
        let policy = policy.map_err(|findings| {
            let first = findings.into_iter().next();
            let unknown = || Finding::error("policy_validation", policy::emergency::FILE, "no reason is known");
            Refused::Unbuildable(Box::new(first.unwrap_or_else(unknown)))
        })?;
        let next = Generation::with_policy(
            &old,
            Arc::new(policy.0.with_validity(*old.policy.validity())),
            Arc::new(emergencies),
        );
        let record = record(change, &emergency, actor, (old.policy.id(), next.policy.id()));
        let unrecorded = |error| format!("it is not in the audit log: {error}");
        let unkept = |error| format!("it is not kept, so that a restart forgets it: {error}");
        let keep = || {
            let recorded = self.runtime.block_on(self.gateway.log.admin(&record)).map_err(unrecorded);
            [recorded, next.emergencies.write(&next.config).map_err(unkept)]
        };
        let mut problems = Vec::new();
        match change {
            // A lift opens something, so it waits until it is known to last and to be known.
            Change::Lift(..) => {
                if let Some(problem) = keep().into_iter().find_map(Result::err) {
                    return Err(Refused::NotKept(format!("it stays in force: {problem}")));
                }
                self.gateway.put_in_force(Arc::new(next.clone()));
            }
            // A forbid counts at once, whatever becomes of disk and log.
            Change::Forbid(_) => {
                self.gateway.put_in_force(Arc::new(next.clone()));
                problems.extend(keep().into_iter().filter_map(Result::err));
            }
        }
        let (id, subject) = (emergency.id, emergency.subject.to_string());
        match change {
            Change::Forbid(_) => tracing::warn!(id, subject, who, reason = &*emergency.reason, "emergency forbid"),
            Change::Lift(_, reason) => tracing::warn!(id, subject, who, reason = &**reason, "emergency forbid lifted"),
        }
        for problem in &problems {
            tracing::error!(id, "emergency forbid: {problem}");
        }
        Ok(Changed { emergency, bundle: next.policy.id().clone(), problems })
    }
}

fn record(change: &Change, emergency: &Emergency, who: &Actor, (before, after): (&BundleId, &BundleId)) -> Admin {
    let Emergency { id, subject, reason, until, .. } = emergency;
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    let (verb, detail) = match change {
        Change::Forbid(_) => ("emergency.forbid", format!("{id}: {subject}{until}: {reason}")),
        Change::Lift(_, why) => ("emergency.lift", format!("{id}: {subject}: {why}")),
    };
    Admin {
        bundle_before: Some(before.clone()),
        bundle_after: Some(after.clone()),
        detail: Some(detail),
        ..Admin::by(who, verb)
    }
}
