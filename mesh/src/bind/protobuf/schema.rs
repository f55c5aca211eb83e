//! The message of a method as a JSON Schema, in the form in which policy sees it: both kinds of input have one road into
//! the vocabulary.

use super::Method;
use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

/// Most kinds of message that one input may hold; what is beyond stands in it untyped.
const MESSAGES_MAX: usize = 256;

impl Method {
    /// The input as a JSON Schema. What policy can't express stands in it untyped, so that it is reported.
    #[must_use]
    pub fn schema(&self) -> Value {
        let message = self.descriptor.input();
        let mut definitions = Map::new();
        let mut open = vec![message.clone()];
        while let Some(next) = open.pop() {
            if definitions.contains_key(next.full_name()) {
                continue;
            }
            if definitions.len() == MESSAGES_MAX {
                definitions.insert(next.full_name().to_owned(), json!({}));
                continue;
            }
            definitions.insert(next.full_name().to_owned(), object(&next));
            let inner = next.fields().filter(|field| !field.is_map()).filter_map(|field| match field.kind() {
                Kind::Message(inner) if known(&inner).is_none() => Some(inner),
                _ => None,
            });
            open.extend(inner);
        }
        json!({ "$ref": format!("#/$defs/{}", message.full_name()), "$defs": definitions })
    }
}

/// The schema of a message, its fields by their names in JSON.
fn object(message: &MessageDescriptor) -> Value {
    let named = |field: FieldDescriptor| field.json_name().to_owned();
    let properties: Map<_, _> = message.fields().map(|field| (named(field.clone()), property(&field))).collect();
    let required: Vec<_> = message.fields().filter(always).map(named).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// A field without presence is always there: the wire leaves out what is the default.
fn always(field: &FieldDescriptor) -> bool {
    field.is_list() || field.is_map() || field.cardinality() == Cardinality::Required || !field.supports_presence()
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
        Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Fixed32
        | Kind::Fixed64
        | Kind::Sfixed32
        | Kind::Sfixed64 => json!({ "type": "integer" }),
    }
}

/// Messages that JSON writes as something else than their fields.
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
