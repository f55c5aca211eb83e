//! The policies that requests are answered by: any that Cedar takes, or only what the gateway would load.

use crate::{
    bundle::{self, Source, written::Written},
    finding::{Finding, Severity},
};
use cedar_policy::PolicySet;
use cedar_policy_core::ast::{self, AnyId, Policy, PolicyID};
use jiff::Timestamp;
use std::{collections::HashMap, str::FromStr, sync::Arc};

/// Policies of any files. One without an `@id` is called by its place among all of them, as Cedar does: `policy0`.
pub(super) fn any(sources: &[Source]) -> Result<Vec<Policy>, Finding> {
    let mut policies = Vec::new();
    let mut taken: HashMap<String, Arc<str>> = HashMap::new();
    let mut before = 0;
    for source in sources {
        let (found, count) =
            if source.file.ends_with(".json") { json(source, before)? } else { cedar(source, before)? };
        before += count;
        for policy in found {
            let id = policy.id().as_ref().to_owned();
            if let Some(there) = taken.insert(id.clone(), Arc::clone(&source.file)) {
                let message = format!("the id `{id}` is taken by a policy of {there}");
                return Err(Finding::error("duplicate_id", source.file.as_ref(), message));
            }
            policies.push(policy);
        }
    }
    Ok(policies)
}

/// The policies of a text and how many statements it has; templates count, and without links they decide nothing.
fn cedar(source: &Source, before: usize) -> Result<(Vec<Policy>, usize), Finding> {
    let set = PolicySet::from_str(&source.text).map_err(|errors| {
        let error = errors.iter().next();
        let detail = error.map(cedar_policy::ffi::DetailedError::from);
        let range = detail.as_ref().and_then(|detail| detail.source_locations.first());
        let range = range.map(|label| label.loc.start..label.loc.end).unwrap_or(0..0);
        let message = detail.map(|detail| detail.message).unwrap_or_default();
        Finding::error("policy_syntax", source.file.as_ref(), message).at(&source.text, range)
    })?;
    let set: &ast::PolicySet = set.as_ref();
    let statements = set.all_templates().count();
    let policies = set.policies().map(|policy| {
        let place = policy.id().as_ref().strip_prefix("policy").and_then(|place| place.parse::<usize>().ok());
        named(policy, place.map(|place| format!("policy{}", before + place)))
    });
    Ok((policies.collect(), statements))
}

/// A policy set in JSON, whose policies have ids; or one policy, which has none.
fn json(source: &Source, before: usize) -> Result<(Vec<Policy>, usize), Finding> {
    let broken =
        |error: &dyn std::fmt::Display| Finding::error("policy_syntax", source.file.as_ref(), error.to_string());
    let json: serde_json::Value = serde_json::from_str(&source.text).map_err(|error| broken(&error))?;
    if json.get("effect").is_some() {
        let policy = cedar_policy::Policy::from_json(None, json).map_err(|error| broken(&error))?;
        return Ok((vec![named(policy.as_ref(), Some(format!("policy{before}")))], 1));
    }
    let set = PolicySet::from_json_value(json).map_err(|error| broken(&error))?;
    let set: &ast::PolicySet = set.as_ref();
    Ok((set.policies().cloned().collect(), 0))
}

/// A policy under its `@id`, or under `place` if it has none.
fn named(policy: &Policy, place: Option<String>) -> Policy {
    let id = AnyId::from_str("id").ok().and_then(|name| policy.annotation(&name));
    let id = id.map(|id| id.as_ref().to_owned()).filter(|id| !id.is_empty()).or(place);
    match id {
        Some(id) => policy.new_id(PolicyID::from_string(id)),
        None => policy.clone(),
    }
}

/// Policies that the gateway would load, as far as that can be told without its catalog; permits that have expired and
/// what is in shadow are left out.
pub(super) fn ours(sources: &[Source], now: Timestamp) -> Result<Vec<Policy>, Vec<Finding>> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.file.ends_with(".json")) {
        let message = "the gateway reads policies in Cedar's own syntax only";
        findings.push(Finding::error("json_policies", source.file.as_ref(), message));
    }
    let policies = bundle::read(sources, None, &mut findings);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(findings);
    }
    let counts = |policy: &Written| !policy.shadowed && policy.expires.is_none_or(|expires| now < expires);
    let in_force = policies.into_iter().filter(counts);
    Ok(in_force.map(|policy| AsRef::<Policy>::as_ref(&policy.policy).clone()).collect())
}
