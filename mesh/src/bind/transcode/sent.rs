//! A message as a request of HTTP, for functions that don't speak gRPC, and their answers as messages.

use super::{Binding, Body, Told, field::FieldPath, field::text_form, http_body, is_http_body, raw};
use crate::bind::{
    bounded,
    protobuf::{TOLD, decoded, without_value, written},
    strict,
};
use bytes::Bytes;
use http::{HeaderValue, Method as Verb};
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value as Field,
    prost::Message,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use url::form_urlencoded::Serializer;

/// Largest body that a message becomes, in bytes.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A message as a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Method.
    pub(crate) method: Verb,
    /// Path, percent-encoded.
    pub(crate) path: String,
    /// The query without `?`, if there is one.
    pub(crate) query: Option<String>,
    /// What the path is made of, by the names of fields.
    pub(crate) parameters: BTreeMap<Arc<str>, Arc<str>>,
    /// Of the body, if there is one.
    pub(crate) content_type: Option<HeaderValue>,
    /// Body.
    pub(crate) body: Bytes,
}

/// Why a message is no request, or an answer no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(pub(crate) String);

impl Binding {
    /// The request that a message is by this rule.
    pub(crate) fn sent(&self, message: &[u8]) -> Result<Sent, Unfit> {
        let mut message =
            decoded(self.method.descriptor().input(), message).ok_or_else(|| unfit("it can't be read"))?;
        let values: Vec<String> = self.variables.iter().map(|field| text(&message, field)).collect::<Result<_, _>>()?;
        let path = self.template.filled(&values).ok_or_else(|| unfit("a field does not fit into the path"))?;
        let named = self.template.variables().iter().zip(values);
        let parameters = named.map(|(variable, value)| (variable.field.join(".").into(), value.into())).collect();
        for field in &self.variables {
            field.clear(&mut message);
        }
        let (content_type, body) = match &self.body {
            Body::None => (None, Bytes::new()),
            Body::All if is_http_body(&message.descriptor()) => bytes(&message)?,
            Body::All => json_body(written(&message, &TOLD, BODY_BYTES_MAX))?,
            Body::Field(field) => match message.take_field(field) {
                None => (None, Bytes::new()),
                Some(Field::Message(inner)) if http_body(field).is_some() => bytes(&inner)?,
                Some(value) => json_body(super::told::one(&message, field, Some(value), BODY_BYTES_MAX))?,
            },
        };
        let query = match self.body {
            Body::All => String::new(),
            Body::None | Body::Field(_) => query(&message)?,
        };
        let query = Some(query).filter(|query| !query.is_empty());
        Ok(Sent { method: self.rule.method.clone().unwrap_or(Verb::POST), path, query, parameters, content_type, body })
    }

    /// The message that an answer is. Members that are not described are left out.
    pub(crate) fn heard(&self, content_type: &str, body: &Bytes) -> Result<Bytes, Unfit> {
        const LENIENT: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(false);
        let output = self.method.descriptor().output();
        if is_http_body(&output) {
            return raw(output, content_type, body)
                .map(|message| encoded(&message))
                .ok_or_else(|| unfit("it is no body"));
        }
        let mut message = DynamicMessage::new(output.clone());
        if let Some((field, inner)) = self.answer.as_ref().and_then(|field| Some((field, http_body(field)?))) {
            let inner = raw(inner, content_type, body).ok_or_else(|| unfit("it is no body"))?;
            message.set_field(field, Field::Message(inner));
        } else if !body.is_empty() {
            let value = strict::read(body).map_err(|why| unfit(&format!("it is not strict JSON: {why}")))?;
            let value = match &self.answer {
                Some(field) => json!({ field.json_name(): value }),
                None => value,
            };
            let read = DynamicMessage::deserialize_with_options(output, value, &LENIENT);
            message = read.map_err(|error| unfit(&without_value(&error.to_string())))?;
        }
        Ok(encoded(&message))
    }

    /// Whether its answers are bytes as they are.
    pub(crate) fn answers_bytes(&self) -> bool {
        let output = self.method.descriptor().output();
        is_http_body(&output) || self.answer.as_ref().is_some_and(|field| http_body(field).is_some())
    }

    /// Whether an answer's message has a field of this name.
    pub(crate) fn answers(&self, name: &str) -> bool {
        self.method.descriptor().output().get_field_by_json_name(name).is_some()
    }
}

fn encoded(message: &DynamicMessage) -> Bytes {
    message.encode_to_vec().into()
}

fn json_body(text: Option<String>) -> Result<(Option<HeaderValue>, Bytes), Unfit> {
    let text = text.ok_or_else(|| unfit("it is too large as JSON"))?;
    Ok((Some(HeaderValue::from_static("application/json")), text.into()))
}

fn bytes(message: &DynamicMessage) -> Result<(Option<HeaderValue>, Bytes), Unfit> {
    let Some(Told::Raw { content_type, data }) = super::told::raw(message) else {
        return Err(unfit("`google.api.HttpBody` is described otherwise than it is known"));
    };
    let kind = HeaderValue::try_from(content_type).ok().filter(|kind| !kind.is_empty());
    Ok((kind.or_else(|| Some(HeaderValue::from_static("application/octet-stream"))), data))
}

/// The text of a field that stands in a path.
fn text(message: &DynamicMessage, field: &FieldPath) -> Result<String, Unfit> {
    let leaf = field.leaf().ok_or_else(|| unfit("it names no field"))?;
    let value = field.get(message).unwrap_or_else(|| Field::default_value_for_field(leaf));
    single(leaf, value)
}

/// One value as a text, as JSON has it.
fn single(field: &FieldDescriptor, value: Field) -> Result<String, Unfit> {
    if let Field::String(text) = value {
        return Ok(text);
    }
    let mut only = DynamicMessage::new(field.parent_message().clone());
    only.set_field(field, if field.is_list() { Field::List(vec![value]) } else { value });
    // Of one that is the default nothing is written.
    let json = super::told::one(&only, field, only.clone().take_field(field), BODY_BYTES_MAX);
    let read = json.and_then(|json| serde_json::from_str::<Value>(&json).ok());
    let read = match read {
        Some(Value::Array(mut items)) if field.is_list() => items.pop(),
        other => other,
    };
    match read {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Null) => Ok(String::new()),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => Ok(value.to_string()),
        _ => Err(unfit(&format!("`{}` is no text", field.name()))),
    }
}

/// What is left of a message as parameters: fields by their paths, those of lists again and again.
fn query(message: &DynamicMessage) -> Result<String, Unfit> {
    let mut serializer = Serializer::new(String::new());
    parameters(message, "", &mut serializer)?;
    Ok(serializer.finish())
}

/// Depth is that of the message, which was bounded when it was decoded.
fn parameters(message: &DynamicMessage, prefix: &str, query: &mut Serializer<'_, String>) -> Result<(), Unfit> {
    for (field, value) in message.fields() {
        let name = format!("{prefix}{}", field.json_name());
        let inner = match field.kind() {
            Kind::Message(inner) => Some(inner).filter(|inner| text_form(inner).is_none()),
            _ => None,
        };
        match (value, inner) {
            (Field::Map(_), _) => return Err(no_place(&name)),
            (Field::List(items), None) => {
                for item in items {
                    query.append_pair(&name, &single(&field, item.clone())?);
                }
            }
            (Field::Message(inside), Some(inner)) if !is_free(&inner) => {
                parameters(inside, &format!("{name}."), query)?;
            }
            (_, Some(_)) => return Err(no_place(&name)),
            (value, None) => drop(query.append_pair(&name, &single(&field, value.clone())?)),
        }
    }
    Ok(())
}

/// Messages whose members nobody has described.
fn is_free(message: &MessageDescriptor) -> bool {
    message.full_name().starts_with("google.protobuf.") && message.full_name() != "google.protobuf.Empty"
}

fn no_place(name: &str) -> Unfit {
    Unfit(format!("`{name}` has no place in a query"))
}

fn unfit(why: &str) -> Unfit {
    Unfit(bounded(why))
}
