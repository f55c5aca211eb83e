//! What of a question is not known: what a record keeps out, or what a person leaves open. It is never guessed.

use crate::{
    engine::{Snapshot, look::Asks, request::Unaskable},
    question::{Question, Verb},
    vocabulary::shape::Shape,
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// Places of a question of which nothing is known, such as `input.customer.iban`, `path.sku` or `input`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden(BTreeMap<String, Vec<String>>);

impl Hidden {
    /// Hides a place: the words from `input`, `path` or `query` down.
    pub fn hide(&mut self, place: Vec<String>) {
        self.0.insert(place.join("."), place);
    }

    /// Takes a place, and what is below it, out again: it is known now.
    pub fn reveal(&mut self, place: &str) {
        let below = format!("{place}.");
        self.0.retain(|hidden, _| hidden != place && !hidden.starts_with(&below));
    }

    /// The places, in words.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether nothing is hidden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The requests of a question, with what is hidden left open.
    pub(super) fn asks<'a>(&self, snapshot: &'a Snapshot, question: &Question) -> Result<Asks<'a>, Unaskable> {
        if self.is_empty() || question.verb == Verb::Describe {
            return snapshot.asks(question);
        }
        // Built with a value of the right type in each hidden place, which no clause gets to see.
        let mut filled = question.clone();
        let words = snapshot.vocabulary().askable(&question.function);
        let shape = words.and_then(|words| words.input.as_ref());
        let mut open: Vec<Vec<String>> = Vec::new();
        for place in self.0.values() {
            match (place.split_first(), shape) {
                (Some((first, rest)), Some(shape)) if first == "input" => {
                    let mut input = filled.input.as_deref().cloned().unwrap_or(Value::Null);
                    if let Some(depth) = fill(shape, &mut input, rest) {
                        open.push(place.iter().take(depth + 1).cloned().collect());
                        filled.input = Some(Arc::new(input));
                    }
                }
                (Some((first, [name])), _) if first == "path" => {
                    filled.path.insert(name.as_str().into(), "".into());
                    open.push(place.clone());
                }
                (Some((first, [name])), _) if first == "query" => {
                    let kind = words.and_then(|words| words.query.get(name.as_str()));
                    let stand_in = match kind {
                        Some(crate::declared::QueryType::Long) => "0",
                        Some(crate::declared::QueryType::Bool) => "false",
                        Some(crate::declared::QueryType::String) | None => "",
                    };
                    filled.query.insert(name.as_str().into(), vec![stand_in.into()]);
                    open.push(place.clone());
                }
                _ => {}
            }
        }
        let mut asks = snapshot.asks(&filled)?;
        asks.open = open.into_iter().map(|place| [vec!["context".to_owned()], place].concat()).collect();
        Ok(asks)
    }
}

/// Puts a value of the right type in a place; how far down the place leads is returned: an array is open as a whole.
fn fill(shape: &Shape, value: &mut Value, place: &[String]) -> Option<usize> {
    match (shape, place.split_first()) {
        (Shape::Record(fields), Some((first, rest))) => {
            let field = fields.iter().find(|field| field.name.as_ref() == first)?;
            if !value.is_object() {
                *value = stand_in(shape);
            }
            let member = value.as_object_mut()?.entry(first.clone()).or_insert(Value::Null);
            Some(fill(&field.shape, member, rest)? + 1)
        }
        _ => {
            *value = stand_in(shape);
            Some(0)
        }
    }
}

fn stand_in(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => Value::Bool(false),
        Shape::Long | Shape::Decimal => Value::from(0),
        Shape::String => Value::from(""),
        Shape::Datetime => Value::from("1970-01-01T00:00:00Z"),
        Shape::Date => Value::from("1970-01-01"),
        Shape::Ip => Value::from("0.0.0.0"),
        Shape::Set(_) => Value::Array(Vec::new()),
        Shape::Record(fields) => {
            let required = fields.iter().filter(|field| field.required);
            Value::Object(required.map(|f| (f.name.to_string(), stand_in(&f.shape))).collect::<Map<_, _>>())
        }
    }
}
