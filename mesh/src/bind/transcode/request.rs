//! A request of HTTP as the one message that it stands for: path, query and body, each field from one place.

use super::{Binding, Body, field::FieldPath, http_body, is_http_body, raw};
use crate::bind::{InputError, bounded, check_content_encoding, check_content_type, protobuf::without_value, strict};
use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use percent_encoding::percent_decode_str;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, MessageDescriptor, ReflectMessage, Value as Field, prost::Message,
};
use serde_json::{Value, json};

/// Most parameters of a query.
const PARAMETERS_MAX: usize = 1_000;

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The canonical path, one of the binding's.
    pub path: &'a str,
    /// The query without `?`.
    pub query: Option<&'a str>,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a Bytes,
}

impl Binding {
    /// The message that a request stands for.
    ///
    /// # Errors
    /// [`InputError`]: also for fields that are given twice, or that there are not.
    pub fn message(&self, request: Request<'_>) -> Result<Bytes, InputError> {
        let mut message = self.body(request.headers, request.body)?;
        self.path(&mut message, request.path)?;
        self.query(&mut message, request.query.unwrap_or_default())?;
        Ok(message.encode_to_vec().into())
    }

    fn body(&self, headers: &HeaderMap, body: &Bytes) -> Result<DynamicMessage, InputError> {
        let input = self.method.descriptor().input();
        let mut empty = DynamicMessage::new(input.clone());
        match &self.body {
            Body::None if body.is_empty() => Ok(empty),
            Body::None => Err(wrong("this call has no body")),
            Body::All if is_http_body(&input) => bytes(input, headers, body),
            Body::Field(field) if http_body(field).is_some() => {
                if let Some(message) =
                    http_body(field).filter(|_| !body.is_empty() || headers.contains_key(CONTENT_TYPE))
                {
                    empty.set_field(field, Field::Message(bytes(message, headers, body)?));
                }
                Ok(empty)
            }
            Body::All | Body::Field(_) if body.is_empty() => Ok(empty),
            Body::All => read(input, json_body(headers, body)?),
            Body::Field(field) => read(input, json!({ field.json_name(): json_body(headers, body)? })),
        }
    }

    /// What the path holds. A body may say the same again, and nothing else.
    fn path(&self, message: &mut DynamicMessage, path: &str) -> Result<(), InputError> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = self.template.verb().and_then(|verb| path.strip_suffix(verb)?.strip_suffix(':')).unwrap_or(path);
        let segments: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        for (variable, field) in self.template.variables().iter().zip(&self.variables) {
            let decoded = |segment: &&str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
            let text: Vec<String> = self.template.captured(variable, &segments).iter().map(decoded).collect();
            let name = variable.field.join(".");
            let value = field.value(&text.join("/")).map_err(|why| wrong(&format!("`{name}` in the path: {why}")))?;
            match field.get(message) {
                Some(given) if given != value => {
                    return Err(wrong(&format!("`{name}` in the path is another than in the body")));
                }
                Some(_) => {}
                None => field.put(message, value).map_err(|why| wrong(&format!("`{name}` in the path: {why}")))?,
            }
        }
        Ok(())
    }

    /// What the query holds: whatever neither path nor body does.
    fn query(&self, message: &mut DynamicMessage, query: &str) -> Result<(), InputError> {
        let mut given: Vec<FieldPath> = Vec::new();
        for (place, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            if place == PARAMETERS_MAX {
                return Err(InputError::Parameter(format!("there are more than {PARAMETERS_MAX} query parameters")));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            let bad = |why: String| InputError::Parameter(format!("query parameter `{}`: {why}", bounded(&name)));
            let field = FieldPath::find(&message.descriptor(), name.split('.')).map_err(bad)?;
            self.free(&field).map_err(|why| bad(why.to_owned()))?;
            if !field.is_text() {
                return Err(bad("it is a message or a map, which has no place in a query".to_owned()));
            }
            if !field.is_list() {
                if given.contains(&field) {
                    return Err(bad("it is given more than once".to_owned()));
                }
                given.push(field.clone());
            }
            let value = field.value(&value).map_err(bad)?;
            field.put(message, value).map_err(bad)?;
        }
        Ok(())
    }

    /// Whether a field is the query's to give.
    fn free(&self, field: &FieldPath) -> Result<(), &'static str> {
        match &self.body {
            Body::All => return Err("the whole message is in path and body"),
            Body::Field(body) if field.first() == Some(body) => return Err("it is given by the body"),
            Body::Field(_) | Body::None => {}
        }
        if self.variables.contains(field) { Err("it is given by the path") } else { Ok(()) }
    }
}

fn json_body(headers: &HeaderMap, body: &[u8]) -> Result<Value, InputError> {
    check_content_type(headers)?;
    check_content_encoding(headers)?;
    strict::read(body).map_err(|error| InputError::NotStrictJson(bounded(&error)))
}

fn read(message: MessageDescriptor, json: Value) -> Result<DynamicMessage, InputError> {
    const STRICT: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(true);
    let read = DynamicMessage::deserialize_with_options(message, json, &STRICT);
    read.map_err(|error| wrong(&without_value(&error.to_string())))
}

/// A body as it is, with its media type.
fn bytes(message: MessageDescriptor, headers: &HeaderMap, body: &Bytes) -> Result<DynamicMessage, InputError> {
    check_content_encoding(headers)?;
    let kind = headers.get(CONTENT_TYPE).map(|value| value.to_str().map(str::to_owned)).transpose();
    let kind = kind.map_err(|_| InputError::ContentType)?.unwrap_or_default();
    let described = "`google.api.HttpBody` is described otherwise than it is known";
    raw(message, &kind, body).ok_or_else(|| wrong(described))
}

/// A name or value of a query, as forms encode them.
fn decoded(text: &str) -> Result<String, InputError> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
        if byte == b'%' && !(hex(bytes.next()) && hex(bytes.next())) {
            return Err(InputError::Parameter("the query has a broken percent-encoding".to_owned()));
        }
    }
    let spaced = text.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8();
    text.map(std::borrow::Cow::into_owned).map_err(|_| InputError::Parameter("the query is not UTF-8".to_owned()))
}

fn wrong(why: &str) -> InputError {
    InputError::Message(bounded(why))
}
