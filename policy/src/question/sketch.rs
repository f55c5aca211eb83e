//! A question as people write it: only what matters, the rest as it is for an unremarkable call.

use super::{
    CallKind, Clock, Facts, FunctionName, Network, Principal, PrincipalAttributes, PrincipalKind, Provenance, Question,
    Transport, Verb, Via, places,
};
use crate::{engine::Snapshot, finding::nearest};
use cedar_policy::EntityUid;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
    sync::Arc,
};

/// Where an unremarkable call comes from: an address reserved for documentation.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// What a written question may have.
const MEMBERS: [&str; 7] = ["principal", "function", "verb", "facts", "path", "query", "input"];

impl Facts {
    /// The facts of a call with nothing special: synchronous, TLS 1.3, from nowhere in particular, at an instant in UTC.
    #[must_use]
    pub fn unremarkable(now: Timestamp) -> Self {
        let utc = now.to_zoned_datetime(TimeZone::UTC);
        Self {
            call: CallKind::Sync,
            network: Network { source: Some(SOURCE), provenance: Provenance::Socket, zone: "other".into() },
            transport: Transport { mtls: false, tls: 13, sealed: false },
            token: None,
            clock: Clock {
                now,
                weekday: i64::from(utc.weekday().to_monday_one_offset()),
                minute: i64::from(utc.hour()) * 60 + i64::from(utc.minute()),
                business_day: None,
                frozen: None,
            },
            via: Via::default(),
            approval: None,
        }
    }
}

impl Question {
    /// An unremarkable call of a function, without parameters or input.
    #[must_use]
    pub fn of(principal: Principal, function: FunctionName, now: Timestamp) -> Self {
        Self {
            principal,
            verb: Verb::Call,
            function,
            facts: Facts::unremarkable(now),
            path: BTreeMap::new(),
            query: BTreeMap::new(),
            input: None,
        }
    }
}

impl Principal {
    /// A caller of a kind with an id; its issuer is the part before the slash.
    #[must_use]
    pub fn named(kind: PrincipalKind, id: &str) -> Self {
        let issuer = match kind {
            PrincipalKind::Anonymous | PrincipalKind::Workload | PrincipalKind::System => None,
            PrincipalKind::User | PrincipalKind::Client | PrincipalKind::Agent => {
                id.split_once('/').map(|(alias, _)| alias.into())
            }
        };
        let attributes = PrincipalAttributes::default();
        Self { kind, id: id.into(), issuer, groups: Arc::new([]), attributes }
    }
}

/// Reads a caller: `User::"corp/alice"`, or shorter `corp/alice`, `spiffe://…`, `anonymous`.
///
/// # Errors
/// When it is none of these.
pub fn principal(text: &str) -> Result<Principal, String> {
    if text == "anonymous" {
        return Ok(Principal::anonymous());
    }
    if text.starts_with("spiffe://") {
        return Ok(Principal::named(PrincipalKind::Workload, text));
    }
    if let Ok(uid) = EntityUid::from_str(text) {
        let kind = uid.type_name().to_string();
        let known = PrincipalKind::ALL.into_iter().find(|known| known.as_str() == kind);
        let known = known.ok_or_else(|| format!("`{kind}` is no kind of caller"))?;
        return Ok(Principal::named(known, uid.id().unescaped()));
    }
    match text.split_once('/') {
        Some((alias, rest)) if !alias.is_empty() && !rest.is_empty() && !text.contains(['"', ':']) => {
            Ok(Principal::named(PrincipalKind::User, text))
        }
        _ => Err(format!("`{text}` is no caller; one is like `User::\"corp/alice\"`")),
    }
}

/// Reads a written question. A caller may be one of `principals`, by its name there.
///
/// # Errors
/// What is wrong with it, with the nearest name where one is misspelt.
pub fn read(
    json: &Value,
    snapshot: &Snapshot,
    principals: &BTreeMap<String, Principal>,
    now: Timestamp,
) -> Result<Question, String> {
    let members = json.as_object().ok_or("a question is a JSON object")?;
    if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        let near = nearest(unknown, MEMBERS).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("a question has no `{unknown}`{near}"));
    }
    let name = members.get("function").and_then(Value::as_str).ok_or("the question has no `function`")?;
    let function = function(name, snapshot)?;
    let caller = caller(members.get("principal").ok_or("the question has no `principal`")?, principals)?;
    let mut question = Question::of(caller, function, now);
    if let Some(verb) = members.get("verb") {
        question.verb = serde_json::from_value(verb.clone()).map_err(|_| "`verb` is `call` or `describe`")?;
    }
    let facts = members.get("facts").and_then(Value::as_object);
    let instant = facts.and_then(|facts| facts.get("clock")?.get("now")?.as_str()?.parse().ok());
    question.facts = Facts::unremarkable(instant.unwrap_or(now));
    for (first, parts) in [("facts", facts), ("path", of(members, "path")), ("query", of(members, "query"))] {
        let mut found = Vec::new();
        parts.into_iter().for_each(|parts| places_of(parts, first, first == "facts", &mut found));
        for (place, value) in found {
            let value = resolved(&place, value, principals);
            question = places::set_json(&question, snapshot.vocabulary(), &place, &value)?;
        }
    }
    question.input = members.get("input").filter(|input| !input.is_null()).map(|input| Arc::new(input.clone()));
    Ok(question)
}

/// Finds a function by its name.
///
/// # Errors
/// When there is none, with the nearest name.
pub fn function(name: &str, snapshot: &Snapshot) -> Result<FunctionName, String> {
    let found = FunctionName::parse(name).ok().filter(|name| snapshot.vocabulary().askable(name).is_some());
    found.ok_or_else(|| match nearest(name, snapshot.vocabulary().askables()) {
        Some(near) => format!("there is no function `{name}`; did you mean `{near}`?"),
        None => format!("there is no function `{name}`"),
    })
}

fn of<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    members.get(name).and_then(Value::as_object)
}

/// A caller by its name among those that are known, as text, or member by member.
///
/// # Errors
/// When it is none of these.
pub fn caller(json: &Value, principals: &BTreeMap<String, Principal>) -> Result<Principal, String> {
    match json {
        Value::String(text) => match principals.get(text) {
            Some(known) => Ok(known.clone()),
            None => principal(text).map_err(|error| {
                let near = nearest(text, principals.keys().map(String::as_str));
                near.map_or(error.clone(), |near| format!("{error}; did you mean `{near}`?"))
            }),
        },
        Value::Object(members) => {
            let kind = members.get("kind").cloned().unwrap_or_else(|| "User".into());
            let kind = serde_json::from_value(kind).map_err(|_| "`principal.kind` is no kind of caller")?;
            let id = members.get("id").and_then(Value::as_str).ok_or("the principal has no `id`")?;
            let mut whole = serde_json::to_value(Principal::named(kind, id)).map_err(|error| error.to_string())?;
            for (name, value) in members {
                let at = match name.as_str() {
                    "kind" | "id" | "issuer" | "groups" | "attributes" => whole.get_mut(name),
                    "tenant" | "clearance" | "employed" | "tier" => {
                        let attributes = whole.get_mut("attributes").and_then(Value::as_object_mut);
                        attributes.map(|attributes| attributes.entry(name.clone()).or_insert(Value::Null))
                    }
                    other => return Err(format!("a principal has no `{other}`")),
                };
                if let Some(at) = at {
                    *at = value.clone();
                }
            }
            serde_json::from_value(whole).map_err(|error| format!("the principal: {error}"))
        }
        other => Err(format!("`{other}` is no caller")),
    }
}

/// The places that a written object sets, down to those that have a value.
fn places_of(members: &Map<String, Value>, at: &str, facts: bool, found: &mut Vec<(String, Value)>) {
    for (name, value) in members {
        let place = format!("{at}.{name}");
        match value {
            Value::Null => {}
            Value::Object(below) if facts && !places::is_fixed(&place) => places_of(below, &place, facts, found),
            // A record keeps all values of a query parameter.
            Value::Array(values) if at == "query" && values.len() == 1 => {
                found.extend(values.first().map(|v| (place, v.clone())))
            }
            value => found.push((place, value.clone())),
        }
    }
}

/// A caller who forwards may be named as the principal may.
fn resolved(place: &str, value: Value, principals: &BTreeMap<String, Principal>) -> Value {
    let forwards = matches!(place, "facts.via.workload" | "facts.via.client");
    let known = value.as_str().filter(|_| forwards).and_then(|name| principals.get(name));
    known.and_then(|known| serde_json::to_value(known).ok()).unwrap_or(value)
}
