//! What is always true of questions: of the gateway's facts, and of a function as the catalog declares it.
//!
//! Without it a solver would find questions that nobody can ask. Only what some policy looks at is said, so that
//! proofs stay small and functions that differ elsewhere share them.

use super::{
    special::Reviewed,
    subject::{Subject, constant, quoted},
};
use crate::declared::Declared;
use cedar_policy::Policy;
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

/// Facts that the gateway supplies, by the word that looks at them.
const FACTS: [(&str, &str); 8] = [
    ("weekday", "context.facts.clock.weekday >= 1 && context.facts.clock.weekday <= 7"),
    ("minute", "context.facts.clock.minute >= 0 && context.facts.clock.minute <= 1439"),
    ("depth", "context.facts.via.depth >= 0"),
    ("call", r#"["sync", "async", "event", "step", "redrive"].contains(context.facts.call)"#),
    ("tls", "[0, 12, 13].contains(context.facts.transport.tls)"),
    ("now", r#"context.facts.clock.now >= datetime("1970-01-01") && context.facts.clock.now < datetime("9999-12-31")"#),
    (
        "issued",
        r#"(!(context.facts has token) || !(context.facts.token has issued) || (context.facts.token.issued >= datetime("0000-01-01") && context.facts.token.issued < datetime("9999-12-31")))"#,
    ),
    (
        "authenticated",
        r#"(!(context.facts has token) || !(context.facts.token has authenticated) || (context.facts.token.authenticated >= datetime("0000-01-01") && context.facts.token.authenticated < datetime("9999-12-31")))"#,
    ),
];

/// The assumptions of one proof, as one condition. Empty: none.
pub(super) fn condition(subject: &Subject, declared: [&Declared; 2], policies: &[&Reviewed]) -> String {
    let mentioned = |word: &str| policies.iter().any(|policy| policy.mentions(word));
    let mut parts: Vec<String> = subject.known_of(mentioned).into_iter().map(str::to_owned).collect();
    parts.extend(places(subject, policies));
    for (word, fact) in FACTS {
        if mentioned(word) {
            parts.push(fact.to_owned());
        }
    }
    if mentioned("zone") {
        let mut zones: BTreeSet<&str> = declared.iter().flat_map(|d| d.zones.iter().map(AsRef::as_ref)).collect();
        zones.insert("other");
        let zones: Vec<_> = zones.into_iter().map(quoted).collect();
        parts.push(format!("[{}].contains(context.facts.network.zone)", zones.join(", ")));
    }
    parts.join(" && ")
}

/// Where the resource is and where not, of all places that some condition names.
fn places(subject: &Subject, policies: &[&Reviewed]) -> Vec<String> {
    let Some(resource) = &subject.asked.resource else { return Vec::new() };
    let kinds: &[&str] = match subject.resource_type.as_str() {
        "Target" => &["App", "Environment", "Function", "Region", "Target"],
        _ => &["App", "Environment", "Function"],
    };
    let mut named = BTreeSet::new();
    for policy in policies {
        if let Ok(json) = serde_json::from_str::<Value>(&policy.special.text) {
            constants(json.get("conditions").unwrap_or(&Value::Null), kinds, &mut named);
        }
    }
    let mut parts = Vec::new();
    for (kind, id) in named {
        let place = constant(&kind, &id);
        let above = subject.asked.resource_above.iter().any(|above| above.to_string() == place);
        if resource.to_string() == place {
            parts.push(format!("resource == {place}"));
        } else if kind == subject.resource_type {
            parts.push(format!("resource != {place}"));
        } else {
            parts.push(format!("{}(resource in {place})", if above { "" } else { "!" }));
        }
    }
    parts
}

fn constants(json: &Value, kinds: &[&str], found: &mut BTreeSet<(String, String)>) {
    match json {
        Value::Object(members) => {
            if let (Some(Value::String(kind)), Some(Value::String(id))) = (members.get("type"), members.get("id"))
                && kinds.contains(&kind.as_str())
            {
                found.insert((kind.clone(), id.clone()));
            }
            members.values().for_each(|value| constants(value, kinds, found));
        }
        Value::Array(items) => items.iter().for_each(|value| constants(value, kinds, found)),
        _ => {}
    }
}

/// A forbid for all that is not assumed.
pub(super) fn guard(condition: &str) -> Result<Policy, String> {
    let text = format!("forbid (principal, action, resource) unless {{ {condition} }};");
    Policy::parse(Some(cedar_policy::PolicyId::new("assumed")), text).map_err(|error| error.to_string())
}

/// The assumptions as a condition of a policy.
pub(super) fn clause(condition: &str) -> Result<Value, String> {
    let condition = if condition.is_empty() { "true" } else { condition };
    let text = format!("permit (principal, action, resource) when {{ {condition} }};");
    let json = Policy::parse(None, text).map_err(|e| e.to_string())?.to_json().map_err(|e| e.to_string())?;
    json.pointer("/conditions/0").cloned().ok_or_else(|| "no condition".to_owned())
}

/// Names by which policies are known to people.
pub(super) fn names(policies: &[&Reviewed]) -> BTreeSet<Arc<str>> {
    policies.iter().map(|policy| Arc::clone(&policy.name.0)).collect()
}
