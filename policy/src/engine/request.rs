//! From a question to what Cedar is asked: entities and context, built by type from recorded facts.

use super::{
    Prepared,
    entities::{Directory, Unknown, text},
    value::{instant, ip, record, value},
};
use crate::{
    declared::QueryType,
    permit::DenialReason,
    question::{Facts, Principal, PrincipalKind, Question, Token},
};
use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression};
use std::{collections::HashMap, sync::Arc};

/// Everything of a question except what is asked about.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) principal: EntityUid,
    pub(crate) entities: Entities,
    facts: RestrictedExpression,
}

/// Why Cedar is not asked at all.
#[derive(Debug)]
pub(crate) struct Unaskable {
    pub(crate) reason: DenialReason,
    pub(crate) error: String,
}

type Pairs = Vec<(String, RestrictedExpression)>;

impl From<Unknown> for Unaskable {
    fn from(unknown: Unknown) -> Self {
        let reason = match unknown {
            Unknown::Absent(_) => DenialReason::AbsentEntity,
            Unknown::Invalid(_) => DenialReason::PolicyError,
        };
        Self { reason, error: unknown.to_string() }
    }
}

impl From<String> for Unaskable {
    fn from(error: String) -> Self {
        Self { reason: DenialReason::PolicyError, error }
    }
}

impl Asked {
    /// Makes the caller's entities and the facts.
    pub(crate) fn new(question: &Question, function: &Prepared, directory: &Directory) -> Result<Self, Unaskable> {
        let mut callers = Callers { directory, function, made: HashMap::new() };
        let principal = callers.add(&question.principal)?;
        let facts = facts(&question.facts, &mut callers)?;
        let entities = function.entities.clone().add_entities(callers.made.into_values(), None);
        let entities = entities.map_err(|error| error.to_string())?;
        Ok(Self { principal, entities, facts })
    }

    /// The context of `describe` and `run_on`: the facts alone.
    pub(crate) fn facts_context(&self) -> Result<Context, Unaskable> {
        context(vec![("facts".to_owned(), self.facts.clone())])
    }

    /// The context of a call.
    pub(crate) fn call_context(&self, question: &Question, function: &Prepared) -> Result<Context, Unaskable> {
        let kind = question.principal.kind;
        if !function.principals.contains(&kind) {
            // No policy over this action was validated for this kind of caller, so none may speak of it.
            let error = format!("`{}` is not for callers of the kind {}", question.function, kind.as_str());
            return Err(Unaskable { reason: DenialReason::NotPermitted, error });
        }
        let mut pairs = vec![
            ("facts".to_owned(), self.facts.clone()),
            ("path".to_owned(), path(question, function)?),
            ("query".to_owned(), query(question, function)?),
        ];
        match (&question.input, &function.input) {
            (Some(json), Some(shape)) => pairs.push(("input".to_owned(), value(shape, json, "input")?)),
            // The input was not read: whatever looks at it finds nothing, fails, and denies.
            (None, _) => {}
            (Some(_), None) => return Err(format!("`{}` has no input that policy can see", question.function).into()),
        }
        context(pairs)
    }
}

fn context(pairs: Pairs) -> Result<Context, Unaskable> {
    Context::from_pairs(pairs).map_err(|error| error.to_string().into())
}

fn path(question: &Question, function: &Prepared) -> Result<RestrictedExpression, Unaskable> {
    let mut pairs = Pairs::with_capacity(function.path.len());
    for name in &function.path {
        let found = question.path.get(name).ok_or_else(|| format!("the path parameter `{name}` is missing"))?;
        pairs.push((name.to_string(), text(found)));
    }
    if let Some(name) = question.path.keys().find(|name| !function.path.contains(name)) {
        return Err(format!("the path parameter `{name}` is not declared").into());
    }
    Ok(record(pairs)?)
}

fn query(question: &Question, function: &Prepared) -> Result<RestrictedExpression, Unaskable> {
    let mut pairs = Pairs::with_capacity(question.query.len());
    for (name, values) in &question.query {
        let kind = function.query.get(name).ok_or_else(|| format!("the query parameter `{name}` is not declared"))?;
        let [given] = values.as_slice() else {
            return Err(format!("the query parameter `{name}` must be given once").into());
        };
        let misfit = |what: &str| format!("the query parameter `{name}` is not {what}");
        let value = match kind {
            QueryType::String => text(given),
            QueryType::Long => {
                RestrictedExpression::new_long(long(given).ok_or_else(|| misfit("a whole number of 64 bits"))?)
            }
            QueryType::Bool => RestrictedExpression::new_bool(given.parse().map_err(|_| misfit("`true` or `false`"))?),
        };
        pairs.push((name.to_string(), value));
    }
    Ok(record(pairs)?)
}

/// Whole numbers as JSON writes them: no `+`, no leading zero.
fn long(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|value| value.to_string() == text)
}

/// The callers of one question, each described once.
struct Callers<'a> {
    directory: &'a Directory,
    function: &'a Prepared,
    made: HashMap<EntityUid, Entity>,
}

impl Callers<'_> {
    fn add(&mut self, principal: &Principal) -> Result<EntityUid, Unaskable> {
        let (me, entities) = self.directory.principal(principal)?;
        for entity in entities {
            let uid = entity.uid();
            let known = self.function.entities.get(&uid).or_else(|| self.made.get(&uid));
            match known {
                Some(known) if known.deep_eq(&entity) => {}
                Some(_) => return Err(format!("two credentials describe {uid} differently").into()),
                None => {
                    self.made.insert(uid, entity);
                }
            }
        }
        Ok(me)
    }

    fn add_via(&mut self, principal: &Principal, kind: PrincipalKind) -> Result<RestrictedExpression, Unaskable> {
        if principal.kind != kind {
            return Err(format!("`{}` forwards the call as a {} but is none", principal.id, kind.as_str()).into());
        }
        Ok(RestrictedExpression::new_entity_uid(self.add(principal)?))
    }
}

fn facts(facts: &Facts, callers: &mut Callers<'_>) -> Result<RestrictedExpression, Unaskable> {
    let pair = |name: &str, value| (name.to_owned(), value);
    let mut network = vec![pair("zone", text(&facts.network.zone))];
    network.extend(facts.network.source.map(|source| pair("source", ip(source))));
    let transport = record(vec![
        pair("mtls", RestrictedExpression::new_bool(facts.transport.mtls)),
        pair("tls", RestrictedExpression::new_long(facts.transport.tls)),
        pair("sealed", RestrictedExpression::new_bool(facts.transport.sealed)),
    ])?;
    let mut clock = vec![
        pair("now", instant(facts.clock.now)?),
        pair("weekday", RestrictedExpression::new_long(facts.clock.weekday)),
        pair("minute", RestrictedExpression::new_long(facts.clock.minute)),
    ];
    clock.extend(facts.clock.business_day.map(|day| pair("business_day", RestrictedExpression::new_bool(day))));
    clock.extend(facts.clock.frozen.map(|frozen| pair("frozen", RestrictedExpression::new_bool(frozen))));
    let mut via = vec![pair("depth", RestrictedExpression::new_long(facts.via.depth))];
    let mut all = Vec::new();
    if let Some(workload) = &facts.via.workload {
        let workload = callers.add_via(workload, PrincipalKind::Workload)?;
        all.push(workload.clone());
        via.push(pair("workload", workload));
    }
    if let Some(client) = &facts.via.client {
        via.push(pair("client", callers.add_via(client, PrincipalKind::Client)?));
    }
    via.push(pair("all", RestrictedExpression::new_set(all)));
    let mut pairs = vec![
        pair("call", RestrictedExpression::new_string(facts.call.as_str().to_owned())),
        pair("network", record(network)?),
        pair("transport", transport),
        pair("clock", record(clock)?),
        pair("via", record(via)?),
    ];
    if let Some(said) = &facts.token {
        pairs.push(pair("token", token(said)?));
    }
    Ok(record(pairs)?)
}

fn token(token: &Token) -> Result<RestrictedExpression, String> {
    let set = |texts: &[Arc<str>]| RestrictedExpression::new_set(texts.iter().map(text));
    let mut pairs = vec![
        ("scopes".to_owned(), set(&token.scopes)),
        ("audiences".to_owned(), set(&token.audiences)),
        ("sender_bound".to_owned(), RestrictedExpression::new_bool(token.sender_bound)),
    ];
    if let Some(issued) = token.issued {
        pairs.push(("issued".to_owned(), instant(issued)?));
    }
    if let Some(authenticated) = token.authenticated {
        pairs.push(("authenticated".to_owned(), instant(authenticated)?));
    }
    pairs.extend(token.acr.as_ref().map(|acr| ("acr".to_owned(), text(acr))));
    pairs.extend(token.amr.as_ref().map(|amr| ("amr".to_owned(), set(amr))));
    record(pairs)
}
