//! The places of a question that people can name and change, with their types: `input.amount_cents`,
//! `facts.transport.mtls`, `principal.groups`.

use super::{Question, sketch};
use crate::{
    declared::QueryType,
    finding::nearest,
    vocabulary::{Vocabulary, shape::Shape},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::net::IpAddr;

/// What a place holds.
#[derive(Clone, Copy, Debug)]
enum Kind<'a> {
    Bool,
    Long,
    Text,
    Texts,
    Time,
    Address,
    Words(&'a [&'a str]),
    Principal,
    /// A query parameter, which is kept as text.
    Query(QueryType),
    Input(&'a Shape),
}

/// Every place besides those that the function declares, and where a question keeps it.
const FIXED: [(&str, &str, Kind<'static>); 32] = [
    ("principal", "/principal", Kind::Principal),
    ("principal.kind", "/principal/kind", Kind::Words(&["User", "Workload", "Client", "Agent", "Anonymous", "System"])),
    ("principal.id", "/principal/id", Kind::Text),
    ("principal.issuer", "/principal/issuer", Kind::Text),
    ("principal.groups", "/principal/groups", Kind::Texts),
    ("principal.tenant", "/principal/attributes/tenant", Kind::Text),
    ("principal.clearance", "/principal/attributes/clearance", Kind::Long),
    ("principal.employed", "/principal/attributes/employed", Kind::Bool),
    ("principal.tier", "/principal/attributes/tier", Kind::Text),
    ("facts.call", "/facts/call", Kind::Words(&["sync", "async", "event", "step", "redrive"])),
    ("facts.network.source", "/facts/network/source", Kind::Address),
    (
        "facts.network.provenance",
        "/facts/network/provenance",
        Kind::Words(&["socket", "proxy_protocol", "trusted_header", "unix"]),
    ),
    ("facts.network.zone", "/facts/network/zone", Kind::Text),
    ("facts.transport.mtls", "/facts/transport/mtls", Kind::Bool),
    ("facts.transport.tls", "/facts/transport/tls", Kind::Long),
    ("facts.transport.sealed", "/facts/transport/sealed", Kind::Bool),
    ("facts.token.scopes", "/facts/token/scopes", Kind::Texts),
    ("facts.token.audiences", "/facts/token/audiences", Kind::Texts),
    ("facts.token.issued", "/facts/token/issued", Kind::Time),
    ("facts.token.authenticated", "/facts/token/authenticated", Kind::Time),
    ("facts.token.acr", "/facts/token/acr", Kind::Text),
    ("facts.token.amr", "/facts/token/amr", Kind::Texts),
    ("facts.token.sender_bound", "/facts/token/sender_bound", Kind::Bool),
    ("facts.clock.now", "/facts/clock/now", Kind::Time),
    ("facts.clock.weekday", "/facts/clock/weekday", Kind::Long),
    ("facts.clock.minute", "/facts/clock/minute", Kind::Long),
    ("facts.clock.business_day", "/facts/clock/business_day", Kind::Bool),
    ("facts.clock.frozen", "/facts/clock/frozen", Kind::Bool),
    ("facts.approval.by", "/facts/approval/by", Kind::Texts),
    ("facts.approval.oldest", "/facts/approval/oldest", Kind::Time),
    ("facts.via.workload", "/facts/via/workload", Kind::Principal),
    ("facts.via.client", "/facts/via/client", Kind::Principal),
];
/// Kept apart from the rest, as the number of hops follows from who forwards.
const DEPTH: (&str, &str, Kind<'static>) = ("facts.via.depth", "/facts/via/depth", Kind::Long);
/// Whole facts that may be taken out.
const WHOLE: [(&str, &str); 2] = [("facts.token", "/facts/token"), ("facts.approval", "/facts/approval")];

/// A question with one place set to a value; the text is read as the place's type wants it.
///
/// # Errors
/// When there is no such place (with the nearest name), or the value does not fit.
pub fn set(question: &Question, vocabulary: &Vocabulary, place: &str, text: &str) -> Result<Question, String> {
    let place = place.strip_prefix("context.").unwrap_or(place);
    let (pointer, kind) = find(question, vocabulary, place)?;
    let value = read(kind, text).map_err(|wanted| format!("`{place}` is {wanted}, and `{text}` is not"))?;
    put(question, &pointer, value, place)
}

/// A question with one place set to a JSON value.
///
/// # Errors
/// When there is no such place (with the nearest name), or the value does not fit.
pub fn set_json(question: &Question, vocabulary: &Vocabulary, place: &str, json: &Value) -> Result<Question, String> {
    match json {
        Value::String(text) => set(question, vocabulary, place, text),
        other => {
            let (pointer, kind) = find(question, vocabulary, place)?;
            let value = fits(kind, other).map_err(|wanted| format!("`{place}` is {wanted}, and `{other}` is not"))?;
            put(question, &pointer, value, place)
        }
    }
}

/// A question without one place.
///
/// # Errors
/// When there is no such place, or it can't be missing.
pub fn unset(question: &Question, vocabulary: &Vocabulary, place: &str) -> Result<Question, String> {
    let place = place.strip_prefix("context.").unwrap_or(place);
    let whole = WHOLE.iter().find(|(name, _)| *name == place);
    let pointer = match (place, whole) {
        (_, Some((_, pointer))) => (*pointer).to_owned(),
        ("input", None) => "/input".to_owned(),
        _ => find(question, vocabulary, place)?.0,
    };
    let mut whole = serde_json::to_value(question).map_err(|error| error.to_string())?;
    let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
    let name = unescaped(name);
    let parent = whole.pointer_mut(parent).and_then(Value::as_object_mut);
    if parent.and_then(|parent| parent.shift_remove(&name)).is_none() {
        return Err(format!("`{place}` is not set"));
    }
    if let (true, Some(whole)) = (place == "input", whole.as_object_mut()) {
        whole.insert("input".to_owned(), Value::Null);
    }
    serde_json::from_value(whole).map_err(|_| format!("`{place}` can't be missing"))
}

/// Whether a place is one of those with a name of its own, so that what is below it is its value.
pub(super) fn is_fixed(place: &str) -> bool {
    FIXED.iter().chain([&DEPTH]).any(|(name, _, _)| *name == place)
}

/// Where a question keeps a place, and what it holds.
fn find<'a>(question: &Question, vocabulary: &'a Vocabulary, place: &str) -> Result<(String, Kind<'a>), String> {
    if let Some((_, pointer, kind)) = FIXED.iter().chain([&DEPTH]).find(|(name, _, _)| *name == place) {
        return Ok(((*pointer).to_owned(), *kind));
    }
    let words = vocabulary.askable(&question.function);
    let words = words.ok_or_else(|| format!("there is no function `{}`", question.function))?;
    let mut known: Vec<String> = FIXED.iter().chain([&DEPTH]).map(|(name, _, _)| (*name).to_owned()).collect();
    known.extend(words.path.iter().map(|name| format!("path.{name}")));
    known.extend(words.query.keys().map(|name| format!("query.{name}")));
    let found = match (place.split_once('.'), &words.input) {
        (Some(("path", name)), _) if words.path.iter().any(|path| path.as_ref() == name) => {
            Some((format!("/path/{}", escaped(name)), Kind::Text))
        }
        (Some(("query", name)), _) => {
            words.query.get(name).map(|kind| (format!("/query/{}", escaped(name)), Kind::Query(*kind)))
        }
        (None, Some(shape)) if place == "input" => Some(("/input".to_owned(), Kind::Input(shape))),
        (Some(("input", rest)), Some(shape)) => {
            member(shape, rest).map(|(p, s)| (format!("/input{p}"), Kind::Input(s)))
        }
        _ => None,
    };
    if let Some(shape) = &words.input {
        members(shape, "input", &mut known);
    }
    found.ok_or_else(|| match nearest(place, known.iter().map(String::as_str)) {
        Some(near) => format!("a question of `{}` has no `{place}`; did you mean `{near}`?", question.function),
        None => format!("a question of `{}` has no `{place}`", question.function),
    })
}

fn member<'a>(shape: &'a Shape, rest: &str) -> Option<(String, &'a Shape)> {
    let Shape::Record(fields) = shape else { return None };
    // A member's own name may have dots.
    let field = fields.iter().find(|field| {
        rest.strip_prefix(field.name.as_ref()).is_some_and(|after| after.is_empty() || after.starts_with('.'))
    })?;
    let here = format!("/{}", escaped(&field.name));
    match rest.strip_prefix(field.name.as_ref()).and_then(|after| after.strip_prefix('.')) {
        None => Some((here, &field.shape)),
        Some(rest) => member(&field.shape, rest).map(|(below, shape)| (format!("{here}{below}"), shape)),
    }
}

fn members(shape: &Shape, at: &str, known: &mut Vec<String>) {
    if let Shape::Record(fields) = shape {
        for field in fields.iter() {
            let place = format!("{at}.{}", field.name);
            members(&field.shape, &place, known);
            known.push(place);
        }
    }
}

/// Reads a text; an error says what is wanted.
fn read(kind: Kind<'_>, text: &str) -> Result<Value, &'static str> {
    let parsed = || serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!(text));
    match kind {
        Kind::Text => Ok(json!(text)),
        Kind::Texts if !text.starts_with('[') => {
            Ok(text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect::<Vec<_>>().into())
        }
        Kind::Input(Shape::String | Shape::Datetime | Shape::Date | Shape::Ip)
        | Kind::Words(_)
        | Kind::Time
        | Kind::Address => fits(kind, &json!(text)),
        Kind::Principal => match sketch::principal(text) {
            Ok(principal) => serde_json::to_value(principal).map_err(|_| "a caller"),
            Err(_) => Err("a caller such as `User::\"corp/alice\"`"),
        },
        Kind::Query(_) => fits(kind, &json!(text)),
        Kind::Bool | Kind::Long | Kind::Texts | Kind::Input(_) => fits(kind, &parsed()),
    }
}

fn fits(kind: Kind<'_>, value: &Value) -> Result<Value, &'static str> {
    let text = value.as_str();
    let ok = |fits: bool, wanted: &'static str| if fits { Ok(value.clone()) } else { Err(wanted) };
    match kind {
        Kind::Bool => ok(value.is_boolean(), "`true` or `false`"),
        Kind::Long => ok(value.is_i64(), "a whole number"),
        Kind::Text => ok(value.is_string(), "text"),
        Kind::Texts => ok(value.as_array().is_some_and(|all| all.iter().all(Value::is_string)), "a list of texts"),
        Kind::Time => {
            ok(text.is_some_and(|t| t.parse::<Timestamp>().is_ok()), "an instant like `2026-11-23T10:00:00Z`")
        }
        Kind::Address => ok(text.is_some_and(|t| t.parse::<IpAddr>().is_ok()), "an IP address"),
        Kind::Words(words) => ok(text.is_some_and(|t| words.contains(&t)), "one of a few words"),
        Kind::Principal => ok(value.is_object(), "a caller such as `User::\"corp/alice\"`"),
        Kind::Query(kind) => {
            let text = text.map_or_else(|| value.to_string(), ToOwned::to_owned);
            let fits = match kind {
                QueryType::String => true,
                QueryType::Long => text.parse::<i64>().is_ok(),
                QueryType::Bool => text.parse::<bool>().is_ok(),
            };
            if fits { Ok(json!([text])) } else { Err("of another type") }
        }
        Kind::Input(shape) => match crate::engine::value::value(shape, value, "input") {
            Ok(_) => Ok(value.clone()),
            Err(_) => Err(wanted(shape)),
        },
    }
}

fn wanted(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "`true` or `false`",
        Shape::Long => "a whole number",
        Shape::String => "text",
        Shape::Decimal => "a number of at most four decimal places",
        Shape::Datetime => "an instant like `2026-11-23T10:00:00Z`",
        Shape::Date => "a date like `2026-11-23`",
        Shape::Ip => "an IP address",
        Shape::Set(_) => "a JSON array of its items",
        Shape::Record(_) => "a JSON object of its members",
    }
}

/// Sets a pointer, making what it needs above it.
fn put(question: &Question, pointer: &str, value: Value, place: &str) -> Result<Question, String> {
    let mut whole = serde_json::to_value(question).map_err(|error| error.to_string())?;
    let mut at = &mut whole;
    for part in pointer.split('/').skip(1).map(unescaped) {
        if at.is_null() {
            *at = json!({});
        }
        let Some(object) = at.as_object_mut() else { return Err(format!("`{place}` is within no object")) };
        let fresh = || match part.as_str() {
            "approval" => json!({ "by": [], "oldest": question.facts.clock.now }),
            "token" => json!({ "scopes": [], "audiences": [], "sender_bound": false }),
            _ => Value::Null,
        };
        at = object.entry(part.clone()).or_insert_with(fresh);
    }
    *at = value;
    serde_json::from_value(whole).map_err(|error| format!("`{place}`: {error}"))
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests;
