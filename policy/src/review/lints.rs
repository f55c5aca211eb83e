//! What a prover says of one bundle alone: forbids that can fail, and policies that never hold.

use super::{
    Claim, Proof, Prover, Side,
    claim::{Direction, Keyed},
    special::Reviewed,
    subject::{Subject, subjects},
};
use crate::{engine::Effect, lint::Judge, permit::PolicyName};
use cedar_policy::Schema;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What was proved of each policy, for the lints.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    fails: BTreeMap<PolicyName, bool>,
    never_holds: BTreeMap<PolicyName, bool>,
    /// Policies of which something is open, and why.
    pub open: BTreeMap<PolicyName, String>,
}

impl Judge for Judged {
    fn may_fail(&self, policy: &PolicyName) -> Option<bool> {
        self.fails.get(policy).copied()
    }

    fn never_matches(&self, policy: &PolicyName) -> Option<bool> {
        self.never_holds.get(policy).copied()
    }
}

/// One policy in one setting, and what is claimed of it.
struct Task<'a> {
    policy: &'a Reviewed,
    /// That it never fails; otherwise that it never holds.
    fails: bool,
    key: String,
    claim: Result<Claim, String>,
}

/// Has it proved of every forbid that it never fails, and of every policy that it never holds.
pub fn judge(side: &Side, prover: &dyn Prover) -> Judged {
    let subjects = subjects(side);
    let tasks = tasks(side, &subjects);
    let mut claims = BTreeMap::new();
    for task in &tasks {
        if let Ok(claim) = &task.claim {
            claims.entry(&task.key).or_insert_with(|| claim.clone());
        }
    }
    let wanted: Vec<Claim> = claims.values().cloned().collect();
    let proofs: BTreeMap<_, _> = claims.into_keys().zip(prover.prove(&wanted)).collect();
    let mut by_policy: BTreeMap<(&PolicyName, bool), Vec<Result<bool, String>>> = BTreeMap::new();
    for task in &tasks {
        let told = match (&task.claim, proofs.get(&task.key)) {
            (Ok(_), Some(Proof::Holds)) => Ok(true),
            (Ok(_), Some(Proof::Fails(_))) => Ok(false),
            (Ok(_), Some(Proof::Unknown(why))) | (Err(why), _) => Err(why.clone()),
            (Ok(_), None) => Err("nothing answered the claim".to_owned()),
        };
        by_policy.entry((&task.policy.name, task.fails)).or_default().push(told);
    }
    let mut judged = Judged::default();
    for ((name, fails), told) in by_policy {
        let verdict =
            if told.contains(&Ok(false)) { Some(false) } else { told.iter().all(Result::is_ok).then_some(true) };
        match (verdict, told.into_iter().find_map(Result::err)) {
            (Some(holds), _) if fails => drop(judged.fails.insert(name.clone(), !holds)),
            (Some(holds), _) => drop(judged.never_holds.insert(name.clone(), holds)),
            (None, why) => drop(judged.open.insert(name.clone(), why.unwrap_or_default())),
        }
    }
    judged
}

/// Every policy in every setting that its head lets in, equal ones once.
fn tasks<'a>(side: &'a Side, subjects: &BTreeMap<String, Subject>) -> Vec<Task<'a>> {
    let mut seen = BTreeSet::new();
    let mut tasks = Vec::new();
    for subject in subjects.values() {
        let slice = side.slice(&subject.asked);
        for principal in &subject.principals {
            let declared = [side.declared.as_ref(), side.declared.as_ref()];
            let (before, after) = (Vec::new(), slice.clone());
            let direction = Direction { subject, principal: *principal, before, after, declared };
            for policy in slice.iter().filter(|policy| policy.head.principal.allows_type(principal.as_str())) {
                let mut wanted = vec![(false, direction.never_holds(policy))];
                if policy.effect == Effect::Forbid && policy.can_fail {
                    wanted.push((true, direction.never_fails(policy)));
                }
                for (fails, keyed) in wanted {
                    if seen.insert((policy.name.clone(), keyed.key.clone())) {
                        tasks.push(task(side, &direction, policy, fails, keyed));
                    }
                }
            }
        }
    }
    tasks
}

fn task<'a>(side: &Side, direction: &Direction<'_>, policy: &'a Reviewed, fails: bool, keyed: Keyed) -> Task<'a> {
    let claim = direction.claim(&keyed, schema(side, direction.subject, policy));
    Task { policy, fails, key: keyed.key, claim }
}

fn schema(side: &Side, subject: &Subject, policy: &Reviewed) -> Arc<Schema> {
    let vocabulary = side.snapshot().vocabulary();
    let named = policy.functions.iter().filter(|name| vocabulary.function(name).is_some());
    let names: BTreeSet<_> = subject.function.iter().chain(named).collect();
    Arc::new(vocabulary.slice(names))
}
