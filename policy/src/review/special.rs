//! Policies as a proof needs them: with their expiry as a condition, and without heads that are known to hold.

use super::head::Head;
use crate::{bundle::written::Written, engine::Effect, permit::PolicyName, question::FunctionName};
use cedar_policy::{Policy, PolicyId};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// A policy of a bundle under review.
#[derive(Clone, Debug)]
pub(super) struct Reviewed {
    pub(super) name: PolicyName,
    pub(super) effect: Effect,
    pub(super) head: Head,
    /// With its own head, and its expiry as its first condition.
    pub(super) whole: Special,
    /// The same without what the head says of action and resource.
    pub(super) special: Special,
    /// Whether it can fail on well-formed questions.
    pub(super) can_fail: bool,
    /// Functions that it names.
    pub(super) functions: Vec<FunctionName>,
}

/// A policy and its meaning as text: equal texts mean the same.
#[derive(Clone, Debug)]
pub(super) struct Special {
    pub(super) text: Arc<str>,
    pub(super) policy: Policy,
}

/// Operations that can fail although the types are right: they overflow.
const CAN_FAIL: [&str; 6] = ["+", "-", "*", "neg", "offset", "durationSince"];

impl Reviewed {
    pub(super) fn new(written: &Written) -> Result<Self, String> {
        let mut json = written.policy.to_json().map_err(|error| error.to_string())?;
        if let Some(members) = json.as_object_mut() {
            members.remove("annotations");
        }
        if let (Some(expires), Some(Value::Array(conditions))) = (written.expires, json.get_mut("conditions")) {
            let instant = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            conditions.insert(0, before(&instant));
        }
        let whole = special(json.clone())?;
        if let Some(members) = json.as_object_mut() {
            members.insert("action".to_owned(), json!({ "op": "All" }));
            members.insert("resource".to_owned(), json!({ "op": "All" }));
        }
        let can_fail = uses_any(json.get("conditions").unwrap_or(&Value::Null));
        let effect = match written.policy.effect() {
            cedar_policy::Effect::Permit => Effect::Permit,
            cedar_policy::Effect::Forbid => Effect::Forbid,
        };
        let (name, head) = (written.name.clone(), Head::of(&written.policy));
        let actions = written.constants.iter().filter(|constant| constant.entity_type == "Action");
        let functions = actions.filter_map(|constant| FunctionName::parse(&constant.id).ok()).collect();
        Ok(Self { name, effect, head, whole, special: special(json)?, can_fail, functions })
    }

    /// Whether its conditions mention a member or entity type of this name. What its head says of action and resource
    /// doesn't count.
    pub(super) fn mentions(&self, word: &str) -> bool {
        self.special.text.contains(&format!("\"{word}\""))
    }

    /// Whether its conditions look at a variable.
    pub(super) fn reads(&self, variable: &str) -> bool {
        self.whole.text.contains(&format!("{{\"Var\":\"{variable}\"}}"))
    }
}

impl Special {
    /// The same policy as one that holds at most where a condition holds, which is tested first.
    pub(super) fn only_when(&self, condition: &Value) -> Result<Policy, String> {
        let mut json: Value = serde_json::from_str(&self.text).map_err(|error| error.to_string())?;
        if let Some(Value::Array(conditions)) = json.get_mut("conditions") {
            conditions.insert(0, condition.clone());
        }
        special(json).map(|special| special.policy)
    }
}

impl PartialEq for Special {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Special {}

impl Hash for Special {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Special {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Special {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

fn special(json: Value) -> Result<Special, String> {
    let text: Arc<str> = json.to_string().into();
    // One meaning has one id, so that sets of them have no doubles.
    let policy = Policy::from_json(Some(PolicyId::new(text.as_ref())), json).map_err(|error| error.to_string())?;
    Ok(Special { text, policy })
}

/// A permit grants only before its expiry. The vocabulary gives every action the clock.
fn before(instant: &str) -> Value {
    let clock = json!({ ".": { "left": { ".": { "left": { "Var": "context" }, "attr": "facts" } }, "attr": "clock" } });
    let now = json!({ ".": { "left": clock, "attr": "now" } });
    let end = json!({ "datetime": [{ "Value": instant }] });
    json!({ "kind": "when", "body": { "<": { "left": now, "right": end } } })
}

fn uses_any(json: &Value) -> bool {
    match json {
        Value::Object(members) => {
            members.iter().any(|(name, value)| CAN_FAIL.contains(&name.as_str()) || uses_any(value))
        }
        Value::Array(items) => items.iter().any(uses_any),
        _ => false,
    }
}

type Names = BTreeSet<Arc<str>>;

/// Names of the policies that two bundles don't have alike: only in one, and changed in both.
pub(super) fn differences(old: &[Reviewed], new: &[Reviewed]) -> (Names, Names, Names) {
    let by_name = |all: &[Reviewed]| -> std::collections::HashMap<Arc<str>, Special> {
        all.iter().map(|policy| (Arc::clone(&policy.name.0), policy.whole.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let added = after.keys().filter(|name| !before.contains_key(*name)).cloned().collect();
    let removed = before.keys().filter(|name| !after.contains_key(*name)).cloned().collect();
    let changed = after.iter().filter(|(name, text)| before.get(*name).is_some_and(|other| other != *text));
    (added, removed, changed.map(|(name, _)| Arc::clone(name)).collect())
}
