//! A message made into JSON, by its description.

use super::{
    INSTANCE, Name,
    outward::{TEXT, is_decimal},
    types::{Complex, Field, Simple, Type, TypeId, Types},
    xml::{content, elements},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use roxmltree::Node;
use serde_json::{Map, Number, Value};

/// What becomes of that which is not described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It is refused: policy would not see it.
    Strict,
    /// It is left out: a service may say more than it did when it was described.
    Lenient,
}

/// The JSON that an element stands for.
pub(super) fn value(types: &Types, kind: TypeId, node: Node<'_, '_>, manner: Manner) -> Result<Value, String> {
    Reader { types, manner }.value(kind, node)
}

struct Reader<'t> {
    types: &'t Types,
    manner: Manner,
}

impl Reader<'_> {
    fn value(&self, kind: TypeId, node: Node<'_, '_>) -> Result<Value, String> {
        if self.manner == Manner::Strict && node.children().any(|child| child.is_comment()) {
            return Err(format!("`{}` has a comment", named(node)));
        }
        if node.attribute((INSTANCE, "nil")).is_some_and(|nil| matches!(nil.trim(), "true" | "1")) {
            let empty = node.children().all(|child| child.is_comment());
            return if empty { Ok(Value::Null) } else { Err(format!("`{}` is nil and is not empty", named(node))) };
        }
        match self.types.get(kind) {
            Type::Simple(simple) => {
                if self.manner == Manner::Strict && node.attributes().any(|attribute| !is_nil(attribute)) {
                    return Err(format!("`{}` has an attribute that is not described", named(node)));
                }
                let text = content(node).ok_or_else(|| format!("`{}` has elements", named(node)))?;
                self.text(*simple, &text, node)
            }
            Type::Complex(complex) => self.complex(complex, node),
        }
    }

    fn complex(&self, complex: &Complex, node: Node<'_, '_>) -> Result<Value, String> {
        let mut members = Map::new();
        for attribute in node.attributes() {
            let name = Name::new(attribute.namespace().unwrap_or_default(), attribute.name());
            match complex.attributes.iter().find(|known| known.name == name) {
                Some(known) => {
                    let value = self.text(known.kind, attribute.value(), node)?;
                    members.insert(format!("@{}", name.local), value);
                }
                None if self.manner == Manner::Strict && !is_nil(attribute) => {
                    return Err(format!("`{}` has an attribute that is not described", named(node)));
                }
                None => {}
            }
        }
        if let Some(kind) = complex.text {
            let text = content(node).ok_or_else(|| format!("`{}` has elements", named(node)))?;
            members.insert(TEXT.to_owned(), self.text(kind, &text, node)?);
            return Ok(Value::Object(members));
        }
        let text = node.children().any(|child| child.is_text() && !is_blank(child.text().unwrap_or_default()));
        if text && self.manner == Manner::Strict {
            return Err(format!("`{}` has text between its elements", named(node)));
        }
        for field in complex.fields.iter().filter(|field| field.many) {
            members.insert(field.name.local.to_string(), Value::Array(Vec::new()));
        }
        for child in elements(node) {
            let name = Name::of(child);
            let Some(field) = complex.fields.iter().find(|field| field.name == name) else {
                match self.manner {
                    Manner::Strict => return Err(format!("`{}` is not described", named(child))),
                    Manner::Lenient => continue,
                }
            };
            self.field(field, child, &mut members)?;
        }
        Ok(Value::Object(members))
    }

    fn field(&self, field: &Field, child: Node<'_, '_>, members: &mut Map<String, Value>) -> Result<(), String> {
        let value = self.value(field.kind, child)?;
        match members.get_mut(&*field.name.local) {
            Some(Value::Array(values)) if field.many => values.push(value),
            Some(_) => return Err(format!("`{}` is there more than once", named(child))),
            None => drop(members.insert(field.name.local.to_string(), value)),
        }
        Ok(())
    }

    fn text(&self, kind: Simple, text: &str, node: Node<'_, '_>) -> Result<Value, String> {
        let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
        let wrong = |what: &str| Err(format!("`{}` is {what}", named(node)));
        Ok(match kind {
            Simple::Text => Value::String(text.to_owned()),
            Simple::Token => Value::String(trimmed.to_owned()),
            Simple::Boolean => match trimmed {
                "true" | "1" => Value::Bool(true),
                "false" | "0" => Value::Bool(false),
                _ => return wrong("neither true nor false"),
            },
            Simple::Integer => {
                let digits = trimmed.strip_prefix('+').unwrap_or(trimmed);
                match (digits.parse::<i64>(), digits.parse::<u64>()) {
                    (Ok(number), _) => Value::Number(number.into()),
                    (Err(_), Ok(number)) => Value::Number(number.into()),
                    (Err(_), Err(_)) => return wrong("no integer of at most 64 bits"),
                }
            }
            Simple::Decimal if is_decimal(trimmed) => Value::String(trimmed.to_owned()),
            Simple::Decimal => return wrong("no decimal number"),
            Simple::Float => match (trimmed, trimmed.parse::<f64>().ok().and_then(Number::from_f64)) {
                ("INF" | "-INF" | "NaN", _) => Value::String(trimmed.to_owned()),
                (_, Some(number)) => Value::Number(number),
                (_, None) => return wrong("no number"),
            },
            Simple::Base64 => {
                let bare: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                match STANDARD.decode(&bare) {
                    Ok(_) => Value::String(bare),
                    Err(_) => return wrong("no base64"),
                }
            }
        })
    }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_whitespace())
}

/// `xsi:nil` says how to read the element. `xsi:type` would make it another one than is described.
fn is_nil(attribute: roxmltree::Attribute<'_, '_>) -> bool {
    attribute.namespace() == Some(INSTANCE) && attribute.name() == "nil"
}

fn named(node: Node<'_, '_>) -> String {
    super::types::shortened(node.tag_name().name())
}
