//! `input`: a JSON Schema, or what descriptors or a WSDL say of a message.

use crate::config::{Route, raw, raw::At, text::Text, value::Desk};
use mesh::bind::{InputSchema, protobuf::Method};
use policy::declared;
use std::sync::Arc;

/// The schema of a function's input: as written, else that of its method's message.
pub(super) fn input(
    table: &raw::Function,
    method: Option<&Method>,
    route: Option<&Route>,
    desk: &mut Desk<'_>,
) -> Option<declared::InputSchema> {
    match (&table.input, method, &table.descriptors) {
        (Some(written), _, _) => schema(written, desk),
        // Policy can't look at messages that have not come yet.
        (None, Some(method), Some(descriptors)) if !method.takes_stream() => {
            Some(described(method.schema(), descriptors, desk))
        }
        (None, _, _) => {
            let operation = route.and_then(|route| route.soap.as_ref())?.operation.as_ref()?;
            let wsdl = table.soap_action.as_ref()?.value.wsdl.as_ref()?;
            Some(described(operation.schema(), wsdl, desk))
        }
    }
}

fn described(json: serde_json::Value, by: &At<String>, desk: &Desk<'_>) -> declared::InputSchema {
    // What policy can't see is found by its place in this text.
    let text = format!("{json:#}").into();
    let file = desk.path(&by.value).display().to_string().into();
    declared::InputSchema { file, text, json: Arc::new(json) }
}

/// Types of JSON Schema.
const SCHEMA_TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Reads, parses and compiles a schema.
fn schema(written: &At<String>, desk: &mut Desk<'_>) -> Option<declared::InputSchema> {
    let text = desk.file(written)?;
    let parsed = json(&text);
    let json = desk.take(parsed)?;
    if !json.is_object() {
        desk.report.push(text.error("bad_schema", &(0..0), "a schema is a JSON object"));
        return None;
    }
    if let Err(error) = InputSchema::compile(&json) {
        let place = policy::vocabulary::locate_pointer(&text.text, &error.pointer);
        let finding = text.error("bad_schema", &place, format!("not a JSON Schema (draft 2020-12): {error}"));
        let given = json.pointer(&error.pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
        let known = if error.pointer.ends_with("/type") { &SCHEMA_TYPES[..] } else { &[] };
        desk.report.push(finding.nearest(given, known.iter().copied()));
        return None;
    }
    Some(declared::InputSchema { file: text.file, text: text.text, json: Arc::new(json) })
}

fn json(text: &Text) -> Result<serde_json::Value, policy::finding::Finding> {
    serde_json::from_str(&text.text).map_err(|error| {
        let before: usize = text.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let line = text.text.get(before..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let at = before + error.column().saturating_sub(1).min(line.len());
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        text.error("bad_json", &(at..before + line.len()), format!("not JSON: {message}"))
    })
}
