//! A message that is written in the configuration, with places that a call fills. What is filled in stays text.

use super::bad;
use crate::{
    backend::{
        ConfigError,
        braces::{Part, parts},
        endpoint::{self, shown},
    },
    invocation::{Head, InvokeError},
    soap::xml,
};
use http::HeaderName;
use serde_json::Value;

/// Longest template, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A checked template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// `{name}`
    Parameter(String),
    /// `{header.name}`
    Header(HeaderName),
    /// `{body.name.name}`, or `{body.name?}` for one that may be absent.
    Member {
        path: Vec<String>,
        optional: bool,
    },
}

impl Template {
    /// Reads one; with whatever is filled in, it has to be one element.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |message: String| Err(endpoint::bad("template", message));
        if text.len() > TEXT_BYTES_MAX {
            return wrong(format!("a template has at most {TEXT_BYTES_MAX} bytes"));
        }
        let template = match pieces(text.trim()) {
            Ok(pieces) => Self(pieces),
            Err(message) => return wrong(message),
        };
        // A place where an element or attribute is named would be filled with one.
        for sample in ["x", "é", "1", ""] {
            let filled = template.filled(|_| Ok(sample.to_owned())).unwrap_or_default();
            match xml::parse(&filled) {
                Err(why) => return wrong(why),
                Ok(document) if names(&document) != names_of(&template) => {
                    return wrong(
                        "a place stands for text or for the value of an attribute, not for a name".to_owned(),
                    );
                }
                Ok(_) => {}
            }
        }
        Ok(template)
    }

    /// The path parameters that it uses.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            Piece::Literal(_) | Piece::Header(_) | Piece::Member { .. } => None,
        })
    }

    /// Whether the body must be there.
    pub(super) fn reads_body(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Member { optional: false, .. }))
    }

    /// The message of a call.
    pub(super) fn fill(&self, head: &Head, body: Option<&Value>) -> Result<String, InvokeError> {
        self.filled(|piece| match piece {
            Piece::Literal(_) => Ok(String::new()),
            Piece::Parameter(name) => {
                let value = head.parameters.get(name.as_str()).map(ToString::to_string);
                value.ok_or(InvokeError::Unsupported("a route without the target's path parameters"))
            }
            Piece::Header(name) => one(head, name).ok_or_else(|| bad(format!("the header `{name}` is not given once"))),
            Piece::Member { path, optional } => member(body, path, *optional),
        })
    }

    fn filled(&self, value: impl Fn(&Piece) -> Result<String, InvokeError>) -> Result<String, InvokeError> {
        let mut out = String::new();
        for piece in &self.0 {
            if let Piece::Literal(text) = piece {
                out.push_str(text);
                continue;
            }
            let text = value(piece)?;
            xml::push_text(&mut out, &text)
                .ok_or_else(|| bad("a value has a character that XML can't hold".to_owned()))?;
        }
        Ok(out)
    }
}

/// The names of a document's elements and attributes.
fn names(document: &roxmltree::Document<'_>) -> Vec<String> {
    let elements = document.descendants().filter(roxmltree::Node::is_element);
    let each = |node: roxmltree::Node<'_, '_>| {
        let attributes = node.attributes().map(|attribute| attribute.name().to_owned());
        std::iter::once(node.tag_name().name().to_owned()).chain(attributes).collect::<Vec<_>>()
    };
    elements.flat_map(each).collect()
}

/// Those that it has whatever is filled in.
fn names_of(template: &Template) -> Vec<String> {
    let filled = template.filled(|_| Ok("latchwork".to_owned())).unwrap_or_default();
    xml::parse(&filled).map(|document| names(&document)).unwrap_or_default()
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let piece = |part: Part<'_>| match part {
        Part::Literal(text) => Ok(Piece::Literal(text.to_owned())),
        Part::Place(name) => place(name),
    };
    parts(text)?.into_iter().map(piece).collect()
}

fn place(text: &str) -> Result<Piece, String> {
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let (name, optional) = text.strip_suffix('?').map_or((text, false), |name| (name, true));
    match name.split_once('.') {
        None if word(name) && !optional => Ok(Piece::Parameter(name.to_owned())),
        Some(("header", name)) if !optional => HeaderName::from_bytes(name.as_bytes())
            .map(Piece::Header)
            .map_err(|_| format!("`{{{}}}` names no header", shown(text))),
        Some(("body", path)) if path.split('.').all(|member| !member.is_empty()) => {
            Ok(Piece::Member { path: path.split('.').map(str::to_owned).collect(), optional })
        }
        _ => {
            Err(format!("`{{{}}}` is neither `{{parameter}}` nor `{{header.name}}` nor `{{body.member}}`", shown(text)))
        }
    }
}

/// A header that is there once and is text.
fn one(head: &Head, name: &HeaderName) -> Option<String> {
    let mut values = head.headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok().map(str::to_owned)
}

fn member(body: Option<&Value>, path: &[String], optional: bool) -> Result<String, InvokeError> {
    let value = body.and_then(|body| path.iter().try_fold(body, |value, name| value.as_object()?.get(name)));
    let wrong = |why: &str| Err(bad(format!("`/{}` {why}", shown(&path.join("/")))));
    match value {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
        None | Some(Value::Null) if optional => Ok(String::new()),
        None | Some(Value::Null) => wrong("is missing"),
        Some(Value::Array(_) | Value::Object(_)) => wrong("is no text, number, or true or false"),
    }
}
