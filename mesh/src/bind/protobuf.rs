//! Messages of gRPC methods as input objects: typed by their descriptor, read from one unary request.
//!
//! The descriptor is told to policy as a JSON Schema, so that both kinds of input have one road into the vocabulary.

use super::{InputError, bounded};
use http::HeaderMap;
use jiff::Timestamp;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    ReflectMessage, Value as Field,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Largest set of descriptors, in bytes.
pub const DESCRIPTORS_BYTES_MAX: usize = 4 << 20;
/// The prefix of a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// Most kinds of message that one input may hold.
const MESSAGES_MAX: usize = 256;

/// Which method's message is the input: a `FileDescriptorSet`, and `package.Service/Method`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// The bytes of the set.
    pub descriptors: Arc<[u8]>,
    /// The method.
    pub method: Arc<str>,
}

/// Why a method has no input.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// Not a set of descriptors.
    #[error("not a FileDescriptorSet: {0}")]
    NotDescriptors(String),
    /// No such service or method.
    #[error("there is no method `{0}` in the descriptors")]
    Unknown(Arc<str>),
    /// Policy can't look at a message that has not come yet.
    #[error("`{0}` takes a stream of messages, so no single one is its input")]
    Streams(Arc<str>),
}

/// The message that a method takes.
#[derive(Clone, Debug)]
pub(super) struct Message(MessageDescriptor);

impl Method {
    pub(super) fn find(&self) -> Result<Message, MethodError> {
        let pool = DescriptorPool::decode(self.descriptors.as_ref())
            .map_err(|error| MethodError::NotDescriptors(bounded(&error.to_string())))?;
        let unknown = || MethodError::Unknown(Arc::clone(&self.method));
        let (service, name) = self.method.split_once('/').ok_or_else(unknown)?;
        let service = pool.get_service_by_name(service).ok_or_else(unknown)?;
        let method = service.methods().find(|method| method.name() == name).ok_or_else(unknown)?;
        if method.is_client_streaming() {
            return Err(MethodError::Streams(Arc::clone(&self.method)));
        }
        Ok(Message(method.input()))
    }

    /// The input as a JSON Schema. What policy can't express stands in it untyped, so that it is reported.
    ///
    /// # Errors
    /// When there is no such method, or it takes a stream.
    pub fn schema(&self) -> Result<Value, MethodError> {
        let Message(message) = self.find()?;
        let mut definitions = Map::new();
        let mut open = vec![message.clone()];
        while let Some(next) = open.pop() {
            if definitions.contains_key(next.full_name()) || definitions.len() == MESSAGES_MAX {
                continue;
            }
            definitions.insert(next.full_name().to_owned(), object(&next));
            let inner = next.fields().filter(|field| !field.is_map()).filter_map(|field| match field.kind() {
                Kind::Message(inner) if known(&inner).is_none() => Some(inner),
                _ => None,
            });
            open.extend(inner);
        }
        Ok(json!({ "$ref": format!("#/$defs/{}", message.full_name()), "$defs": definitions }))
    }
}

impl Message {
    /// Reads the one message of a unary request.
    pub(super) fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Arc<Value>, InputError> {
        if headers.get_all("grpc-encoding").iter().any(|value| value.as_bytes() != b"identity") {
            return Err(InputError::ContentEncoding);
        }
        let malformed = |why: &str| InputError::NotTheMessage(why.to_owned());
        let (prefix, message) = body.split_at_checked(PREFIX_BYTES).ok_or_else(|| malformed("it is not whole"))?;
        let (compressed, length) = prefix.split_first().ok_or_else(|| malformed("it is not whole"))?;
        if *compressed != 0 {
            return Err(InputError::ContentEncoding);
        }
        let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        if message.len() != length {
            return Err(malformed("a unary request has exactly one message"));
        }
        let decoded = DynamicMessage::decode(self.0.clone(), message);
        let decoded = decoded.map_err(|error| malformed(&bounded(&error.to_string())))?;
        members(&decoded).map(|members| Arc::new(Value::Object(members)))
    }
}

/// The schema of a message. A scalar without presence is always there: the wire leaves out what is the default.
fn object(message: &MessageDescriptor) -> Value {
    let fields = || message.fields();
    let properties: Map<_, _> = fields().map(|field| (field.name().to_owned(), property(&field))).collect();
    let required: Vec<_> = fields().filter(always).map(|field| field.name().to_owned()).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn always(field: &FieldDescriptor) -> bool {
    field.is_list() || field.cardinality() == Cardinality::Required || !(field.supports_presence() || field.is_map())
}

fn property(field: &FieldDescriptor) -> Value {
    if field.is_map() {
        // Names that the caller chooses can't be said in a vocabulary.
        return json!({ "type": "object" });
    }
    let one = single(&field.kind());
    if field.is_list() { json!({ "type": "array", "items": one }) } else { one }
}

fn single(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::String => json!({ "type": "string" }),
        Kind::Enum(words) => json!({ "enum": words.values().map(|value| value.name().to_owned()).collect::<Vec<_>>() }),
        Kind::Float | Kind::Double => json!({ "type": "number" }),
        Kind::Bytes => json!({ "contentEncoding": "base64" }),
        Kind::Message(message) => match known(message) {
            Some(Known::Time) => json!({ "type": "string", "format": "date-time" }),
            Some(Known::Wrapper(kind)) => single(&kind),
            Some(Known::Other) => json!({}),
            None => json!({ "$ref": format!("#/$defs/{}", message.full_name()) }),
        },
        // The rest are whole numbers.
        _ => json!({ "type": "integer" }),
    }
}

/// Messages that stand for something else than their fields.
enum Known {
    Time,
    Wrapper(Kind),
    Other,
}

fn known(message: &MessageDescriptor) -> Option<Known> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    Some(match name {
        "Timestamp" => Known::Time,
        _ if name.ends_with("Value") && message.fields().len() == 1 => {
            message.fields().next().map_or(Known::Other, |field| Known::Wrapper(field.kind()))
        }
        _ => Known::Other,
    })
}

/// The members of a message that policy can express, by the names of its fields.
fn members(message: &DynamicMessage) -> Result<Map<String, Value>, InputError> {
    let mut members = BTreeMap::new();
    for field in message.descriptor().fields() {
        if field.is_map() || !(always(&field) || message.has_field(&field)) {
            continue;
        }
        let kind = field.kind();
        let value = match message.get_field(&field).as_ref() {
            Field::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| value(item, &kind)).collect();
                items?.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
            }
            one => value(one, &kind)?,
        };
        members.extend(value.map(|value| (field.name().to_owned(), value)));
    }
    Ok(members.into_iter().collect())
}

/// A value as JSON; `None` for what policy can't express.
fn value(field: &Field, kind: &Kind) -> Result<Option<Value>, InputError> {
    Ok(Some(match (field, kind) {
        (Field::Bool(value), _) => json!(value),
        (Field::I32(value), _) => json!(value),
        (Field::I64(value), _) => json!(value),
        (Field::U32(value), _) => json!(value),
        (Field::U64(value), _) => json!(value),
        (Field::String(value), _) => json!(value),
        (Field::EnumNumber(number), Kind::Enum(words)) => json!(word(*number, words)?),
        (Field::Message(message), Kind::Message(kind)) => match known(kind) {
            Some(Known::Time) => json!(time(message)?),
            Some(Known::Wrapper(kind)) => {
                let Some(inner) = message.descriptor().fields().next() else { return Ok(None) };
                return value(message.get_field(&inner).as_ref(), &kind);
            }
            Some(Known::Other) => return Ok(None),
            None => Value::Object(members(message)?),
        },
        _ => return Ok(None),
    }))
}

/// A number that has no name would be a word that no policy can know.
fn word(number: i32, words: &EnumDescriptor) -> Result<String, InputError> {
    words
        .get_value(number)
        .map(|value| value.name().to_owned())
        .ok_or_else(|| InputError::NotTheMessage(format!("{number} is no value of `{}`", bounded(words.full_name()))))
}

fn time(message: &DynamicMessage) -> Result<String, InputError> {
    let number = |name: &str| match message.get_field_by_name(name).as_deref() {
        Some(Field::I64(value)) => Some(*value),
        Some(Field::I32(value)) => Some(i64::from(*value)),
        _ => None,
    };
    let nanos =
        number("nanos").and_then(|nanos| i32::try_from(nanos).ok()).filter(|nanos| (0..1_000_000_000).contains(nanos));
    let at = number("seconds").zip(nanos).and_then(|(seconds, nanos)| Timestamp::new(seconds, nanos).ok());
    at.map(|at| at.to_string()).ok_or_else(|| InputError::NotTheMessage("a time is out of range".to_owned()))
}

#[cfg(test)]
mod tests;
