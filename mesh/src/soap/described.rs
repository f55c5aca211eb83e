//! What an operation takes as a JSON Schema, in the form in which policy sees it.

use super::{
    outward::TEXT,
    types::{Complex, Element, Simple, Type, TypeId, Types},
};
use serde_json::{Map, Value, json};

/// Most types that one input may hold; what is beyond stands in it untyped.
const TYPES_MAX: usize = 256;

/// The schema of a message's object.
pub(super) fn schema(types: &Types, element: Option<&Element>) -> Value {
    let Some(element) = element else { return json!({ "type": "object", "additionalProperties": false }) };
    let mut definitions = Map::new();
    let mut open = vec![element.kind];
    while let Some(id) = open.pop() {
        let Type::Complex(complex) = types.get(id) else { continue };
        if definitions.contains_key(&name(id)) {
            continue;
        }
        if definitions.len() == TYPES_MAX {
            definitions.insert(name(id), json!({}));
            continue;
        }
        definitions.insert(name(id), object(types, complex));
        open.extend(complex.fields.iter().map(|field| field.kind));
    }
    let mut schema = one(types, element.kind);
    if let Some(members) = schema.as_object_mut() {
        members.insert("$defs".to_owned(), definitions.into());
    }
    schema
}

fn object(types: &Types, complex: &Complex) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for attribute in &complex.attributes {
        let member = format!("@{}", attribute.name.local);
        if attribute.required {
            required.push(member.clone());
        }
        properties.insert(member, simple(attribute.kind));
    }
    if let Some(kind) = complex.text {
        required.push(TEXT.to_owned());
        properties.insert(TEXT.to_owned(), simple(kind));
    }
    for field in &complex.fields {
        let member = field.name.local.to_string();
        // A list is always there, and may be empty.
        if field.required || field.many {
            required.push(member.clone());
        }
        // What may be nil has no type that a vocabulary knows.
        let one = if field.nillable { json!({}) } else { one(types, field.kind) };
        properties.insert(member, if field.many { json!({ "type": "array", "items": one }) } else { one });
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn one(types: &Types, id: TypeId) -> Value {
    match types.get(id) {
        Type::Simple(kind) => simple(*kind),
        Type::Complex(_) => json!({ "$ref": format!("#/$defs/{}", name(id)) }),
    }
}

fn simple(kind: Simple) -> Value {
    match kind {
        Simple::Text | Simple::Token | Simple::Decimal => json!({ "type": "string" }),
        Simple::Boolean => json!({ "type": "boolean" }),
        Simple::Integer => json!({ "type": "integer" }),
        // A text where it is no number.
        Simple::Float => json!({ "type": ["number", "string"] }),
        Simple::Base64 => json!({ "contentEncoding": "base64" }),
    }
}

fn name(id: TypeId) -> String {
    format!("type{}", id.0)
}
