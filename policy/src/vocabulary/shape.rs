//! JSON Schema read as a Cedar type: what it can express is typed, the rest is reported.

use super::locate::{locate, pointer};
use crate::{declared::InputSchema, finding::Finding};
use serde_json::{Map, Value};
use std::{fmt, sync::Arc};

/// Deepest nesting of an input that policy sees.
const DEPTH_MAX: usize = 16;
/// Most properties of one input that policy sees, over all levels.
const PROPERTIES_MAX: usize = 1_000;

/// A type that both a JSON value and a Cedar value can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Long,
    String,
    Decimal,
    Datetime,
    /// A day, which policy sees as its first instant in UTC.
    Date,
    Ip,
    Set(Box<Shape>),
    Record(Arc<[Field]>),
}

/// A property that policy can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Arc<str>,
    pub(crate) required: bool,
    /// It may be null, which policy sees as not there.
    pub(crate) nullable: bool,
    pub(crate) shape: Shape,
}

/// Reads the shape of an input; findings are warnings about what policy can't see.
pub(crate) fn read(schema: &InputSchema) -> (Option<Shape>, Vec<Finding>) {
    let mut reader = Reader { schema, findings: Vec::new(), open: Vec::new(), properties: 0, depth: 0 };
    let shape = reader.value(&schema.json, &mut Vec::new());
    let shape = match shape {
        Some(shape @ Shape::Record(_)) => Some(shape),
        Some(_) => {
            reader.report(&[], "an input that is not an object");
            None
        }
        None => None,
    };
    (shape, reader.findings)
}

struct Reader<'a> {
    schema: &'a InputSchema,
    findings: Vec<Finding>,
    /// References being followed, so that a circle ends.
    open: Vec<&'a str>,
    properties: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn report(&mut self, path: &[String], what: &str) {
        let name = pointer(path);
        let message = format!("policy can't express {what} at `{name}`, so it is left out of the vocabulary");
        let finding = Finding::error("inexpressible_schema", self.schema.file.as_ref(), message).warning();
        let range = locate(&self.schema.text, path).unwrap_or(0..0);
        self.findings.push(finding.at(&self.schema.text, range));
    }

    fn value(&mut self, schema: &'a Value, path: &mut Vec<String>) -> Option<Shape> {
        if self.depth == DEPTH_MAX {
            self.report(path, "an input nested this deep");
            return None;
        }
        self.depth += 1;
        let shape = self.any(schema, path);
        self.depth -= 1;
        shape
    }

    fn any(&mut self, schema: &'a Value, path: &mut Vec<String>) -> Option<Shape> {
        let Some(object) = schema.as_object() else {
            self.report(path, "a value of any type");
            return None;
        };
        self.combined(object, path)?;
        if let Some(reference) = object.get("$ref") {
            for word in ["properties", "items", "format"].into_iter().filter(|word| object.contains_key(*word)) {
                self.report(path, &format!("`{word}` beside `$ref`"));
            }
            return self.reference(reference, path);
        }
        if let (Some([only]), false) = (object.get("allOf").and_then(Value::as_array).map(Vec::as_slice), typed(object))
        {
            path.extend(["allOf".to_owned(), "0".to_owned()]);
            let shape = self.value(only, path);
            path.truncate(path.len() - 2);
            return shape;
        }
        match object.get("type") {
            Some(Value::String(word)) => self.typed(word, object, path),
            Some(Value::Array(words)) if words.len() == 1 => {
                let word = words.first().and_then(Value::as_str).unwrap_or_default();
                self.typed(word, object, path)
            }
            Some(Value::Array(_)) => {
                self.report(path, "a value of several types");
                None
            }
            Some(_) => {
                self.report(path, "this type");
                None
            }
            None if object.contains_key("properties") => self.record(object, path),
            None => self.untyped(object, path),
        }
    }

    /// Words that combine schemas. Beside a type of its own they only narrow it, and policy sees the type.
    fn combined(&mut self, object: &Map<String, Value>, path: &[String]) -> Option<()> {
        if let Some(word) = ["prefixItems", "$dynamicRef"].into_iter().find(|word| object.contains_key(*word)) {
            self.report(path, &format!("`{word}`"));
            return None;
        }
        let followed = |word: &str| {
            word == "allOf" && object.get(word).and_then(Value::as_array).is_some_and(|all| all.len() == 1)
        };
        let words = ["oneOf", "anyOf", "allOf", "not", "if", "patternProperties", "dependentSchemas"];
        for word in words.into_iter().filter(|word| object.contains_key(*word)) {
            if !typed(object) && followed(word) {
                continue;
            }
            self.report(path, &format!("`{word}`"));
            if !typed(object) {
                return None;
            }
        }
        Some(())
    }

    /// A property's type, and whether it may be null: policy sees null as not there.
    fn property(&mut self, schema: &'a Value, path: &mut Vec<String>) -> Option<(Shape, bool)> {
        let is_null = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
        if let Some([first, second]) = schema.get("type").and_then(Value::as_array).map(Vec::as_slice) {
            let words = (first.as_str(), second.as_str());
            if let ((Some("null"), Some(word)) | (Some(word), Some("null")), Some(object)) = (words, schema.as_object())
            {
                return self.typed(word, object, path).map(|shape| (shape, true));
            }
        }
        for word in ["anyOf", "oneOf"].into_iter().filter(|_| !schema.as_object().is_some_and(typed)) {
            let Some([first, second]) = schema.get(word).and_then(Value::as_array).map(Vec::as_slice) else { continue };
            let other = match (is_null(first), is_null(second)) {
                (true, false) => (second, "1"),
                (false, true) => (first, "0"),
                _ => continue,
            };
            path.extend([word.to_owned(), other.1.to_owned()]);
            let shape = self.value(other.0, path);
            path.truncate(path.len() - 2);
            return shape.map(|shape| (shape, true));
        }
        self.value(schema, path).map(|shape| (shape, false))
    }

    fn typed(&mut self, word: &str, object: &'a Map<String, Value>, path: &mut Vec<String>) -> Option<Shape> {
        match word {
            "object" => self.record(object, path),
            "array" => self.set(object, path),
            "boolean" => Some(Shape::Bool),
            "integer" => Some(Shape::Long),
            "string" => Some(match object.get("format").and_then(Value::as_str) {
                Some("date-time") => Shape::Datetime,
                Some("date") => Shape::Date,
                Some("ipv4" | "ipv6") => Shape::Ip,
                _ => Shape::String,
            }),
            "number" => self.number(object, path),
            "null" => {
                self.report(path, "null");
                None
            }
            _ => {
                self.report(path, "this type");
                None
            }
        }
    }

    /// Cedar's decimal has four places, so only numbers that promise at most four can be one.
    fn number(&mut self, object: &Map<String, Value>, path: &[String]) -> Option<Shape> {
        let step = object.get("multipleOf").and_then(Value::as_f64);
        let places = step.is_some_and(|step| {
            let units = step * 10_000.0;
            units >= 0.999_999 && step.fract() != 0.0 && (units - units.round()).abs() < 1e-9 * units
        });
        if places || object.get("format").and_then(Value::as_str) == Some("decimal") {
            return Some(Shape::Decimal);
        }
        if step.is_some_and(|step| step >= 1.0 && step.fract() == 0.0) {
            return Some(Shape::Long);
        }
        self.report(path, "a fractional number without `multipleOf` of at most four places");
        None
    }

    fn untyped(&mut self, object: &Map<String, Value>, path: &[String]) -> Option<Shape> {
        let values = object.get("enum").and_then(Value::as_array).map(Vec::as_slice);
        let values = values.or_else(|| object.get("const").map(std::slice::from_ref)).unwrap_or_default();
        if !values.is_empty() && values.iter().all(Value::is_string) {
            return Some(Shape::String);
        }
        if !values.is_empty() && values.iter().all(Value::is_i64) {
            return Some(Shape::Long);
        }
        self.report(path, "a value without a type");
        None
    }

    fn set(&mut self, object: &'a Map<String, Value>, path: &mut Vec<String>) -> Option<Shape> {
        let Some(items) = object.get("items") else {
            self.report(path, "an array without `items`");
            return None;
        };
        path.push("items".to_owned());
        let shape = self.value(items, path);
        path.pop();
        Some(Shape::Set(Box::new(shape?)))
    }

    fn record(&mut self, object: &'a Map<String, Value>, path: &mut Vec<String>) -> Option<Shape> {
        match object.get("additionalProperties") {
            None | Some(Value::Bool(false)) => {}
            Some(_) => {
                path.push("additionalProperties".to_owned());
                self.report(path, "members with free names");
                path.pop();
            }
        }
        let Some(properties) = object.get("properties").and_then(Value::as_object) else {
            if object.get("additionalProperties") == Some(&Value::Bool(false)) {
                return Some(Shape::Record(Arc::new([])));
            }
            self.report(path, "an object without `properties`");
            return None;
        };
        let required = object.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut fields = Vec::new();
        path.push("properties".to_owned());
        for (name, schema) in properties {
            path.push(name.clone());
            self.properties += 1;
            if self.properties > PROPERTIES_MAX {
                // Said once: a schema of references can unfold to millions.
                if self.properties == PROPERTIES_MAX + 1 {
                    self.report(path, "more than 1000 properties");
                }
                path.pop();
                break;
            }
            if let Some((shape, nullable)) = self.property(schema, path) {
                let required = !nullable && required.iter().any(|r| r.as_str() == Some(name));
                fields.push(Field { name: name.as_str().into(), required, nullable, shape });
            }
            path.pop();
        }
        path.pop();
        Some(Shape::Record(fields.into()))
    }

    fn reference(&mut self, reference: &'a Value, path: &[String]) -> Option<Shape> {
        let target = reference.as_str().unwrap_or_default();
        let found = target.strip_prefix('#').and_then(|pointer| self.schema.json.pointer(pointer));
        let Some(found) = found else {
            self.report(path, "a reference to another document or to nothing");
            return None;
        };
        if self.open.contains(&target) {
            self.report(path, "a type that contains itself");
            return None;
        }
        self.open.push(target);
        let mut at: Vec<String> = target.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~")).collect();
        let shape = self.value(found, &mut at);
        self.open.pop();
        shape
    }
}

/// Whether a schema says a type itself.
fn typed(object: &Map<String, Value>) -> bool {
    object.contains_key("type") || object.contains_key("properties")
}

impl fmt::Display for Shape {
    /// As a Cedar schema writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("Bool"),
            Self::Long => f.write_str("Long"),
            Self::String => f.write_str("String"),
            Self::Decimal => f.write_str("decimal"),
            Self::Datetime | Self::Date => f.write_str("datetime"),
            Self::Ip => f.write_str("ipaddr"),
            Self::Set(item) => write!(f, "Set<{item}>"),
            Self::Record(fields) if fields.is_empty() => f.write_str("{}"),
            Self::Record(fields) => {
                f.write_str("{ ")?;
                for (i, field) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    let mark = if field.required { "" } else { "?" };
                    write!(f, "{comma}\"{}\"{mark}: {}", field.name.escape_default(), field.shape)?;
                }
                f.write_str(" }")
            }
        }
    }
}

#[cfg(test)]
mod tests;
