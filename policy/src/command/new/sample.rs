//! What a question to a function holds: fields as a comment lists them, and parameters that fit.

use crate::{
    declared::{InputSchema, QueryType},
    vocabulary::{
        Words,
        property::property,
        shape::{Field, Shape},
    },
};
use toml::{Table, Value};

/// Most fields that a comment lists.
const FIELDS_MAX: usize = 40;

/// Every field that a condition can name, with its type.
pub(super) fn fields(words: &Words) -> Vec<String> {
    let path = words.path.iter().map(|name| format!("{}: String", member("context.path", name)));
    let mut lines: Vec<String> = path.collect();
    for (name, kind) in &words.query {
        let kind = match kind {
            QueryType::String => "String",
            QueryType::Long => "Long",
            QueryType::Bool => "Bool",
        };
        lines.push(format!("{}: {kind}, may be missing", member("context.query", name)));
    }
    if let Some(Shape::Record(fields)) = &words.input {
        inner("context.input", fields, &mut lines);
    }
    if lines.len() > FIELDS_MAX {
        let rest = lines.len() - FIELDS_MAX;
        lines.truncate(FIELDS_MAX);
        lines.push(format!("and {rest} more: see `latchwork policy schema`"));
    }
    lines
}

fn inner(at: &str, fields: &[Field], lines: &mut Vec<String>) {
    for Field { name, required, shape, .. } in fields {
        let at = member(at, name);
        let optional = if *required { "" } else { ", may be missing" };
        match shape {
            Shape::Record(fields) if !fields.is_empty() => inner(&at, fields, lines),
            other => lines.push(format!("{at}: {other}{optional}")),
        }
    }
}

/// A member as policy names it.
fn member(of: &str, name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain { format!("{of}.{name}") } else { format!("{of}[\"{}\"]", name.escape_default()) }
}

/// Path parameters and input of a case, as lines of TOML.
pub(super) fn parameters(words: &Words, schema: Option<&InputSchema>) -> String {
    let mut text = String::new();
    if !words.path.is_empty() {
        let path: Table = words.path.iter().map(|name| (name.to_string(), Value::String("a-1".to_owned()))).collect();
        text.push_str(&format!("path = {}\n", Value::Table(path)));
    }
    if let Some(input) = &words.input {
        let root = schema.map(|schema| schema.json.as_ref());
        text.push_str(&format!("input = {}\n", value(input, root, &mut Vec::new())));
    }
    text
}

/// A value of a type; where the schema lists the values, the first of them.
fn value<'a>(shape: &'a Shape, root: Option<&serde_json::Value>, path: &mut Vec<&'a str>) -> Value {
    match shape {
        Shape::Bool => Value::Boolean(true),
        Shape::Long => Value::Integer(1),
        Shape::String => {
            let listed = root.and_then(|root| property(root, path)?.get("enum")?.get(0)?.as_str());
            Value::String(listed.unwrap_or("text").to_owned())
        }
        Shape::Decimal => Value::Float(1.5),
        Shape::Datetime => Value::String("2026-01-31T12:00:00Z".to_owned()),
        Shape::Date => Value::String("2026-01-31".to_owned()),
        Shape::Ip => Value::String("192.0.2.1".to_owned()),
        // What is in a list has no path of its own.
        Shape::Set(item) => Value::Array(vec![value(item, None, &mut Vec::new())]),
        Shape::Record(fields) => {
            let mut members = Table::new();
            for field in fields.iter().filter(|field| field.required) {
                path.push(&field.name);
                members.insert(field.name.to_string(), value(&field.shape, root, path));
                path.pop();
            }
            Value::Table(members)
        }
    }
}
