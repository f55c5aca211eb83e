//! Secrets never reach a record: members and parameters by name, configured places, and whatever looks like one.

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

/// What is kept out of records besides what is kept out always.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    pointers: Vec<Vec<String>>,
}

/// A text is no JSON pointer (RFC 6901).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a JSON pointer; one is like `/customer/iban`, and `*` stands for any member or element")]
pub struct NotAPointer(pub String);

impl Redaction {
    /// Redacts these places of inputs besides. In a pointer `*` stands for any member or element.
    ///
    /// # Errors
    /// When a text is no JSON pointer.
    pub fn new<'a>(pointers: impl IntoIterator<Item = &'a str>) -> Result<Self, NotAPointer> {
        let pointers = pointers.into_iter().map(pointer).collect::<Result<_, _>>()?;
        Ok(Self { pointers })
    }

    pub(crate) fn input<'a>(&'a self, value: &'a Value) -> Input<'a> {
        Input { value, pointers: self.pointers.iter().map(Vec::as_slice).collect() }
    }

    pub(crate) fn path<'a>(&self, path: &'a BTreeMap<Arc<str>, Arc<str>>) -> Parameters<'a> {
        Parameters::Path(path)
    }

    pub(crate) fn query<'a>(&self, query: &'a BTreeMap<Arc<str>, Vec<Arc<str>>>) -> Parameters<'a> {
        Parameters::Query(query)
    }
}

/// An input, serialised without its secrets.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    value: &'a Value,
    /// What is left of the pointers that lead here.
    pointers: Vec<&'a [String]>,
}

impl Input<'_> {
    /// How long it is when serialised.
    pub(crate) fn bytes(&self) -> u64 {
        let mut counted = Counted(0);
        // Counting can't fail; what was counted until then is near enough.
        let _ = serde_json::to_writer(&mut counted, self);
        counted.0
    }

    fn below<'b>(&'b self, name: &str, value: &'b Value) -> Input<'b> {
        let step = |pointer: &&'b [String]| match pointer.split_first() {
            Some((first, rest)) if first == name || first == "*" => Some(rest),
            _ => None,
        };
        Input { value, pointers: self.pointers.iter().filter_map(step).collect() }
    }

    fn is_pointed_at(&self) -> bool {
        self.pointers.iter().any(|rest| rest.is_empty())
    }
}

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_pointed_at() {
            return serializer.serialize_str(REDACTED);
        }
        match self.value {
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    if is_secret(name) {
                        map.serialize_entry(name, REDACTED)?;
                    } else {
                        map.serialize_entry(name, &self.below(name, value))?;
                    }
                }
                map.end()
            }
            Value::Array(elements) => {
                let mut list = serializer.serialize_seq(Some(elements.len()))?;
                for (index, value) in elements.iter().enumerate() {
                    if self.pointers.is_empty() {
                        list.serialize_element(&Input { value, pointers: Vec::new() })?;
                    } else {
                        list.serialize_element(&self.below(&index.to_string(), value))?;
                    }
                }
                list.end()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => self.value.serialize(serializer),
        }
    }
}

/// Path or query parameters, serialised without their secrets.
#[derive(Debug)]
pub(crate) enum Parameters<'a> {
    Path(&'a BTreeMap<Arc<str>, Arc<str>>),
    Query(&'a BTreeMap<Arc<str>, Vec<Arc<str>>>),
}

impl Serialize for Parameters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Path(path) => serializer.collect_map(
                path.iter().map(|(name, value)| (name, if is_secret(name) { REDACTED } else { value.as_ref() })),
            ),
            Self::Query(query) => {
                let mut map = serializer.serialize_map(Some(query.len()))?;
                for (name, values) in *query {
                    if is_secret_parameter(name) {
                        map.serialize_entry(name, &vec![REDACTED; values.len()])?;
                    } else {
                        map.serialize_entry(name, values)?;
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

fn pointer(text: &str) -> Result<Vec<String>, NotAPointer> {
    let rest = text.strip_prefix('/').ok_or_else(|| NotAPointer(text.to_owned()))?;
    Ok(rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
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
