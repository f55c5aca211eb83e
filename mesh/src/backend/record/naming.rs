//! Texts that are made of a call, such as a subject or a key: of path parameters, headers, and members of the body.

use crate::{
    backend::{
        ConfigError,
        braces::{Part, parts},
        endpoint,
    },
    bind::strict,
    invocation::{Head, InvokeError},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::Value;
use std::collections::BTreeMap;

/// Longest text that is configured, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// A text with places that a call fills.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::backend) struct Naming(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// `{name}`
    Parameter(String),
    /// `{header.name}`
    Header(HeaderName),
    /// `{body.name.name}`
    Member(Vec<String>),
}

/// A call as names are made of it. The body is read only if a name needs it.
#[derive(Debug)]
pub(in crate::backend) struct Said<'a> {
    head: &'a Head,
    body: Option<Value>,
}

impl Naming {
    /// Reads one.
    pub(in crate::backend) fn parse(field: &'static str, text: &str) -> Result<Self, ConfigError> {
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(endpoint::bad(field, format!("a text has 1 to {TEXT_BYTES_MAX} bytes")));
        }
        if text.chars().any(char::is_control) {
            return Err(endpoint::bad(field, "a text has no control characters".to_owned()));
        }
        pieces(text).map(Self).map_err(|message| endpoint::bad(field, message))
    }

    /// The path parameters that it uses.
    pub(in crate::backend) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            Piece::Literal(_) | Piece::Header(_) | Piece::Member(_) => None,
        })
    }

    /// Whether the body must be read for it.
    fn reads_body(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Member(_)))
    }

    /// The text with each place taken by `x`: whatever it is checked for must hold for that already.
    pub(in crate::backend) fn sample(&self) -> String {
        let of = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Parameter(_) | Piece::Header(_) | Piece::Member(_) => "x".to_owned(),
        };
        self.0.iter().map(of).collect()
    }

    /// The text of a call. What is filled in has to be `sound`, and there.
    pub(in crate::backend) fn of(&self, said: &Said<'_>, sound: fn(&str) -> bool) -> Result<String, InvokeError> {
        let mut text = String::new();
        for piece in &self.0 {
            let filled = match piece {
                Piece::Literal(literal) => {
                    text.push_str(literal);
                    continue;
                }
                Piece::Parameter(name) => said.head.parameters.get(name.as_str()).map(|value| value.to_string()),
                Piece::Header(name) => one(said.head, name),
                Piece::Member(path) => said.body.as_ref().and_then(|body| member(body, path)),
            };
            let filled = filled.filter(|filled| !filled.is_empty());
            let filled =
                filled.ok_or(InvokeError::Unsupported("a call that does not say what its record is named by"))?;
            if !sound(&filled) {
                return Err(InvokeError::Unsupported("a name of a record with such characters"));
            }
            text.push_str(&filled);
        }
        Ok(text)
    }
}

impl<'a> Said<'a> {
    /// The call with its body.
    pub(in crate::backend) fn new<'n>(
        head: &'a Head,
        body: &Bytes,
        mut names: impl Iterator<Item = &'n Naming>,
    ) -> Result<Self, InvokeError> {
        let body = match names.any(Naming::reads_body) {
            // As policy would read it: of a body that two readers could take differently nothing is named.
            true => Some(strict::read(body).map_err(|_| InvokeError::Unsupported("a body that is not strict JSON"))?),
            false => None,
        };
        Ok(Self { head, body })
    }
}

/// Texts by name, such as headers of a record, each a template.
pub(in crate::backend) fn all(
    field: &'static str,
    written: &BTreeMap<String, String>,
) -> Result<Vec<(String, Naming)>, ConfigError> {
    let read = |(name, text): (&String, &String)| Ok((name.clone(), Naming::parse(field, text)?));
    written.iter().map(read).collect()
}

/// Whether a text can stand in a header.
pub(in crate::backend) fn is_header(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok()
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let piece = |part: Part<'_>| match part {
        Part::Literal(text) => Ok(Piece::Literal(text.to_owned())),
        Part::Place(name) => place(name),
    };
    parts(text)?.into_iter().map(piece).collect()
}

fn place(name: &str) -> Result<Piece, String> {
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let shown = endpoint::shown(name);
    match name.split_once('.') {
        None if word(name) => Ok(Piece::Parameter(name.to_owned())),
        Some(("header", name)) => HeaderName::from_bytes(name.as_bytes())
            .map(Piece::Header)
            .map_err(|_| format!("`{{{shown}}}` names no header")),
        Some(("body", path)) if path.split('.').all(|member| !member.is_empty()) => {
            Ok(Piece::Member(path.split('.').map(str::to_owned).collect()))
        }
        _ => Err(format!("`{{{shown}}}` is neither `{{parameter}}` nor `{{header.name}}` nor `{{body.member}}`")),
    }
}

/// A header that is there once and is text.
fn one(head: &Head, name: &HeaderName) -> Option<String> {
    let mut values = head.headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok().map(str::to_owned)
}

/// A member of the body that is one word: a text, a number, or true or false.
fn member(body: &Value, path: &[String]) -> Option<String> {
    let mut value = body;
    for name in path {
        value = value.as_object()?.get(name)?;
    }
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::post;

    fn name(text: &str, body: &str) -> Result<String, InvokeError> {
        let mut call = post("");
        call.head.headers.insert("x-tenant", HeaderValue::from_static("acme"));
        call.head.headers.append("x-twice", HeaderValue::from_static("a"));
        call.head.headers.append("x-twice", HeaderValue::from_static("b"));
        let naming = Naming::parse("subject", text).unwrap();
        let said = Said::new(&call.head, &Bytes::from(body.to_owned()), [&naming].into_iter())?;
        naming.of(&said, |text| !text.contains('.'))
    }

    #[test]
    fn texts_are_made_of_the_call() {
        let body = r#"{"customer":{"id":12},"a":true,"list":[1],"text":"x.y"}"#;
        for (text, expected) in [
            ("orders", "orders"),
            ("orders.{id}.made", "orders.7.made"),
            ("{header.X-Tenant}-{body.customer.id}", "acme-12"),
            ("{body.a}", "true"),
        ] {
            assert_eq!(name(text, body).unwrap(), expected);
        }
        for text in [
            "{absent}",
            "{header.absent}",
            "{header.x-twice}",
            "{body.absent}",
            "{body.list}",
            "{body.customer}",
            "{body.text}",
        ] {
            let error = name(text, body).unwrap_err();
            assert!(matches!(error, InvokeError::Unsupported(_)) && error.had_no_effect(), "{text}");
        }
        assert!(name("{body.a}", r#"{"a":1,"a":2}"#).is_err(), "two readers would take two names");
        assert!(name("{id}", "not json").is_ok(), "a body that no name needs is not read");
    }

    #[test]
    fn what_is_no_template_is_said() {
        for text in ["", "a{", "a}b", "{}", "{a b}", "{header.a b}", "{body.}", "{query.a}", "a\nb"] {
            assert_eq!(Naming::parse("subject", text).map_err(|error| error.field), Err("subject"), "{text:?}");
        }
    }
}
