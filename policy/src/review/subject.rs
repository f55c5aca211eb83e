//! What can be asked of a bundle: each function's call, its description and its targets, and the administrative verbs.

use super::{head::Asked, side::Side};
use crate::{
    declared::{App, Function, Target},
    question::{FunctionName, PrincipalKind},
};
use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// An action with a resource, and what is known of both.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The function that it belongs to; `None` for administrative verbs.
    pub(super) function: Option<FunctionName>,
    /// `call`, `describe`, `run_on` or an administrative verb.
    pub(super) kind: Arc<str>,
    pub(super) asked: Asked,
    pub(super) resource_type: String,
    /// Kinds of caller that may ask.
    pub(super) principals: Vec<PrincipalKind>,
    /// Type of the context, and of the action: what is proved for one is proved for all that have the same.
    pub(super) shape: Arc<str>,
    /// What the catalog says of the resource: the word by which a policy can look at it, and a condition.
    pub(super) known: Vec<(&'static str, String)>,
}

/// Everything that can be asked of a bundle, by action and resource.
pub(super) fn subjects(side: &Side) -> BTreeMap<String, Subject> {
    let apps: BTreeMap<_, _> = side.declared.apps.iter().map(|app| (&app.name, app)).collect();
    let mut found = Vec::new();
    for function in &side.declared.functions {
        if let Some(app) = apps.get(&function.app) {
            found.extend(of_function(side, function, app));
        }
    }
    found.extend(administrative(side));
    found.into_iter().flatten().map(|subject| (subject.key(), subject)).collect()
}

impl Subject {
    /// What is asked, in words that are the same for both bundles.
    pub(super) fn key(&self) -> String {
        let resource = self.asked.resource.as_ref().map_or_else(|| self.resource_type.clone(), ToString::to_string);
        format!("{} {resource}", self.asked.action)
    }

    /// Conditions of the catalog on words that some policy looks at.
    pub(super) fn known_of(&self, mentioned: impl Fn(&str) -> bool) -> Vec<&str> {
        let known = self.known.iter().filter(|(word, _)| mentioned(word));
        known.map(|(_, condition)| condition.as_str()).collect()
    }
}

fn of_function(side: &Side, function: &Function, app: &App) -> Vec<Option<Subject>> {
    let vocabulary = side.snapshot().vocabulary();
    let Some(words) = vocabulary.function(&function.name) else { return Vec::new() };
    let Some(me) = uid("Function", function.name.as_str()) else { return Vec::new() };
    let above: HashSet<_> =
        [uid("App", &app.name), uid("Environment", &app.environment)].into_iter().flatten().collect();
    let known = known_of_function("resource", function, app);
    let subject = |kind: &str, action: &str, shape: Arc<str>, principals: Vec<PrincipalKind>| {
        Some(Subject {
            function: Some(function.name.clone()),
            kind: kind.into(),
            asked: Asked {
                action: uid("Action", action)?,
                action_above: HashSet::new(),
                resource: Some(me.clone()),
                resource_above: above.clone(),
            },
            resource_type: "Function".to_owned(),
            principals,
            shape,
            known: known.clone(),
        })
    };
    let mut call = subject("call", function.name.as_str(), Arc::clone(&words.shape), words.principals.clone());
    if let Some(call) = &mut call {
        call.asked.action_above = words.groups.iter().filter_map(|group| uid("Action", group)).collect();
    }
    let describe = subject("describe", "describe", "describe".into(), PrincipalKind::CALLERS.to_vec());
    let mut found = vec![call, describe];
    let system = words.principals.contains(&PrincipalKind::System).then_some(PrincipalKind::System);
    let run_on_for: Vec<_> = PrincipalKind::CALLERS.into_iter().chain(system).collect();
    for (place, target) in function.targets.iter().enumerate() {
        let id = format!("{}#{place}", function.name);
        let run_on = subject("run_on", "run_on", "run_on".into(), run_on_for.clone());
        found.push(run_on.map(|subject| on_target(subject, &id, target, (&me, function, app))));
    }
    found
}

fn on_target(subject: Subject, id: &str, target: &Target, of: (&EntityUid, &Function, &App)) -> Subject {
    let (me, function, app) = of;
    let mut above = subject.asked.resource_above;
    above.insert(me.clone());
    above.extend(target.region.as_ref().and_then(|region| uid("Region", region)));
    let mut known = known_of_function("resource.function", function, app);
    known.extend([
        ("function", format!("resource.function == {me}")),
        ("provider", format!("resource.provider == {}", quoted(target.provider))),
        ("sealed_to", format!("resource.sealed_to == {}", target.sealed_to)),
        ("region", optional("resource", "region", target.region.as_ref().map(|region| constant("Region", region)))),
    ]);
    let asked = Asked { resource: uid("Target", id), resource_above: above, ..subject.asked };
    Subject { asked, resource_type: "Target".to_owned(), known, ..subject }
}

fn known_of_function(at: &str, function: &Function, app: &App) -> Vec<(&'static str, String)> {
    let labels: Vec<_> = function.labels.iter().map(|label| quoted(label)).collect();
    let labels = if labels.is_empty() {
        format!("{at}.labels.isEmpty()")
    } else {
        format!("{at}.labels == [{}]", labels.join(", "))
    };
    let group = |owner: &Option<Arc<str>>| owner.as_ref().map(|owner| constant("Group", owner));
    let of_app = format!("{at}.app");
    vec![
        ("class", format!("{at}.class == {}", function.class)),
        ("shared", format!("{at}.shared == {}", function.shared)),
        ("idempotent", format!("{at}.idempotent == {}", function.idempotent)),
        ("labels", labels),
        ("tenant", optional(at, "tenant", function.tenant.as_ref().map(|tenant| constant("Tenant", tenant)))),
        ("owner", optional(at, "owner", group(&function.owner))),
        ("owner", optional(&of_app, "owner", group(&app.owner))),
        ("calendar", optional(&of_app, "calendar", app.calendar.as_ref().map(|calendar| quoted(calendar)))),
        ("app", format!("{of_app} == {}", constant("App", &app.name))),
        ("environment", format!("{at}.environment == {}", constant("Environment", &app.environment))),
    ]
}

fn optional(at: &str, name: &str, value: Option<String>) -> String {
    match value {
        Some(value) => format!("({at} has {name} && {at}.{name} == {value})"),
        None => format!("!({at} has {name})"),
    }
}

/// Verbs that are asked of no function's call. Of which resource is not known beforehand.
fn administrative(side: &Side) -> Vec<Option<Subject>> {
    let base = &side.snapshot().vocabulary().base;
    let mut found = Vec::new();
    for action in base.applied().filter(|action| !matches!(action.as_ref(), "describe" | "run_on")) {
        let Some((principals, resources)) = base.applies_to(action) else { continue };
        let kinds = PrincipalKind::ALL.into_iter().filter(|kind| principals.contains(&kind.as_str()));
        let kinds: Vec<_> = kinds.collect();
        for resource in resources {
            found.push(uid("Action", action).map(|me| Subject {
                function: None,
                kind: Arc::clone(action),
                asked: Asked {
                    action: me,
                    action_above: base.ancestors(action).iter().filter_map(|group| uid("Action", group)).collect(),
                    resource: None,
                    resource_above: HashSet::new(),
                },
                resource_type: resource.to_owned(),
                principals: kinds.clone(),
                shape: Arc::clone(action),
                known: Vec::new(),
            }));
        }
    }
    found
}

/// An entity's uid; the types are words of the base vocabulary.
pub(super) fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind: EntityTypeName = kind.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

pub(super) fn constant(kind: &str, id: &str) -> String {
    uid(kind, id).map_or_else(String::new, |uid| uid.to_string())
}

pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}
