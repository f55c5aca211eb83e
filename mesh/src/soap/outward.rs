//! JSON made into a message: in the order of its description, with nothing that it does not have.

use super::{
    INSTANCE, Name,
    types::{Complex, Element, Field, Simple, Type, TypeId, Types},
    xml::push_text,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What stands for the text of an element that has attributes.
pub(super) const TEXT: &str = "$";

/// The element that JSON stands for.
///
/// # Errors
/// Where the JSON does not fit, and why; nothing of its values.
pub(super) fn element(types: &Types, element: &Element, value: &Value) -> Result<String, String> {
    let mut writer = Writer { types, out: String::new(), pointer: String::new() };
    writer.element(&element.name, element.kind, element.nillable, value, true)?;
    Ok(writer.out)
}

struct Writer<'t> {
    types: &'t Types,
    out: String,
    /// Where in the JSON it is.
    pointer: String,
}

impl Writer<'_> {
    fn element(&mut self, name: &Name, kind: TypeId, nillable: bool, value: &Value, first: bool) -> Result<(), String> {
        let tag = self.tag(name);
        let _ = write!(self.out, "<{tag}");
        if first {
            for (place, namespace) in self.types.namespaces.iter().enumerate() {
                let _ = write!(self.out, " xmlns:n{place}=\"");
                push_text(&mut self.out, namespace).ok_or("a namespace can't be written")?;
                self.out.push('"');
            }
        }
        if value.is_null() {
            if !nillable {
                return self.wrong("can't be null");
            }
            let _ = write!(self.out, " xmlns:xsi=\"{INSTANCE}\" xsi:nil=\"true\"/>");
            return Ok(());
        }
        match self.types.get(kind) {
            Type::Simple(simple) => {
                self.out.push('>');
                self.text(*simple, value)?;
            }
            Type::Complex(complex) => self.complex(complex, value)?,
        }
        let _ = write!(self.out, "</{tag}>");
        match self.out.len() > MESSAGE_BYTES_MAX {
            true => self.wrong("makes the message too long"),
            false => Ok(()),
        }
    }

    fn complex(&mut self, complex: &Complex, value: &Value) -> Result<(), String> {
        let short;
        let members = match (value, complex.text) {
            (Value::Object(members), _) => members,
            // An element that needs no attribute is as good as its text.
            (Value::Array(_), _) | (_, None) => return self.wrong("is no object"),
            (text, Some(_)) => {
                short = Map::from_iter([(TEXT.to_owned(), text.clone())]);
                &short
            }
        };
        self.known(complex, members)?;
        for attribute in &complex.attributes {
            let member = format!("@{}", attribute.name.local);
            let Some(value) = members.get(&member).filter(|value| !value.is_null()) else {
                if attribute.required {
                    return self.at(&member, |writer| writer.wrong("is missing"));
                }
                continue;
            };
            let tag = self.tag(&attribute.name);
            let _ = write!(self.out, " {tag}=\"");
            self.at(&member, |writer| writer.text(attribute.kind, value))?;
            self.out.push('"');
        }
        self.out.push('>');
        if let Some(kind) = complex.text {
            return match members.get(TEXT) {
                Some(value) => self.at(TEXT, |writer| writer.text(kind, value)),
                None => Ok(()),
            };
        }
        self.choices(complex, members)?;
        complex.fields.iter().try_for_each(|field| self.field(field, members.get(&*field.name.local)))
    }

    fn field(&mut self, field: &Field, value: Option<&Value>) -> Result<(), String> {
        let one = |writer: &mut Self, value| writer.element(&field.name, field.kind, field.nillable, value, false);
        self.at(&field.name.local, |writer| match value {
            None if field.required && !field.many => writer.wrong("is missing"),
            None => Ok(()),
            // What is not there and can't be nil is left out.
            Some(Value::Null) if !field.required && !field.nillable => Ok(()),
            Some(Value::Array(values)) if field.many => {
                if values.is_empty() && field.required {
                    return writer.wrong("has no element");
                }
                values
                    .iter()
                    .enumerate()
                    .try_for_each(|(place, value)| writer.at(&place.to_string(), |writer| one(writer, value)))
            }
            Some(_) if field.many => writer.wrong("is no array"),
            Some(value) => one(writer, value),
        })
    }

    /// A member that is not described would be lost.
    fn known(&self, complex: &Complex, members: &Map<String, Value>) -> Result<(), String> {
        let known = |member: &str| match member.strip_prefix('@') {
            Some(name) => complex.attributes.iter().any(|attribute| *attribute.name.local == *name),
            None if complex.text.is_some() => member == TEXT,
            None => complex.fields.iter().any(|field| *field.name.local == *member),
        };
        match members.keys().find(|member| !known(member)) {
            Some(unknown) => {
                let place = format!("{}/{}", self.pointer, super::types::pointed(unknown));
                Err(format!("`{}` is not described", super::types::shortened(&place)))
            }
            None => Ok(()),
        }
    }

    fn choices(&self, complex: &Complex, members: &Map<String, Value>) -> Result<(), String> {
        for (number, required) in complex.choices.iter().enumerate() {
            let given = complex.fields.iter().filter(|field| {
                members.get(&*field.name.local).is_some_and(|value| !value.is_null() || field.nillable)
            });
            let mut alternatives: Vec<usize> = given
                .flat_map(|field| &field.choices)
                .filter(|(choice, _)| *choice == number)
                .map(|(_, alternative)| *alternative)
                .collect();
            alternatives.dedup();
            match alternatives.len() {
                0 if *required => return self.wrong("has none of the members of which it must have one"),
                0 | 1 => {}
                _ => return self.wrong("has more than one of the members of which it may have one"),
            }
        }
        Ok(())
    }

    fn text(&mut self, kind: Simple, value: &Value) -> Result<(), String> {
        let text = match (kind, value) {
            (Simple::Boolean, Value::Bool(value)) => value.to_string(),
            (Simple::Boolean, Value::String(text)) if matches!(&**text, "true" | "false" | "1" | "0") => text.clone(),
            (Simple::Boolean, _) => return self.wrong("is neither true nor false"),
            (Simple::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
            (Simple::Integer, Value::String(text)) if is_integer(text) => text.clone(),
            (Simple::Integer, _) => return self.wrong("is no integer"),
            (Simple::Decimal, Value::Number(number)) if is_decimal(&number.to_string()) => number.to_string(),
            (Simple::Decimal, Value::String(text)) if is_decimal(text) => text.clone(),
            (Simple::Decimal, _) => return self.wrong("is no decimal number"),
            (Simple::Float, Value::Number(number)) => number.to_string(),
            (Simple::Float, Value::String(text)) if is_float(text) => text.clone(),
            (Simple::Float, _) => return self.wrong("is no number"),
            (Simple::Base64, Value::String(text)) if STANDARD.decode(text).is_ok() => text.clone(),
            (Simple::Base64, _) => return self.wrong("is no base64"),
            (Simple::Text | Simple::Token, Value::String(text)) => text.clone(),
            // A parameter of a path may look like a number, and so may the JSON of a client that does not know better.
            (Simple::Text | Simple::Token, Value::Number(number)) => number.to_string(),
            (Simple::Text | Simple::Token, Value::Bool(value)) => value.to_string(),
            (Simple::Text | Simple::Token, _) => return self.wrong("is no text"),
        };
        match push_text(&mut self.out, &text) {
            Some(()) => Ok(()),
            None => self.wrong("has a character that XML can't hold"),
        }
    }

    fn tag(&self, name: &Name) -> String {
        match self.types.namespaces.iter().position(|namespace| *namespace == name.namespace) {
            Some(place) => format!("n{place}:{}", name.local),
            None => name.local.to_string(),
        }
    }

    fn at<T>(&mut self, member: &str, write: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        let length = self.pointer.len();
        let _ = write!(self.pointer, "/{}", super::types::pointed(member));
        let written = write(self);
        self.pointer.truncate(length);
        written
    }

    fn wrong<T>(&self, why: &str) -> Result<T, String> {
        let place = match self.pointer.as_str() {
            "" => "the input".to_owned(),
            pointer => format!("`{}`", super::types::shortened(pointer)),
        };
        Err(format!("{place} {why}"))
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_integer(text: &str) -> bool {
    digits(text.strip_prefix(['-', '+']).unwrap_or(text))
}

pub(super) fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    match text.split_once('.') {
        None => digits(text),
        Some((whole, part)) => {
            (digits(whole) || whole.is_empty()) && (digits(part) || part.is_empty()) && text.len() > 1
        }
    }
}

fn is_float(text: &str) -> bool {
    matches!(text, "INF" | "-INF" | "NaN") || {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        is_decimal(mantissa) && is_integer(exponent)
    }
}
