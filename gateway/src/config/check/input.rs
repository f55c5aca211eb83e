//! `input`: a JSON Schema, or the message of a method.

use crate::config::{Route, raw, raw::At, text, text::Text, value::Desk};
use mesh::bind::{
    InputSchema,
    protobuf::{DESCRIPTORS_BYTES_MAX, Method, MethodError},
};
use policy::declared;
use std::sync::Arc;

pub(super) fn input(
    table: &raw::Function,
    route: Option<&Route>,
    desk: &mut Desk<'_>,
) -> (Option<declared::InputSchema>, Option<Method>) {
    match &table.input {
        None => (None, None),
        Some(At { value: raw::Input::Schema(file), span }) => {
            (schema(&At { value: file.clone(), span: span.clone() }, desk), None)
        }
        Some(At { value: raw::Input::Message(written), .. }) => {
            let Some(route) = route.filter(|route| route.grpc) else { return (None, None) };
            match message(&written.protobuf, route, desk) {
                Some((schema, method)) => (Some(schema), Some(method)),
                None => (None, None),
            }
        }
    }
}

/// The message that a route's method takes, told to policy as a JSON Schema.
fn message(written: &At<String>, route: &Route, desk: &mut Desk<'_>) -> Option<(declared::InputSchema, Method)> {
    let path = desk.path(&written.value);
    let bytes = match text::read_bounded(&path) {
        Ok(bytes) if bytes.len() <= DESCRIPTORS_BYTES_MAX => bytes,
        Ok(_) => {
            let message = format!("descriptors have at most {DESCRIPTORS_BYTES_MAX} bytes");
            desk.error("file_too_large", &written.span, message);
            return None;
        }
        Err(error) => {
            let message = format!("`{}` can't be read: {}", path.display(), error.kind());
            desk.error("unreadable_file", &written.span, message);
            return None;
        }
    };
    let method = Method { descriptors: bytes.into(), method: route.pattern.trim_start_matches('/').into() };
    match method.schema() {
        Ok(json) => {
            // What policy can't see is found by its place in this text.
            let text = format!("{json:#}").into();
            let file = path.display().to_string().into();
            Some((declared::InputSchema { file, text, json: Arc::new(json) }, method))
        }
        Err(error) => {
            let help = match &error {
                MethodError::Streams(_) => "remove `input`; a stream is permitted or not before its first message",
                MethodError::Unknown(_) | MethodError::NotDescriptors(_) => {
                    "`protoc --include_imports --descriptor_set_out=orders.binpb …` writes them"
                }
            };
            desk.error_help("bad_descriptors", &written.span, error.to_string(), help);
            None
        }
    }
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
