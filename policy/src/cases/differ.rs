//! What came out of a case otherwise than expected, in plain words.

use super::raw::{Case, Expect, Expects};
use crate::{
    engine::Trace,
    permit::{DenialReason, TargetIndex},
    question::Verb,
};
use std::collections::BTreeSet;

/// What came out otherwise than expected, in plain words.
pub(super) fn differences(case: &Case, expect: Expect, trace: &Trace) -> Vec<String> {
    let (reason, verdict) = match (&case.verb, &trace.describe) {
        (Verb::Describe, Some(verdict)) => (verdict.denied, verdict.clone()),
        (Verb::Describe | Verb::Call, _) => match trace.denied() {
            Some((reason, verdict)) => (Some(reason), verdict),
            None => (None, trace.call.clone()),
        },
    };
    let determining: Vec<&str> = verdict.determining.iter().map(|name| name.0.as_ref()).collect();
    let errors = verdict.errors.iter().map(|error| format!("policy said: {error}"));
    let mut differences = Vec::new();
    match (expect, reason) {
        (Expect::Allow, Some(reason)) => {
            differences.push(format!("expected allow, but it was denied: {}", because(reason, &determining)));
            differences.extend(errors);
        }
        (Expect::Deny, None) => {
            differences.push(format!("expected deny, but it was allowed by {}", list(&determining)));
        }
        (Expect::Deny, Some(reason)) => {
            let expected = case.reason.as_ref().map(|reason| *reason.get_ref());
            let unasked = matches!(reason, DenialReason::PolicyError | DenialReason::AbsentEntity);
            if expected.is_some_and(|expected| expected != reason) || (expected.is_none() && unasked) {
                let wanted = expected.map(|reason| format!(" as {}", word(reason))).unwrap_or_default();
                let found = because(reason, &determining);
                differences.push(format!("expected deny{wanted}, but it was denied otherwise: {found}"));
                differences.extend(errors);
            }
        }
        (Expect::Allow, None) => {}
    }
    // Of a matrix with both answers, the allowed rows name their permits.
    let mixed = matches!(case.expect.get_ref(), Expects::Each(all) if all.contains(&Expect::Allow));
    if let (Some(wanted), true, false) = (&case.because, differences.is_empty(), mixed && expect == Expect::Deny) {
        let wanted: BTreeSet<&str> = wanted.iter().map(|id| id.get_ref().as_str()).collect();
        if wanted != determining.iter().copied().collect() {
            let wanted: Vec<_> = wanted.into_iter().collect();
            differences.push(format!(
                "expected it to be decided by {}, but it was by {}",
                list(&wanted),
                list(&determining)
            ));
        }
    }
    if let (Some(wanted), true, Expect::Allow) = (&case.targets, differences.is_empty(), expect) {
        let found: Vec<u16> = trace.targets().map(|TargetIndex(place)| place).collect();
        if *wanted.get_ref() != found {
            differences.push(format!("expected targets {:?}, but it may run on {found:?}", wanted.get_ref()));
        }
    }
    differences
}

/// The word of a reason, as cases and records write it.
fn word(reason: DenialReason) -> &'static str {
    match reason {
        DenialReason::NotPermitted => "not_permitted",
        DenialReason::Forbidden => "forbidden",
        DenialReason::PolicyError => "policy_error",
        DenialReason::AbsentEntity => "absent_entity",
        DenialReason::NoTarget => "no_target",
        DenialReason::BundleExpired => "bundle_expired",
    }
}

fn because(reason: DenialReason, determining: &[&str]) -> String {
    if determining.is_empty() { word(reason).to_owned() } else { format!("{} by {}", word(reason), list(determining)) }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "no policy".to_owned() } else { format!("`{}`", names.join("`, `")) }
}
