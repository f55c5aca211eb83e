//! What of a question is not known: what a record keeps out, or what a person leaves open. It is never guessed.

use crate::{
    engine::{
        Snapshot,
        look::{Asks, Open},
        looks::Looks,
        request::Unaskable,
    },
    question::{Approval, Facts, Question, Token, Verb},
    vocabulary::shape::Shape,
};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// Places of a question of which nothing is known, such as `input.customer.iban`, `path.sku` or `input`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden(BTreeMap<String, Place>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    words: Vec<String>,
    /// It may not be there at all.
    unsure: bool,
}

impl Hidden {
    /// Hides what is in a place: the words from `facts`, `input`, `path` or `query` down.
    pub fn hide(&mut self, words: Vec<String>) {
        self.0.insert(words.join("."), Place { words, unsure: false });
    }

    /// Hides what a record left out, of all that policies look at: only `recorded` of an input is in it.
    pub fn hide_beyond(&mut self, recorded: &Looks, looks: &Looks) {
        for place in looks.within("input").places().filter(|place| !recorded.covers(place)) {
            // As far up as nothing at all is known: what a place is in may not be there either.
            let mut above = (2..=place.len()).filter_map(|words| place.get(..words));
            let (highest, unsure) = match above.find(|above| !recorded.touches(above)) {
                Some(above) => (above, true),
                None => (place, false),
            };
            let words: Vec<String> = highest.iter().map(ToString::to_string).collect();
            self.0.insert(words.join("."), Place { words, unsure });
        }
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
        let (filled, open) = self.filled(snapshot, question);
        let mut asks = snapshot.asks(&filled)?;
        asks.open = open;
        Ok(asks)
    }

    /// A question with a value of the right type in each hidden place, which no clause may get to see, and those places.
    pub(crate) fn filled(&self, snapshot: &Snapshot, question: &Question) -> (Question, Vec<Open>) {
        let mut filled = question.clone();
        let words = snapshot.vocabulary().askable(&question.function);
        let shape = words.and_then(|words| words.input.as_ref());
        let mut open: Vec<Open> = Vec::new();
        for Place { words: place, unsure } in self.0.values() {
            let mut leave = |place: &[String]| {
                let place = std::iter::once("context").chain(place.iter().map(String::as_str)).map(ToOwned::to_owned);
                open.push(Open { place: place.collect(), unsure: *unsure });
            };
            match (place.split_first(), shape) {
                (Some((first, rest)), Some(shape)) if first == "input" => {
                    let mut input = filled.input.as_deref().cloned().unwrap_or(Value::Null);
                    if let Some(depth) = fill(shape, &mut input, rest) {
                        leave(place.get(..=depth).unwrap_or(place));
                        filled.input = Some(Arc::new(input));
                    }
                }
                (Some((first, [name])), _) if first == "path" => {
                    filled.path.insert(name.as_str().into(), "".into());
                    leave(place);
                }
                (Some((first, [name])), _) if first == "query" => {
                    let kind = words.and_then(|words| words.query.get(name.as_str()));
                    let stand_in = match kind {
                        Some(crate::declared::QueryType::Long) => "0",
                        Some(crate::declared::QueryType::Bool) => "false",
                        Some(crate::declared::QueryType::String) | None => "",
                    };
                    filled.query.insert(name.as_str().into(), vec![stand_in.into()]);
                    leave(place);
                }
                (Some((first, rest)), _) if first == "facts" => {
                    let depth = fill_fact(&mut filled.facts, rest);
                    leave(place.get(..=depth).unwrap_or(place));
                }
                _ => {}
            }
        }
        (filled, open)
    }
}

/// Puts a value in a fact that may be missing; how far down the place leads is returned: who forwards is one place.
fn fill_fact(facts: &mut Facts, place: &[String]) -> usize {
    let words: Vec<&str> = place.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["via", ..] => return 1,
        ["approval", ..] => {
            let none = || Approval { by: Arc::new([]), oldest: Timestamp::UNIX_EPOCH };
            facts.approval.get_or_insert_with(none);
            return 1;
        }
        ["network", "source"] => facts.network.source = Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        ["clock", "business_day"] => facts.clock.business_day = Some(false),
        ["clock", "frozen"] => facts.clock.frozen = Some(false),
        ["token", rest @ ..] => {
            let token = facts.token.get_or_insert_with(Token::blank);
            match rest {
                ["issued"] => token.issued = Some(Timestamp::UNIX_EPOCH),
                ["authenticated"] => token.authenticated = Some(Timestamp::UNIX_EPOCH),
                ["acr"] => token.acr = Some("".into()),
                ["amr"] => token.amr = Some(Arc::new([])),
                _ => {}
            }
        }
        _ => {}
    }
    place.len()
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

impl Snapshot {
    /// Fills what must be in a question's input and was left out of its record, because no policy looked at it.
    ///
    /// INVARIANT: whoever asks has hidden every place that a policy looks at and the record does not have.
    pub fn complete(&self, question: &mut Question) {
        let words = self.vocabulary().function(&question.function);
        if let (Some(shape), Some(input)) = (words.and_then(|words| words.input.as_ref()), &mut question.input) {
            complete(shape, Arc::make_mut(input));
        }
    }
}

/// Adds what must be there and is not, everywhere in an input.
fn complete(shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Record(fields), Value::Object(members)) => {
            for field in fields.iter() {
                match members.get_mut(field.name.as_ref()) {
                    Some(member) => complete(&field.shape, member),
                    None if field.required => drop(members.insert(field.name.to_string(), stand_in(&field.shape))),
                    None => {}
                }
            }
        }
        (Shape::Set(shape), Value::Array(items)) => items.iter_mut().for_each(|item| complete(shape, item)),
        _ => {}
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
