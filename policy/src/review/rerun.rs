//! Asking an example of both bundles, with Cedar's own authorizer, before anybody is shown it.

use super::{
    Model,
    claim::Direction,
    special::Reviewed,
    subject::{Subject, uid},
};
use crate::{engine::Effect, permit::PolicyName};
use cedar_policy::{AuthorizationError, Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A question on which the bundles differ, as it was asked of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// Who asks.
    pub principal: String,
    /// What it is in.
    pub groups: BTreeSet<String>,
    /// Action.
    pub action: String,
    /// Resource.
    pub resource: String,
    /// The context, as Cedar writes it in JSON.
    pub context: Value,
    /// The entities, as Cedar writes them in JSON.
    pub entities: Value,
    /// Members of context and entities that the differing policies look at: all else is as it came.
    pub matters: Vec<(String, Value)>,
    /// What the old bundle says.
    pub old: Answer,
    /// What the new one says.
    pub new: Answer,
}

/// What a bundle said to an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether it allows.
    pub allowed: bool,
    /// The policies that decided: permits, or forbids, or those that failed.
    pub determining: BTreeSet<PolicyName>,
    /// Whether a policy failed, which denies.
    pub failed: bool,
}

/// Most callers that are tried to make one function's example of another's.
const FITS_MAX: usize = 16;

/// The example as a question about this subject, if `before` denies it and `after` allows it.
///
/// The solver's caller is tried first, with an id that people can read, then such as the permits' heads ask for.
pub(super) fn confirm(model: &Model, direction: &Direction<'_>, forwards: bool) -> Option<Example> {
    let draft = Draft::new(model, direction)?;
    let named = draft.named();
    let mut drafts = vec![named.clone(), draft];
    let permits = direction.after.iter().filter(|policy| policy.effect == Effect::Permit);
    for policy in permits.take(FITS_MAX) {
        drafts.extend(named.fitted(policy));
    }
    drafts.into_iter().find_map(|draft| draft.ask(direction, forwards))
}

/// A question before it is asked.
#[derive(Clone)]
struct Draft {
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
    context: Value,
    entities: Vec<Value>,
}

impl Draft {
    /// The solver's question, asked about the subject's own action and resource.
    fn new(model: &Model, direction: &Direction<'_>) -> Option<Self> {
        let subject = direction.subject;
        let asked = &subject.asked;
        let (from, principal) = (model.request.resource()?.clone(), model.request.principal()?.clone());
        let resource = asked.resource.clone().unwrap_or_else(|| from.clone());
        let mut context = model.request.context()?.to_json_value().ok()?;
        rename(&mut context, &from, &resource);
        let Value::Array(mut entities) = model.entities.to_json_value().ok()? else { return None };
        entities.retain(|entity| entity.pointer("/uid/type").and_then(Value::as_str) != Some("Action"));
        for entity in &mut entities {
            rename(entity, &from, &resource);
        }
        let mut draft = Self { principal, action: asked.action.clone(), resource, context, entities };
        if asked.resource.is_some() {
            draft.place(subject);
        }
        draft.entities.push(json!({
            "uid": entity(&asked.action), "attrs": {},
            "parents": asked.action_above.iter().map(entity).collect::<Vec<_>>(),
        }));
        Some(draft)
    }

    /// Puts the resource where the catalog has it.
    fn place(&mut self, subject: &Subject) {
        let parents: Vec<_> = subject.asked.resource_above.iter().map(entity).collect();
        let me = entity(&self.resource);
        match self.entities.iter_mut().find(|entity| entity.get("uid") == Some(&me)) {
            Some(Value::Object(found)) => {
                found.insert("parents".to_owned(), parents.into());
            }
            _ => self.entities.push(json!({ "uid": me, "attrs": {}, "parents": parents })),
        }
    }

    /// The same with a caller whose id looks like one.
    fn named(&self) -> Self {
        let kind = self.principal.type_name().to_string();
        let id = match kind.as_str() {
            "Workload" => "spiffe://example/workload".to_owned(),
            "Anonymous" => return self.clone(),
            _ => format!("corp/some-{}", kind.to_ascii_lowercase()),
        };
        self.with_principal(uid(&kind, &id))
    }

    fn with_principal(&self, principal: Option<EntityUid>) -> Self {
        let Some(principal) = principal else { return self.clone() };
        let mut draft = self.clone();
        rename(&mut draft.context, &self.principal, &principal);
        draft.entities.iter_mut().for_each(|entity| rename(entity, &self.principal, &principal));
        draft.principal = principal;
        draft
    }

    /// The same by a caller for whom a permit's head was written.
    fn fitted(&self, policy: &Reviewed) -> Option<Self> {
        let head = &policy.head.principal;
        if let Some(exact) = head.exact() {
            return (exact.type_name() == self.principal.type_name()).then(|| self.with_principal(Some(exact.clone())));
        }
        let group = head.within()?;
        let mut draft = self.clone();
        let me = entity(&self.principal);
        let found = draft.entities.iter_mut().find(|entity| entity.get("uid") == Some(&me))?;
        let parents = found.get_mut("parents")?.as_array_mut()?;
        parents.push(entity(group));
        Some(draft)
    }

    /// Asks both, and keeps it if they differ as claimed.
    fn ask(self, direction: &Direction<'_>, forwards: bool) -> Option<Example> {
        let entities = Entities::from_json_value(Value::Array(self.entities.clone()), None).ok()?;
        let context = Context::from_json_value(self.context.clone(), None).ok()?;
        let request =
            Request::new(self.principal.clone(), self.action.clone(), self.resource.clone(), context, None).ok()?;
        let before = answer(&direction.before, &request, &entities)?;
        let after = answer(&direction.after, &request, &entities)?;
        if before.allowed || !after.allowed {
            return None;
        }
        let (old, new) = if forwards { (before, after) } else { (after, before) };
        let me = entities.get(&self.principal);
        let groups = entities.iter().filter(|group| {
            me.is_some() && entities.is_ancestor_of(&group.uid(), &self.principal) && group.uid() != self.principal
        });
        let mut groups: BTreeSet<String> = groups.map(|group| group.uid().to_string()).collect();
        groups.extend(self.parents());
        Some(Example {
            matters: self.matters(direction),
            groups,
            principal: self.principal.to_string(),
            action: self.action.to_string(),
            resource: self.resource.to_string(),
            context: self.context,
            entities: Value::Array(self.entities),
            old,
            new,
        })
    }

    fn parents(&self) -> Vec<String> {
        let me = entity(&self.principal);
        let found = self.entities.iter().find(|entity| entity.get("uid") == Some(&me));
        let parents = found.and_then(|found| found.get("parents")).and_then(Value::as_array);
        let name = |parent: &Value| {
            let text = |name: &str| parent.get(name).and_then(Value::as_str);
            uid(text("type")?, text("id")?).map(|uid| uid.to_string())
        };
        parents.into_iter().flatten().filter_map(name).collect()
    }

    /// The values at which the policies that differ here look.
    fn matters(&self, direction: &Direction<'_>) -> Vec<(String, Value)> {
        let differing = differing(direction);
        let looked_at = |word: &str| differing.iter().any(|policy| policy.mentions(word));
        let mut found = Vec::new();
        leaves("context", &self.context, &looked_at, &mut found);
        for (name, of) in [("principal", &self.principal), ("resource", &self.resource)] {
            let me = entity(of);
            let attributes = self.entities.iter().find(|e| e.get("uid") == Some(&me)).and_then(|e| e.get("attrs"));
            if let Some(attributes) = attributes {
                leaves(name, attributes, &looked_at, &mut found);
            }
        }
        found
    }
}

/// Policies that only one of the two sides has.
pub(super) fn differing<'a>(direction: &Direction<'a>) -> Vec<&'a Reviewed> {
    let lacks = |all: &[&Reviewed], policy: &Reviewed| !all.iter().any(|other| other.special == policy.special);
    let kind = direction.principal.as_str();
    let gone = direction.before.iter().filter(|policy| lacks(&direction.after, policy));
    let come = direction.after.iter().filter(|policy| lacks(&direction.before, policy));
    gone.chain(come).copied().filter(|policy| policy.head.principal.allows_type(kind)).collect()
}

fn leaves(path: &str, value: &Value, looked_at: &impl Fn(&str) -> bool, found: &mut Vec<(String, Value)>) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        let path = format!("{path}.{name}");
        match value {
            Value::Object(inner) if !inner.contains_key("__extn") && !inner.contains_key("__entity") => {
                leaves(&path, value, looked_at, found);
            }
            _ if looked_at(name) => found.push((path, value.clone())),
            _ => {}
        }
    }
}

/// What a slice says: yes only without a failure, as the gateway decides.
fn answer(slice: &[&Reviewed], request: &Request, entities: &Entities) -> Option<Answer> {
    let mut set = PolicySet::new();
    for policy in slice {
        // Two policies that say the same are one here.
        if set.policy(policy.whole.policy.id()).is_none() {
            set.add(policy.whole.policy.clone()).ok()?;
        }
    }
    let response = Authorizer::new().is_authorized(request, &set, entities);
    let failures: Vec<_> = response.diagnostics().errors().collect();
    let allowed = response.decision() == Decision::Allow && failures.is_empty();
    let name = |id: &cedar_policy::PolicyId| {
        let found = slice.iter().find(|policy| policy.whole.policy.id() == id);
        found.map(|policy| policy.name.clone())
    };
    let failed = response.decision() == Decision::Allow && !failures.is_empty();
    let determining = if failed {
        let ids = failures.iter().map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id());
        ids.filter_map(name).collect()
    } else {
        response.diagnostics().reason().filter_map(name).collect()
    };
    Some(Answer { allowed, determining, failed })
}

fn entity(uid: &EntityUid) -> Value {
    json!({ "type": uid.type_name().to_string(), "id": uid.id().unescaped() })
}

/// Makes one entity another, wherever it stands.
fn rename(json: &mut Value, from: &EntityUid, to: &EntityUid) {
    match json {
        Value::Object(members) => {
            let is = |members: &serde_json::Map<String, Value>, name: &str, text: &str| {
                members.get(name).and_then(Value::as_str) == Some(text)
            };
            if is(members, "type", &from.type_name().to_string()) && is(members, "id", from.id().unescaped()) {
                members.insert("id".to_owned(), to.id().unescaped().into());
            }
            members.values_mut().for_each(|value| rename(value, from, to));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| rename(value, from, to)),
        _ => {}
    }
}
