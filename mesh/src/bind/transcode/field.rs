//! Fields by their paths (`book.author`), and single values as texts: what paths and queries are made of.

use crate::bind::{bounded, protobuf::without_value};
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as Field};
use serde_json::{Value, json};

/// Most fields of one path.
const PATH_FIELDS_MAX: usize = 32;

/// A field of a message, or of a message in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FieldPath {
    /// From the message inwards; never empty.
    fields: Vec<FieldDescriptor>,
}

/// What is wrong with a field or its value, for whoever named it.
pub(super) type Wrong = String;

impl FieldPath {
    /// Finds a field by names as they are declared, or as JSON has them.
    pub(super) fn find<'n>(
        message: &MessageDescriptor,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<Self, Wrong> {
        let mut fields: Vec<FieldDescriptor> = Vec::new();
        let mut inside = Some(message.clone());
        for name in names {
            if fields.len() == PATH_FIELDS_MAX {
                return Err(format!("it is more than {PATH_FIELDS_MAX} fields deep"));
            }
            let named = |message: &MessageDescriptor| {
                message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))
            };
            let Some(field) = inside.as_ref().and_then(named) else {
                return Err(format!("there is no field `{}`", bounded(name)));
            };
            inside = match field.kind() {
                Kind::Message(message) if !field.is_list() && !field.is_map() && text_form(&message).is_none() => {
                    Some(message)
                }
                _ => None,
            };
            fields.push(field);
        }
        if fields.is_empty() { Err("it names no field".to_owned()) } else { Ok(Self { fields }) }
    }

    /// The field itself, if there is one.
    pub(super) fn leaf(&self) -> Option<&FieldDescriptor> {
        self.fields.last()
    }

    /// The outermost field.
    pub(super) fn first(&self) -> Option<&FieldDescriptor> {
        self.fields.first()
    }

    /// Whether a text can hold its value: no message but those that JSON writes as one.
    pub(super) fn is_text(&self) -> bool {
        self.leaf().is_some_and(|field| {
            !field.is_map()
                && match field.kind() {
                    Kind::Message(message) => text_form(&message).is_some(),
                    _ => true,
                }
        })
    }

    /// Whether it has more than one value.
    pub(super) fn is_list(&self) -> bool {
        self.leaf().is_some_and(FieldDescriptor::is_list)
    }

    /// What the message holds there, if anything.
    pub(super) fn get(&self, message: &DynamicMessage) -> Option<Field> {
        let (leaf, outer) = self.fields.split_last()?;
        let mut message = message.clone();
        for field in outer {
            message = message.has_field(field).then(|| message.get_field(field).as_message().cloned()).flatten()?;
        }
        message.has_field(leaf).then(|| message.get_field(leaf).into_owned())
    }

    /// Puts a value there; a list gets one more. Two members of one `oneof` are refused.
    pub(super) fn put(&self, message: &mut DynamicMessage, value: Field) -> Result<(), Wrong> {
        let (leaf, outer) = self.fields.split_last().ok_or("it names no field")?;
        let mut message = message;
        for field in outer {
            alone(message, field)?;
            message = message.get_field_mut(field).as_message_mut().ok_or("it is no message")?;
        }
        alone(message, leaf)?;
        match (leaf.is_list(), value) {
            (true, value) => message.get_field_mut(leaf).as_list_mut().ok_or("it is no list")?.push(value),
            (false, value) => message.set_field(leaf, value),
        }
        Ok(())
    }

    /// Removes what is there.
    pub(super) fn clear(&self, message: &mut DynamicMessage) {
        let Some((leaf, outer)) = self.fields.split_last() else { return };
        let mut message = message;
        for field in outer.iter() {
            if !message.has_field(field) {
                return;
            }
            let Some(inner) = message.get_field_mut(field).as_message_mut() else { return };
            message = inner;
        }
        message.clear_field(leaf);
    }

    /// One value of the field, from a text.
    pub(super) fn value(&self, text: &str) -> Result<Field, Wrong> {
        const STRICT: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(true);
        let leaf = self.leaf().ok_or("it names no field")?;
        let one = as_json(&leaf.kind(), text)?;
        let whole = json!({ leaf.json_name(): if leaf.is_list() { json!([one]) } else { one } });
        let message = DynamicMessage::deserialize_with_options(leaf.parent_message().clone(), whole, &STRICT);
        let mut message = message.map_err(|error| bounded(&without_value(&error.to_string())))?;
        let value = message.take_field(leaf).unwrap_or_else(|| Field::default_value_for_field(leaf));
        match value {
            Field::List(mut list) if leaf.is_list() => list.pop().ok_or_else(|| "it has no value".to_owned()),
            value => Ok(value),
        }
    }
}

/// Refuses a field whose `oneof` has another member already.
fn alone(message: &DynamicMessage, field: &FieldDescriptor) -> Result<(), Wrong> {
    let Some(oneof) = field.containing_oneof() else { return Ok(()) };
    let other = oneof.fields().find(|other| other != field && message.has_field(other));
    other.map_or(Ok(()), |other| Err(format!("`{}` is given already, and only one of both can be", other.json_name())))
}

/// How JSON writes a value whose text this is.
fn as_json(kind: &Kind, text: &str) -> Result<Value, Wrong> {
    Ok(match kind {
        Kind::Bool => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err("`true` or `false` is expected".to_owned()),
        },
        Kind::Enum(_) => text.parse::<i32>().map_or_else(|_| text.into(), Value::from),
        Kind::Message(message) => match text_form(message) {
            Some(inner) => return inner.map_or_else(|| Ok(text.into()), |kind| as_json(&kind, text)),
            None => return Err("it is a message, whose fields are named one by one".to_owned()),
        },
        _ => text.into(),
    })
}

/// Messages that JSON writes as one text or number, and of what kind that is; `None` inside for a text of their own.
pub(super) fn text_form(message: &MessageDescriptor) -> Option<Option<Kind>> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    match name {
        "Timestamp" | "Duration" | "FieldMask" => Some(None),
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value" | "BoolValue"
        | "StringValue" | "BytesValue" => Some(message.get_field(1).map(|field| field.kind())),
        _ => None,
    }
}
