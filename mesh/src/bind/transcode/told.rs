//! A message of an answer as HTTP has it: JSON, or bytes with their media type.

use super::{Binding, http_body, is_http_body};
use crate::bind::protobuf::{TOLD, Untold, decoded, written};
use bytes::Bytes;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value as Field};

/// A message as HTTP has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// As JSON.
    Json(String),
    /// As it is.
    Raw {
        /// Its media type; may be empty.
        content_type: String,
        /// The bytes.
        data: Bytes,
    },
}

impl Binding {
    /// A message of the answer, or the field of it that is sent; at most `bytes_max` of JSON.
    ///
    /// # Errors
    /// [`Untold`].
    pub fn told(&self, message: &[u8], bytes_max: u64) -> Result<Told, Untold> {
        let message = decoded(self.method.descriptor().output(), message).ok_or(Untold)?;
        if is_http_body(&message.descriptor()) {
            return raw(&message).ok_or(Untold);
        }
        match &self.answer {
            None => written(&message, &TOLD, bytes_max).map(Told::Json).ok_or(Untold),
            Some(field) if http_body(field).is_some() => {
                message.get_field(field).as_message().and_then(raw).ok_or(Untold)
            }
            Some(field) => {
                let value = message.has_field(field).then(|| message.get_field(field).into_owned());
                one(&message, field, value, bytes_max).map(Told::Json).ok_or(Untold)
            }
        }
    }
}

pub(super) fn raw(body: &DynamicMessage) -> Option<Told> {
    let content_type = body.get_field_by_number(1)?.as_str()?.to_owned();
    Some(Told::Raw { content_type, data: body.get_field_by_number(2)?.as_bytes()?.clone() })
}

/// One field of a message as JSON, byte for byte as it stands in the whole.
pub(super) fn one(
    message: &DynamicMessage,
    field: &FieldDescriptor,
    value: Option<Field>,
    bytes_max: u64,
) -> Option<String> {
    let mut only = DynamicMessage::new(message.descriptor());
    if let Some(value) = value {
        only.set_field(field, value);
    }
    let name = serde_json::to_string(field.json_name()).ok()?;
    let text = written(&only, &TOLD, bytes_max)?;
    let inner = text.strip_prefix('{').and_then(|text| text.strip_prefix(&name)?.strip_prefix(':')?.strip_suffix('}'));
    Some(inner.map_or_else(|| absent(field), str::to_owned))
}

/// What a field is that JSON leaves out.
fn absent(field: &FieldDescriptor) -> String {
    if field.is_map() {
        return "{}".to_owned();
    }
    if field.is_list() {
        return "[]".to_owned();
    }
    match (field.kind(), Field::default_value_for_field(field)) {
        (Kind::Message(message), _) if super::field::text_form(&message).is_some() => "null".to_owned(),
        (Kind::Message(_), _) => "{}".to_owned(),
        (Kind::Bool, _) => "false".to_owned(),
        (Kind::String | Kind::Bytes, _) => "\"\"".to_owned(),
        (Kind::Enum(words), Field::EnumNumber(number)) => {
            words.get_value(number).map_or_else(|| number.to_string(), |word| format!("\"{}\"", word.name()))
        }
        // As JSON writes all integers of 64 bits.
        (Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64, _) => "\"0\"".to_owned(),
        _ => "0".to_owned(),
    }
}
