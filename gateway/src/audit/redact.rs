//! Secrets never reach a record: members and parameters by name, configured places, and whatever looks like one.

use super::field::{Mode, Rules};
use policy::engine::looks::Looks;
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::Value;
use std::{collections::BTreeMap, io, sync::Arc};

mod scrub;
#[cfg(test)]
mod tests;

pub(crate) use scrub::scrub;

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";

/// Parts of a name that make its value a secret, wherever they stand. Case, `-` and `_` don't count.
const SECRET_PARTS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "cookie",
    "credential",
    "signature",
];
/// Whole names whose value is a secret.
const SECRET_NAMES: [&str; 10] =
    ["tokens", "pwd", "sig", "jwt", "otp", "pin", "cvv", "cvc", "sessionid", "xfunctionskey"];
/// Whole names of query parameters whose value is a secret there.
const SECRET_PARAMETERS: [&str; 3] = ["code", "key", "auth"];
/// Longest name that is looked at; a longer one counts as secret if its start does.
const NAME_BYTES_MAX: usize = 128;

/// An input, serialised without its secrets, without what is concealed, and without what no policy looked at.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    value: &'a Value,
    rules: Rules<'a>,
    looks: Read<'a>,
}

/// What of a value was looked at: all, or what these lead to.
#[derive(Clone, Debug)]
enum Read<'a> {
    All,
    Only(Vec<&'a [Arc<str>]>),
}

/// How a member is recorded.
enum Part<'a> {
    Plain(Input<'a>),
    Secret,
    Concealed(Mode),
    Unread,
}

impl<'a> Input<'a> {
    /// An input of which policies looked at these places, from `input` down.
    pub(crate) fn new(value: &'a Value, rules: Rules<'a>, looks: &'a Looks) -> Self {
        let within = |place: &'a [Arc<str>]| place.strip_prefix(&["input".into()]).unwrap_or_default();
        let looks = if looks.covers(&["input"]) { Read::All } else { Read::Only(looks.places().map(within).collect()) };
        Self { value, rules, looks }
    }

    /// How the whole is recorded: a container is concealed as one unless it is hashed, or something in it differs.
    fn concealed(&self) -> Option<Mode> {
        let container = matches!(self.value, Value::Object(_) | Value::Array(_));
        match self.rules.mode() {
            Mode::Plain => None,
            Mode::Hmac if container => None,
            _ if container && !self.rules.is_leaf() => None,
            mode => Some(mode),
        }
    }

    fn part(&self, name: &str, value: &'a Value, is_member: bool) -> Part<'a> {
        let looks = match &self.looks {
            Read::Only(places) if is_member => {
                let below = |place: &&'a [Arc<str>]| match place.split_first() {
                    Some((first, rest)) => (first.as_ref() == name).then_some(rest),
                    None => Some(Default::default()),
                };
                let places: Vec<_> = places.iter().filter_map(below).collect();
                if places.is_empty() {
                    return Part::Unread;
                }
                if places.iter().any(|place| place.is_empty()) { Read::All } else { Read::Only(places) }
            }
            // Policy takes a list as a whole.
            Read::All | Read::Only(_) => Read::All,
        };
        let rules = self.rules.below(name);
        if is_member && is_secret(name) && !rules.keeps_secret() {
            return Part::Secret;
        }
        let part = Input { value, rules, looks };
        part.concealed().map_or(Part::Plain(part), Part::Concealed)
    }

    /// Calls back with every place that is concealed.
    pub(crate) fn concealed_places(&self, at: &mut Vec<String>, found: &mut dyn FnMut(&[String], Mode, &Value)) {
        if let Some(mode) = self.concealed() {
            return found(at, mode, self.value);
        }
        let mut visit = |name: String, value: &'a Value, is_member| {
            let part = self.part(&name, value, is_member);
            at.push(name);
            match part {
                Part::Plain(part) => part.concealed_places(at, found),
                Part::Concealed(mode) => found(at, mode, value),
                Part::Secret | Part::Unread => {}
            }
            at.pop();
        };
        match self.value {
            Value::Object(members) => members.iter().for_each(|(name, value)| visit(name.clone(), value, true)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, value)| visit(index.to_string(), value, false));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Calls back with every text that is not recorded as it is.
    pub(crate) fn withheld(&self, found: &mut dyn FnMut(&Value)) {
        if self.concealed().is_some() {
            return leaves(self.value, found);
        }
        let mut visit = |name: &str, value: &'a Value, is_member| match self.part(name, value, is_member) {
            Part::Plain(part) => part.withheld(found),
            Part::Concealed(_) | Part::Secret | Part::Unread => leaves(value, found),
        };
        match self.value {
            Value::Object(members) => members.iter().for_each(|(name, value)| visit(name, value, true)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, value)| visit(&index.to_string(), value, false));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Whether nothing of it is left to show.
    pub(crate) fn is_concealed(&self) -> bool {
        self.concealed().is_some()
    }
}

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(members) => {
                let mut map = serializer.serialize_map(None)?;
                for (name, value) in members {
                    match self.part(name, value, true) {
                        Part::Plain(part) => map.serialize_entry(name, &part)?,
                        Part::Secret => map.serialize_entry(name, REDACTED)?,
                        Part::Concealed(_) | Part::Unread => {}
                    }
                }
                map.end()
            }
            Value::Array(elements) => {
                let mut list = serializer.serialize_seq(Some(elements.len()))?;
                for (index, value) in elements.iter().enumerate() {
                    match self.part(&index.to_string(), value, false) {
                        Part::Plain(part) => list.serialize_element(&part)?,
                        // It keeps the places of the others.
                        Part::Concealed(_) | Part::Secret | Part::Unread => list.serialize_element(&())?,
                    }
                }
                list.end()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => self.value.serialize(serializer),
        }
    }
}

fn leaves(value: &Value, found: &mut dyn FnMut(&Value)) {
    match value {
        Value::Object(members) => members.values().for_each(|value| leaves(value, found)),
        Value::Array(items) => items.iter().for_each(|value| leaves(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found(value),
    }
}

/// Path or query parameters, serialised without their secrets and what is concealed.
#[derive(Debug)]
pub(crate) enum Parameters<'a> {
    Path(&'a BTreeMap<Arc<str>, Arc<str>>, Rules<'a>),
    Query(&'a BTreeMap<Arc<str>, Vec<Arc<str>>>, Rules<'a>),
}

impl Parameters<'_> {
    /// Calls back with every value that is not recorded as it is.
    pub(crate) fn withheld(&self, found: &mut dyn FnMut(&str)) {
        match self {
            Self::Path(path, rules) => {
                let secret = |name: &str| is_secret(name) || Self::conceals(name, rules, false).is_some();
                path.iter().filter(|(name, _)| secret(name)).for_each(|(_, value)| found(value));
            }
            Self::Query(query, rules) => {
                let secret = |name: &str| is_secret_parameter(name) || Self::conceals(name, rules, false).is_some();
                let values = query.iter().filter(|(name, _)| secret(name)).flat_map(|(_, values)| values);
                values.for_each(|value| found(value));
            }
        }
    }

    /// Calls back with every parameter that is concealed.
    pub(crate) fn concealed(&self, found: &mut dyn FnMut(&str, Mode, &str)) {
        match self {
            Self::Path(path, rules) => {
                for (name, value) in *path {
                    if let Some(mode) = Self::conceals(name, rules, is_secret(name)) {
                        found(name, mode, value);
                    }
                }
            }
            Self::Query(query, rules) => {
                for (name, values) in *query {
                    if let Some(mode) = Self::conceals(name, rules, is_secret_parameter(name)) {
                        found(name, mode, &values.join("&"));
                    }
                }
            }
        }
    }

    fn conceals(name: &str, rules: &Rules<'_>, secret: bool) -> Option<Mode> {
        let rules = rules.below(name);
        (rules.mode() != Mode::Plain && (!secret || rules.keeps_secret())).then_some(rules.mode())
    }
}

impl Serialize for Parameters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Path(path, rules) => {
                let shown = path.iter().filter_map(|(name, value)| {
                    let secret = is_secret(name);
                    let open = Self::conceals(name, rules, secret).is_none();
                    open.then_some((name, if secret { REDACTED } else { value.as_ref() }))
                });
                serializer.collect_map(shown)
            }
            Self::Query(query, rules) => {
                let mut map = serializer.serialize_map(None)?;
                for (name, values) in *query {
                    let secret = is_secret_parameter(name);
                    match Self::conceals(name, rules, secret) {
                        Some(_) => {}
                        None if secret => map.serialize_entry(name, &vec![REDACTED; values.len()])?,
                        None => map.serialize_entry(name, values)?,
                    }
                }
                map.end()
            }
        }
    }
}

/// Whether a member, header or parameter of this name holds a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let plain = plain(name);
    SECRET_PARTS.iter().any(|part| plain.contains(part))
        || SECRET_NAMES.contains(&plain.as_str())
        || plain.ends_with("token")
}

/// Whether a query parameter of this name holds a secret.
#[must_use]
pub fn is_secret_parameter(name: &str) -> bool {
    is_secret(name) || SECRET_PARAMETERS.contains(&plain(name).as_str())
}

fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(NAME_BYTES_MAX);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// How long a value is as JSON.
pub(crate) fn bytes(value: &Value) -> u64 {
    let mut counted = Counted(0);
    // Counting can't fail; what was counted until then is near enough.
    let _ = serde_json::to_writer(&mut counted, value);
    counted.0
}

struct Counted(u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
