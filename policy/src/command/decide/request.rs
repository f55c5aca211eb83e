//! One request as a line of JSON: entities in Cedar's text or JSON, the context typed by the schema if there is one.

use cedar_policy::{EntityUid, Schema};
use cedar_policy_core::{
    ast::{self, Context, EntityUIDEntry},
    entities::{ContextJsonParser, json::NullContextSchema},
    extensions::Extensions,
    validator::context_schema_for_action,
};
use serde::Deserialize;
use serde_json::Value;

/// A request as it was written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    principal: Value,
    action: Value,
    resource: Value,
    #[serde(default)]
    context: Option<Value>,
}

/// A request as Cedar takes it.
pub(super) struct Asked {
    pub(super) principal: EntityUid,
    pub(super) action: EntityUid,
    pub(super) resource: EntityUid,
    pub(super) context: Context,
}

impl Line {
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| error.to_string())
    }

    pub(super) fn asked(self, schema: Option<&Schema>) -> Result<Asked, String> {
        let principal = entity("principal", self.principal)?;
        let action = entity("action", self.action)?;
        let resource = entity("resource", self.resource)?;
        let context = self.context.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let context = context_of(context, schema, &action)?;
        Ok(Asked { principal, action, resource, context })
    }
}

impl Asked {
    pub(super) fn request(&self) -> ast::Request {
        let entry = |uid: &EntityUid| EntityUIDEntry::from(AsRef::<ast::EntityUID>::as_ref(uid).clone());
        let (principal, action, resource) = (entry(&self.principal), entry(&self.action), entry(&self.resource));
        ast::Request::new_unchecked(principal, action, resource, Some(self.context.clone()))
    }
}

fn entity(name: &str, written: Value) -> Result<EntityUid, String> {
    match written {
        Value::String(text) => {
            text.parse::<EntityUid>().map_err(|error| format!("`{name}`: `{text}` is no entity: {error}"))
        }
        written => EntityUid::from_json(written).map_err(|error| format!("`{name}`: {error}")),
    }
}

/// An action that the schema doesn't have gives no types, so extension values must say what they are.
fn context_of(json: Value, schema: Option<&Schema>, action: &EntityUid) -> Result<Context, String> {
    let extensions = Extensions::all_available();
    let types = schema.and_then(|schema| context_schema_for_action(schema.as_ref(), action.as_ref()));
    let context = match types {
        Some(types) => ContextJsonParser::new(Some(&types), extensions).from_json_value(json),
        None => ContextJsonParser::new(None::<&NullContextSchema>, extensions).from_json_value(json),
    };
    context.map_err(|error| format!("`context`: {error}"))
}
