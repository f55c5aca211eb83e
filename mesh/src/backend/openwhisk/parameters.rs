//! An action's parameters: the body's members, the path's parameters and the query's, none of them twice.

use crate::{
    event,
    invocation::{CallContext, Head, InvokeError},
    payload::Payload,
};
use bytes::Bytes;
use serde_json::{Map, Value};

/// Largest parameters that the platform takes, in bytes.
pub(crate) const PARAMETERS_BYTES_MAX: usize = 1024 * 1024;

/// What is said of a name that is in two places: the action would get one that policy may not have looked at.
const TWICE: InvokeError = InvokeError::Unsupported("a parameter that is in more than one of body, path and query");

/// All parameters, as JSON.
pub(crate) async fn of(head: &Head, payload: Payload, context: &CallContext) -> Result<Bytes, InvokeError> {
    let body = event::whole(payload, context).await?;
    let others = others(head)?;
    // Without others the body goes as it is, so that no number of it is rounded.
    let members: Map<String, Value> = match body.is_empty() {
        true => Map::new(),
        false => {
            serde_json::from_slice(&body).map_err(|_| InvokeError::Unsupported("a body that is no JSON object"))?
        }
    };
    let parameters = if others.is_empty() && !body.is_empty() { body } else { joined(members, others, &body)? };
    match parameters.len() > PARAMETERS_BYTES_MAX {
        true => Err(InvokeError::RequestTooLarge { bytes_max: Some(PARAMETERS_BYTES_MAX as u64) }),
        false => Ok(parameters),
    }
}

/// The others before the body's own text.
fn joined(members: Map<String, Value>, others: Map<String, Value>, body: &[u8]) -> Result<Bytes, InvokeError> {
    if others.keys().any(|name| members.contains_key(name)) {
        return Err(TWICE);
    }
    let text = Value::Object(others).to_string();
    let own = std::str::from_utf8(body).unwrap_or_default().trim();
    let Some(rest) = own.strip_prefix('{').filter(|_| !members.is_empty()) else { return Ok(Bytes::from(text)) };
    Ok(Bytes::from(format!("{},{rest}", text.strip_suffix('}').unwrap_or_default())))
}

/// Parameters of path and query; a name that the query repeats is a list.
fn others(head: &Head) -> Result<Map<String, Value>, InvokeError> {
    let mut others = Map::new();
    let query = head.query.as_deref().unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = Value::String(value.into_owned());
        match others.get_mut(&*name) {
            None => drop(others.insert(name.into_owned(), value)),
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    for (name, value) in &head.parameters {
        if others.insert(name.to_string(), Value::String(value.to_string())).is_some() {
            return Err(TWICE);
        }
    }
    Ok(others)
}
