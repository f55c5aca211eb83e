//! What a prover finds in one bundle alone: forbids that can fail, and policies that never hold.

use super::{
    Claim, Proof, Prover, Side,
    claim::{Direction, Keyed},
    special::Reviewed,
    subject::{Subject, subjects},
};
use crate::{engine::Effect, finding::Finding, question::PrincipalKind};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One policy in one setting, and what is claimed of it.
struct Task<'a> {
    policy: &'a Reviewed,
    setting: String,
    /// That it never fails; otherwise that it never holds.
    fails: bool,
    keyed: Keyed,
    claim: Result<Claim, String>,
}

/// Proves of every forbid that it never fails, and of every policy that it holds somewhere.
pub fn lints(side: &Side, prover: &dyn Prover) -> Vec<Finding> {
    let subjects = subjects(side);
    let tasks = tasks(side, &subjects);
    let mut claims = BTreeMap::new();
    for task in &tasks {
        if let Ok(claim) = &task.claim {
            claims.entry(&task.keyed.key).or_insert_with(|| claim.clone());
        }
    }
    let wanted: Vec<Claim> = claims.values().cloned().collect();
    let proofs: BTreeMap<_, _> = claims.into_keys().zip(prover.prove(&wanted)).collect();
    let mut findings = Vec::new();
    for policy in &side.policies {
        let of = |fails: bool| {
            let mine = tasks.iter().filter(move |task| std::ptr::eq(task.policy, policy) && task.fails == fails);
            mine.map(|task| (task, proofs.get(&task.keyed.key))).collect::<Vec<_>>()
        };
        findings.extend(may_fail(policy, &of(true)));
        findings.extend(never_holds(policy, &of(false)));
    }
    findings
}

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
                        let claim = schema(side, subject, policy).and_then(|schema| direction.claim(&keyed, schema));
                        let setting = setting(*principal, subject);
                        tasks.push(Task { policy, setting, fails, keyed, claim });
                    }
                }
            }
        }
    }
    tasks
}

fn schema(side: &Side, subject: &Subject, policy: &Reviewed) -> Result<Arc<cedar_policy::Schema>, String> {
    let vocabulary = side.snapshot().vocabulary();
    let named = policy.functions.iter().filter(|name| vocabulary.function(name).is_some());
    let names: BTreeSet<_> = subject.function.iter().chain(named).collect();
    vocabulary.slice(names).map(Arc::new).map_err(|finding| finding.message)
}

fn setting(principal: PrincipalKind, subject: &Subject) -> String {
    let kind = principal.as_str();
    match (&subject.function, subject.kind.as_ref()) {
        (Some(function), "call") => format!("a {kind} calls `{function}`"),
        (Some(function), action) => format!("a {kind} is asked about, `{action}` of `{function}`"),
        (None, action) => format!("a {kind} asks for `{action}`"),
    }
}

type Found<'a> = (&'a Task<'a>, Option<&'a Proof>);

/// A guard that fails guards nothing by itself; the gateway denies then, which nobody wrote.
fn may_fail(policy: &Reviewed, found: &[Found<'_>]) -> Option<Finding> {
    let finding = |code, message: String| {
        let help = "compare before you compute, or bound what is computed with";
        policy.place.finding(code, message, None).warning().help(help)
    };
    if let Some((task, _)) = found.iter().find(|(_, proof)| matches!(proof, Some(Proof::Fails(_)))) {
        let (name, when) = (&policy.name, &task.setting);
        return Some(finding("forbid_may_fail", format!("`{name}` can fail to be evaluated when {when}")));
    }
    let open = found.iter().find_map(|(task, proof)| Some((task, open(task, *proof)?)));
    open.map(|(_, why)| {
        let message = format!("that `{}` never fails to be evaluated is not proven: {why}", policy.name);
        finding("forbid_may_fail_not_proven", message)
    })
}

/// A policy is dead if it never holds in any setting that its head lets in.
fn never_holds(policy: &Reviewed, found: &[Found<'_>]) -> Option<Finding> {
    let dead = !found.is_empty() && found.iter().all(|(_, proof)| matches!(proof, Some(Proof::Holds)));
    dead.then(|| {
        let message = format!("`{}` can never hold: its conditions contradict each other or the catalog", policy.name);
        policy.place.finding("never_holds", message, None)
    })
}

fn open(task: &Task<'_>, proof: Option<&Proof>) -> Option<String> {
    match (&task.claim, proof) {
        (Err(why), _) | (_, Some(Proof::Unknown(why))) => Some(why.clone()),
        _ => None,
    }
}
