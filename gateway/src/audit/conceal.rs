//! What of a call is recorded, and how: the modes of its fields applied to facts, parameters and input.

use super::{
    field::{CLASSES, FACTS, Fields, Mode, pointer},
    hash::HashKey,
    record::Authority,
    redact::{Input, Parameters, REDACTED},
    subject::{NOBODY, Subjects, seal::SubjectKey},
};
use policy::{
    engine::looks::Looks,
    question::{Facts, Question},
};
use serde::Serialize;
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, io, net::IpAddr, sync::Arc};
use uuid::Uuid;

/// What stands in a record for a field that was there and is not recorded.
pub const DROPPED: &str = "dropped";

/// The fact that records have outside of the facts, too.
const SOURCE: &str = "network/source";

/// How calls are recorded.
#[derive(Debug, Default)]
pub struct Redaction {
    fields: Fields,
    hash: Option<HashKey>,
    subjects: Option<Arc<Subjects>>,
}

/// What is recorded of a question.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) facts: Said<'a>,
    pub(crate) path: Parameters<'a>,
    pub(crate) query: Parameters<'a>,
    pub(crate) input: Option<Input<'a>>,
    /// The places of the input that are recorded, if not all of it is.
    pub(crate) input_read: Option<Vec<String>>,
    /// What stands for each concealed field, by its place.
    pub(crate) protected: BTreeMap<String, String>,
}

/// Facts as they are, or without what is concealed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Said<'a> {
    Whole(&'a Facts),
    Rest(Value),
}

/// What fields of one call are concealed with.
#[derive(Debug)]
struct Veil<'a> {
    hash: Option<&'a HashKey>,
    key: Option<&'a SubjectKey>,
    call: Uuid,
    places: BTreeMap<String, String>,
}

impl Redaction {
    /// Records fields in these modes.
    #[must_use]
    pub fn new(fields: Fields, hash: Option<HashKey>, subjects: Arc<Subjects>) -> Self {
        Self { fields, hash, subjects: Some(subjects) }
    }

    /// The keys of subjects, and what is on hold.
    #[must_use]
    pub fn subjects(&self) -> Option<&Arc<Subjects>> {
        self.subjects.as_ref()
    }

    fn encrypting(&self) -> Option<&Arc<Subjects>> {
        let subjects = self.subjects.as_ref().filter(|subjects| subjects.encrypts());
        subjects.filter(|_| self.fields.use_mode(Mode::Encrypted))
    }

    /// Sees that there is a key to encrypt what is of a subject with. It waits for the disk at the first call of each.
    pub(crate) async fn ready(&self, subject: &str) -> io::Result<()> {
        let Some(subjects) = self.encrypting().filter(|subjects| subjects.used(subject).is_none()) else {
            return Ok(());
        };
        let (subjects, subject) = (subjects.clone(), subject.to_owned());
        let made = tokio::task::spawn_blocking(move || subjects.key(&subject).map(drop)).await;
        made.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// What is recorded of a question, of whose input policies looked at `looks`.
    pub(crate) fn keep<'a>(&'a self, call: Uuid, question: &'a Question, looks: &'a Looks) -> Kept<'a> {
        let key = self.encrypting().and_then(|subjects| subjects.used(&question.principal.id));
        let mut veil = Veil { hash: self.hash.as_ref(), key: key.as_deref(), call, places: BTreeMap::new() };
        let facts = match self.fields.conceal("facts") {
            true => self.facts(&question.facts, &mut veil),
            false => Said::Whole(&question.facts),
        };
        let path = Parameters::Path(&question.path, self.fields.of("path"));
        path.concealed(&mut |name, mode, value| veil.conceal(&["path", name], mode, &Value::from(value)));
        let query = Parameters::Query(&question.query, self.fields.of("query"));
        query.concealed(&mut |name, mode, value| veil.conceal(&["query", name], mode, &Value::from(value)));
        let input = question.input.as_deref().map(|input| Input::new(input, self.fields.of("input"), looks));
        if let Some(input) = input.as_ref().filter(|_| self.fields.conceal("input")) {
            let mut at = vec!["input".to_owned()];
            input.concealed_places(&mut at, &mut |place, mode, value| veil.conceal(place, mode, value));
        }
        let all = input.is_none() || looks.covers(&["input"]);
        let input_read = (!all).then(|| looks.places().map(|place| pointer(place.iter().skip(1))).collect());
        let input = input.filter(|input| !input.is_concealed());
        Kept { facts, path, query, input, input_read, protected: veil.places }
    }

    fn facts(&self, facts: &Facts, veil: &mut Veil<'_>) -> Said<'static> {
        let Ok(mut value) = serde_json::to_value(facts) else { return Said::Rest(Value::Null) };
        for (fact, mode) in self.fields.facts() {
            let (within, name) = fact.rsplit_once('/').unwrap_or(("", fact));
            let within = if within.is_empty() { Some(&mut value) } else { value.get_mut(within) };
            if let Some(found) = within.and_then(Value::as_object_mut).and_then(|members| members.shift_remove(name)) {
                let words: Vec<_> = std::iter::once("facts").chain(fact.split('/')).collect();
                // Of who forwards a call, the id is what can be looked up.
                let shown = if mode == Mode::Hmac { found.get("id").unwrap_or(&found) } else { &found };
                veil.conceal(&words, mode, shown);
            }
        }
        Said::Rest(value)
    }

    /// Errors in words. A policy that fails on a value may quote it, so an error with one that is not recorded is left
    /// out: which policy failed is told all the same.
    pub(crate) fn errors<'a>(
        &self,
        errors: &'a [String],
        asked: Option<&Question>,
        looks: &Looks,
    ) -> Vec<Cow<'a, str>> {
        let mut withheld: Vec<String> = Vec::new();
        if let Some(question) = asked.filter(|_| !errors.is_empty()) {
            let mut text = |text: &str| withheld.push(text.to_owned());
            Parameters::Path(&question.path, self.fields.of("path")).withheld(&mut text);
            Parameters::Query(&question.query, self.fields.of("query")).withheld(&mut text);
            if let Some(input) = question.input.as_deref() {
                Input::new(input, self.fields.of("input"), looks).withheld(&mut |value| match value {
                    Value::String(said) => text(said),
                    value => text(&value.to_string()),
                });
            }
            withheld.extend(self.withheld_facts(&question.facts));
        }
        errors.iter().map(|error| if quotes(error, &withheld) { REDACTED.into() } else { Cow::from(error) }).collect()
    }

    /// What facts say that an error may quote and that is not recorded.
    fn withheld_facts(&self, facts: &Facts) -> Vec<String> {
        let source = facts.network.source.map(|source| source.to_string());
        let concealed = || source.into_iter().chain([facts.network.zone.to_string()]).collect();
        self.fields.conceal("facts").then(concealed).unwrap_or_default()
    }

    /// By what right somebody administers: without any facts where some are concealed.
    pub(crate) fn authority(&self, authority: &mut Authority) {
        if self.fields.conceal("facts")
            && let Some(facts) = authority.facts.take()
        {
            let withheld = self.withheld_facts(&facts);
            authority.errors.iter_mut().filter(|error| quotes(error, &withheld)).for_each(|e| *e = REDACTED.to_owned());
        }
    }

    /// A caller's address outside of the facts, and what stands for it if it is concealed.
    pub(crate) fn source(&self, call: Uuid, source: Option<IpAddr>) -> (Option<IpAddr>, Option<String>) {
        let mode = self.fields.of_fact(SOURCE);
        let Some(address) = source.filter(|_| mode != Mode::Plain) else { return (source, None) };
        let key = self.encrypting().and_then(|subjects| subjects.used(NOBODY));
        let veil = Veil { hash: self.hash.as_ref(), key: key.as_deref(), call, places: BTreeMap::new() };
        (None, Some(veil.veiled("/source", mode, &Value::from(address.to_string()))))
    }

    /// The network of a summary.
    pub(crate) fn network(&self, network: String) -> String {
        let mode = self.fields.of_fact(SOURCE);
        match (mode, &self.hash) {
            (Mode::Plain, _) => network,
            (Mode::Hmac, Some(key)) => key.hash(&network),
            (Mode::Hmac | Mode::Encrypted | Mode::Drop, _) => DROPPED.to_owned(),
        }
    }

    /// The path of a request. It has the path parameters in it, so it is left out where one of them may be concealed.
    pub(crate) fn request_path<'a>(&self, path: Cow<'a, str>) -> Cow<'a, str> {
        if self.fields.conceal("path") { REDACTED.into() } else { path }
    }
}

impl Veil<'_> {
    fn conceal<W: AsRef<str>>(&mut self, place: &[W], mode: Mode, value: &Value) {
        let place = pointer(place);
        let veiled = self.veiled(&place, mode, value);
        self.places.insert(place, veiled);
    }

    /// What stands for a value. What there is no key for is dropped: it is never shown instead.
    fn veiled(&self, place: &str, mode: Mode, value: &Value) -> String {
        let veiled = match mode {
            Mode::Hmac => self.hash.map(|key| match value {
                Value::String(text) => key.hash(text),
                value => key.hash(&value.to_string()),
            }),
            Mode::Encrypted => self.key.and_then(|key| key.seal(self.call, place, &value.to_string())),
            Mode::Plain | Mode::Drop => None,
        };
        veiled.unwrap_or_else(|| DROPPED.to_owned())
    }
}

/// Whether an error has one of these in it.
fn quotes(error: &str, withheld: &[String]) -> bool {
    withheld.iter().any(|value| !value.is_empty() && error.contains(value))
}

/// Whether a pointer leads to something that has a mode, and if not, what is wrong with it.
///
/// # Errors
/// What is wrong, and the nearest name.
pub fn place(pointer: &str) -> Result<(), (String, Option<String>)> {
    let words = super::field::words(pointer).map_err(|error| (error.to_string(), None))?;
    let near = |word: &str, known: &mut dyn Iterator<Item = &'static str>| {
        policy::finding::nearest(word, known).map(ToOwned::to_owned)
    };
    match words.split_first() {
        Some((class, rest)) if class == "facts" => {
            let fact = rest.join("/");
            let known = FACTS.iter().any(|known| {
                *known == fact || rest.is_empty() || known.strip_prefix(&fact).is_some_and(|more| more.starts_with('/'))
            });
            match known {
                true => Ok(()),
                false => {
                    let near = near(&fact, &mut FACTS.into_iter()).map(|near| format!("/facts/{near}"));
                    Err((format!("there is no fact `{pointer}`"), near))
                }
            }
        }
        Some((class, rest)) if matches!(class.as_str(), "path" | "query") && rest.len() > 1 => {
            Err((format!("`{pointer}` is within a parameter, which is recorded as a whole"), None))
        }
        Some((class, _)) if CLASSES.contains(&class.as_str()) => Ok(()),
        Some((class, _)) => {
            let near = near(class, &mut CLASSES.into_iter()).map(|near| format!("/{near}"));
            Err((format!("`{pointer}` is in none of `/facts`, `/path`, `/query` and `/input`"), near))
        }
        None => Err((format!("`{pointer}` is no place"), None)),
    }
}

#[cfg(test)]
mod tests;
