//! Messages of gRPC whose descriptions are known: JSON in and out, and one input object whatever form they came in.

mod load;
mod schema;
#[cfg(test)]
mod tests;

pub use load::{Descriptions, DescriptionsError};

use super::{InputError, InputSchema, bounded, check_content_encoding, check_content_type, strict};
use bytes::Bytes;
use http::HeaderMap;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions, Value as Field,
    prost::Message,
};
use serde_json::Value;
use std::{fmt, io, sync::Arc};

/// Largest input object, as JSON, that a message may become, in bytes: fields that it leaves out are written out.
const INPUT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Every field of a message, by its name in JSON, integers as numbers: what policy compares.
const SHOWN: SerializeOptions = SerializeOptions::new().stringify_64_bit_integers(false).skip_default_fields(false);

/// The public mapping of messages to JSON, which clients expect.
pub(super) const TOLD: SerializeOptions = SerializeOptions::new();

/// A method whose messages are described.
#[derive(Clone)]
pub struct Method {
    descriptor: MethodDescriptor,
    descriptions: Descriptions,
}

/// Why an answer can't be told as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer does not fit its description")]
pub struct Untold;

impl Method {
    /// Whether callers send a stream of messages.
    #[must_use]
    pub fn takes_stream(&self) -> bool {
        self.descriptor.is_client_streaming()
    }

    /// Whether the service answers with a stream of messages.
    #[must_use]
    pub fn answers_stream(&self) -> bool {
        self.descriptor.is_server_streaming()
    }

    /// The path that names it on the wire.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{}/{}", self.descriptor.parent_service().full_name(), self.descriptor.name())
    }

    /// A message of `google.protobuf.Any` as JSON, if its type is described; at most `bytes_max` of it.
    #[must_use]
    pub fn any(&self, type_url: &str, value: &[u8], bytes_max: u64) -> Option<Value> {
        let name = type_url.rsplit('/').next()?;
        let message = decoded(self.descriptor.parent_pool().get_message_by_name(name)?, value)?;
        let inner = strict::read(written(&message, &TOLD, bytes_max)?.as_bytes()).ok()?;
        let mut whole = serde_json::Map::from_iter([("@type".to_owned(), type_url.into())]);
        match inner {
            Value::Object(members) if !name.starts_with("google.protobuf.") => whole.extend(members),
            inner => drop(whole.insert("value".to_owned(), inner)),
        }
        Some(whole.into())
    }

    pub(super) fn descriptor(&self) -> &MethodDescriptor {
        &self.descriptor
    }

    /// Where its messages are described.
    #[must_use]
    pub fn descriptions(&self) -> &Descriptions {
        &self.descriptions
    }

    /// The request message that JSON stands for. Unknown fields are refused.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn message(&self, headers: &HeaderMap, json: &[u8]) -> Result<Bytes, InputError> {
        const STRICT: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(true);
        check_content_type(headers)?;
        check_content_encoding(headers)?;
        let value = strict::read(json).map_err(|error| InputError::NotStrictJson(bounded(&error)))?;
        let message = DynamicMessage::deserialize_with_options(self.descriptor.input(), value, &STRICT);
        let message = message.map_err(|error| InputError::Message(bounded(&without_value(&error.to_string()))))?;
        Ok(message.encode_to_vec().into())
    }

    /// The input object that policy sees, whichever form the message had: every field, those left out too.
    ///
    /// # Errors
    /// [`InputError`]; also for fields that the description does not have, since policy would not see them.
    pub fn input(&self, message: &[u8], schema: &InputSchema) -> Result<Arc<Value>, InputError> {
        let message = self.known(message)?;
        let text = written(&message, &SHOWN, INPUT_BYTES_MAX).ok_or_else(|| wrong("it is too large as JSON"))?;
        let value = strict::read(text.as_bytes()).map_err(|error| InputError::Message(bounded(&error)))?;
        schema.check(&value)?;
        Ok(Arc::new(value))
    }

    /// Whether a message fits its description, and has nothing else.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn described(&self, message: &[u8]) -> Result<(), InputError> {
        self.known(message).map(drop)
    }

    fn known(&self, message: &[u8]) -> Result<DynamicMessage, InputError> {
        let message = decoded(self.descriptor.input(), message).ok_or_else(|| wrong("it can't be read"))?;
        if has_unknown(&message) { Err(wrong("it has a field that is not described")) } else { Ok(message) }
    }

    /// An answer as JSON, at most `bytes_max` of it.
    ///
    /// # Errors
    /// [`Untold`].
    pub fn told(&self, message: &[u8], bytes_max: u64) -> Result<String, Untold> {
        decoded(self.descriptor.output(), message).and_then(|m| written(&m, &TOLD, bytes_max)).ok_or(Untold)
    }
}

impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.descriptor.full_name() == other.descriptor.full_name() && self.descriptions == other.descriptions
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, descriptions) = (self.descriptor.full_name(), &self.descriptions);
        f.debug_struct("Method").field("name", &name).field("descriptions", descriptions).finish_non_exhaustive()
    }
}

pub(super) fn decoded(description: MessageDescriptor, message: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(description, message).ok()
}

/// JSON that ends with an error before it grows too large: a few bytes of a message may stand for many fields.
pub(super) fn written(message: &DynamicMessage, options: &SerializeOptions, bytes_max: u64) -> Option<String> {
    let left = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let mut text = Text { bytes: Vec::new(), left };
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut text), options).ok()?;
    String::from_utf8(text.bytes).ok()
}

struct Text {
    bytes: Vec<u8>,
    left: usize,
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wrong(why: &str) -> InputError {
    InputError::Message(why.to_owned())
}

/// Depth is that of the message, which was bounded when it was decoded.
fn has_unknown(message: &DynamicMessage) -> bool {
    let fields = message.fields().map(|(_, value)| value).chain(message.extensions().map(|(_, value)| value));
    message.unknown_fields().next().is_some() || { fields }.any(unknown_inside)
}

fn unknown_inside(value: &Field) -> bool {
    match value {
        Field::Message(message) => has_unknown(message),
        Field::List(list) => list.iter().any(unknown_inside),
        Field::Map(map) => map.values().any(unknown_inside),
        Field::Bool(_)
        | Field::I32(_)
        | Field::I64(_)
        | Field::U32(_)
        | Field::U64(_)
        | Field::F32(_)
        | Field::F64(_)
        | Field::String(_)
        | Field::Bytes(_)
        | Field::EnumNumber(_) => false,
    }
}

/// What was given stays out of the words: it may be large, or secret.
pub(super) fn without_value(error: &str) -> String {
    match error.split_once(", expected ") {
        Some((_, expected)) => format!("there is something else where {expected} is expected"),
        None => error.to_owned(),
    }
}
