//! One input object per function, whichever front it came through: read strictly, checked, bound out.

pub mod protobuf;
pub mod soap;
pub(crate) mod strict;
pub mod transcode;

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use jsonschema::{Draft, Retrieve, Uri, ValidationError, Validator};
use percent_encoding::{AsciiSet, CONTROLS};
use serde_json::Value;
use std::sync::Arc;

/// What must be percent-encoded in a segment of a canonical path: all but `pchar` (RFC 3986), and `;` and `%` besides.
pub const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b';')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Deepest nesting of an input.
pub const DEPTH_MAX: usize = 64;

/// Longest pointer and longest message that an error repeats, in characters each.
const ERROR_CHARS_MAX: usize = 200;

/// Largest automaton of a `pattern`, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// A function's input schema, compiled.
#[derive(Debug)]
pub struct InputSchema {
    validator: Validator,
}

/// Why a body is not the function's input.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Not JSON, or JSON that two readers could take differently.
    #[error("the body is not strict JSON: {0}")]
    NotStrictJson(String),
    /// The declared content type is missing or another one.
    #[error("`content-type` must be `application/json`")]
    ContentType,
    /// A `content-encoding` that was not agreed.
    #[error("`content-encoding` is not accepted here")]
    ContentEncoding,
    /// A message of gRPC, or JSON for one, that does not fit its description.
    #[error("the message does not fit its description: {0}")]
    Message(String),
    /// A query that is none, or holds what it can't.
    #[error("{0}")]
    Parameter(String),
    /// JSON that does not fit the schema.
    #[error("{} does not fit the schema: {message}", if pointer.is_empty() { "the input".to_owned() } else { format!("`{pointer}`") })]
    Schema {
        /// JSON pointer (RFC 6901) into the input.
        pointer: String,
        /// What is wrong.
        message: String,
    },
}

/// Why a schema is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pointer}`: {message}")]
pub struct SchemaError {
    /// JSON pointer (RFC 6901) into the schema.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl InputSchema {
    /// Compiles a JSON Schema (draft 2020-12). Only references within the schema are followed.
    ///
    /// # Errors
    /// [`SchemaError`], when the schema is none.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_retriever(Nowhere)
            // A regular expression that needs no backtracking, whatever the caller sends.
            .with_pattern_options(jsonschema::PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .should_validate_formats(true)
            .build(schema)
            .map_err(|error| {
                let message = error.to_string();
                let place = reference(schema, &message).unwrap_or_else(|| place(&error));
                SchemaError { pointer: bounded(&place), message: bounded(&message) }
            })?;
        Ok(Self { validator })
    }

    /// Reads a body strictly and checks it.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Arc<Value>, InputError> {
        check_content_type(headers)?;
        check_content_encoding(headers)?;
        let value = strict::read(body).map_err(|error| InputError::NotStrictJson(bounded(&error)))?;
        self.check(&value)?;
        Ok(Arc::new(value))
    }

    /// Checks an input that was read already.
    fn check(&self, value: &Value) -> Result<(), InputError> {
        self.validator.validate(value).map_err(|error| InputError::Schema {
            pointer: bounded(&place(&error)),
            // The value stays out of the message: it may be large, or secret.
            message: bounded(&error.masked_with("the value").to_string()),
        })
    }
}

/// No schema is fetched: not from the network, not from a file.
struct Nowhere;

impl Retrieve for Nowhere {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("`{uri}` is outside of this schema; only references within it are followed").into())
    }
}

/// One header `application/json` or `application/…+json`, with no parameter but `charset=utf-8`.
fn check_content_type(headers: &HeaderMap) -> Result<(), InputError> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(InputError::ContentType) };
    let value = value.to_str().map_err(|_| InputError::ContentType)?.to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let kind = parts.next().and_then(|kind| kind.strip_prefix("application/")).unwrap_or_default();
    let token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.+_".contains(&b));
    let is_json = kind == "json" || kind.strip_suffix("+json").is_some_and(token);
    let charset = |parameter: &str| matches!(parameter, "charset=utf-8" | "charset=\"utf-8\"");
    let parameters: Vec<&str> = parts.collect();
    let plain = parameters.is_empty() || matches!(parameters.as_slice(), [only] if charset(only));
    if is_json && plain { Ok(()) } else { Err(InputError::ContentType) }
}

fn check_content_encoding(headers: &HeaderMap) -> Result<(), InputError> {
    let all_identity = headers.get_all(CONTENT_ENCODING).iter().all(|v| v.as_bytes().eq_ignore_ascii_case(b"identity"));
    if all_identity { Ok(()) } else { Err(InputError::ContentEncoding) }
}

fn place(error: &ValidationError<'_>) -> String {
    error.instance_path().to_string()
}

/// Where the reference stands that an error speaks of: such an error knows only where it leads.
fn reference(schema: &Value, message: &str) -> Option<String> {
    let below = |name: &str, value: &Value| Some(format!("/{}{}", escape(name), reference(value, message)?));
    match schema {
        Value::Object(members) => members.iter().find_map(|(name, value)| match value {
            Value::String(target) if name == "$ref" => {
                let target = target.trim_start_matches('#');
                (!target.is_empty() && message.contains(target)).then(|| "/$ref".to_owned())
            }
            value => below(name, value),
        }),
        Value::Array(items) => items.iter().enumerate().find_map(|(place, value)| below(&place.to_string(), value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A member's name in a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(ERROR_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
