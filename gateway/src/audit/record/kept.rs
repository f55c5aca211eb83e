//! A question as a record has it: what of it is there, and what is not and why. What is not there is never guessed.

use super::{IntentBody, RefusedBody};
use crate::audit::{field, hash, redact::REDACTED, subject::seal};
use policy::{
    engine::looks::Looks,
    question::{Facts, FunctionName, Principal, Question, Verb},
    replay::Why,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// What marks a record that has concealed fields.
const PROTECTED: &[u8] = b"\"protected\":{";

/// A question as a record has it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// With stand-ins for what must be there and is not.
    pub(crate) question: Question,
    /// Places from `facts`, `path`, `query` or `input` down that the record does not have, and why.
    pub(crate) lost: Vec<(Vec<String>, Why)>,
    /// What of the input was recorded at all; `None` is all of it.
    pub(crate) recorded: Option<Looks>,
}

type Parameters<'a> = (&'a BTreeMap<String, String>, &'a BTreeMap<String, Vec<String>>, Option<&'a Value>);

impl Kept {
    pub(crate) fn of_intent(intent: &IntentBody) -> Self {
        let asked = (intent.principal.clone(), intent.verb.clone(), intent.function.clone(), intent.facts.clone());
        let given = (&intent.path, &intent.query, intent.input.as_ref());
        Self::new(asked, given, intent.input_read.as_deref(), (&intent.protected, &intent.truncated))
    }

    /// The question of a refusal, if it came to one.
    pub(crate) fn of_refused(refused: &RefusedBody) -> Option<Self> {
        let principal = refused.principal.clone()?;
        let asked = (principal, refused.verb.clone()?, refused.function.clone()?, refused.facts.clone()?);
        let given = (&refused.path, &refused.query, refused.input.as_ref());
        Some(Self::new(asked, given, refused.input_read.as_deref(), (&refused.protected, &refused.truncated)))
    }

    fn new(
        (principal, verb, function, facts): (Principal, Verb, FunctionName, Facts),
        (path, query, input): Parameters<'_>,
        input_read: Option<&[String]>,
        (protected, truncated): (&BTreeMap<String, String>, &[String]),
    ) -> Self {
        let mut lost: Vec<_> = protected.iter().filter_map(|(place, value)| concealed(place, value)).collect();
        if truncated.iter().any(|name| name == "input") {
            lost.push((vec!["input".to_owned()], Why::Truncated));
        } else if let Some(input) = input {
            redacted(input, &mut vec!["input".to_owned()], &mut lost);
        }
        for (name, value) in path {
            redacted(&Value::from(value.as_str()), &mut vec!["path".to_owned(), name.clone()], &mut lost);
        }
        for (name, values) in query {
            let whole = Value::from(values.join(" "));
            redacted(&whole, &mut vec!["query".to_owned(), name.clone()], &mut lost);
        }
        let recorded = input_read.map(|read| {
            let place = |pointer: &String| {
                let words = field::words(pointer).unwrap_or_default();
                std::iter::once("input".to_owned()).chain(words).collect::<Vec<_>>()
            };
            Looks::at(read.iter().map(place))
        });
        // An input that is concealed as a whole was there.
        let none = || protected.contains_key("/input").then(|| Value::Object(Map::new()));
        let text = |text: &String| Arc::<str>::from(text.as_str());
        let question = Question {
            principal,
            verb,
            function,
            facts,
            path: path.iter().map(|(name, value)| (text(name), text(value))).collect(),
            query: query.iter().map(|(name, values)| (text(name), values.iter().map(text).collect())).collect(),
            input: input.cloned().or_else(none).map(Arc::new),
        };
        Self { question, lost, recorded }
    }
}

/// A place that is concealed, and how. What is beside a question, such as `/source`, is none.
fn concealed(place: &str, value: &str) -> Option<(Vec<String>, Why)> {
    let words = field::words(place).ok()?;
    field::CLASSES.contains(&words.first()?.as_str()).then_some((words, why(value)))
}

fn why(value: &str) -> Why {
    match value {
        _ if value.starts_with(hash::PREFIX) => Why::Hashed,
        _ if value.starts_with(seal::PREFIX) => Why::Encrypted,
        _ => Why::Dropped,
    }
}

/// What stands for a concealed value where people read; an encrypted one says nothing.
pub(crate) fn shown(value: &str) -> &str {
    if value.starts_with(seal::PREFIX) { "encrypted" } else { value }
}

/// Every place where something was redacted, if only in part.
fn redacted(value: &Value, at: &mut Vec<String>, lost: &mut Vec<(Vec<String>, Why)>) {
    let mut below = |name: String, value: &Value| {
        at.push(name);
        redacted(value, at, lost);
        at.pop();
    };
    match value {
        Value::String(text) if text.contains(REDACTED) => lost.push((at.clone(), Why::Redacted)),
        Value::Object(members) => members.iter().for_each(|(name, member)| below(name.clone(), member)),
        Value::Array(items) => items.iter().enumerate().for_each(|(place, item)| below(place.to_string(), item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A line whose concealed facts have stand-ins where there must be something; `None` when it has none.
pub(super) fn restored(line: &[u8]) -> Result<Option<Value>, serde_json::Error> {
    if !line.windows(PROTECTED.len()).any(|bytes| bytes == PROTECTED) {
        return Ok(None);
    }
    let mut whole: Value = serde_json::from_slice(line)?;
    let places = whole.get("protected").and_then(Value::as_object);
    let facts: Vec<String> =
        places.into_iter().flatten().filter_map(|(place, _)| Some(place.strip_prefix("/facts/")?.to_owned())).collect();
    for fact in facts {
        let (within, name) = fact
            .rsplit_once('/')
            .map_or(("/facts".to_owned(), fact.as_str()), |(within, name)| (format!("/facts/{within}"), name));
        if let Some(value) = stand_in(&fact)
            && let Some(members) = whole.pointer_mut(&within).and_then(Value::as_object_mut)
        {
            members.insert(name.to_owned(), value);
        }
    }
    Ok(Some(whole))
}

/// What stands for a fact that is always there; one that may be missing is.
fn stand_in(fact: &str) -> Option<Value> {
    Some(match fact {
        "call" => json!("sync"),
        "network/provenance" => json!("socket"),
        "network/zone" => json!("[concealed]"),
        "transport/mtls" | "transport/sealed" | "token/sender_bound" => json!(false),
        "transport/tls" | "clock/minute" | "via/depth" => json!(0),
        "token/scopes" | "token/audiences" => json!([]),
        "clock/now" => json!("1970-01-01T00:00:00Z"),
        "clock/weekday" => json!(1),
        _ => return None,
    })
}
