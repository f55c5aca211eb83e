//! API Gateway HTTP API events, payload format 2.0.

use crate::{
    hop,
    introduce::introduce,
    invocation::{CallContext, Head},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue,
    header::{CONTENT_LENGTH, COOKIE, HOST, USER_AGENT},
};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::{borrow::Cow, str};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    query_string_parameters: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    path_parameters: Map<String, Value>,
    request_context: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    is_base64_encoded: bool,
}

/// What the function is given.
pub(super) fn event(head: &Head, context: &CallContext, body: &[u8]) -> Bytes {
    let route = format!("{} {}", head.method, head.pattern);
    let query = head.query.as_deref().unwrap_or_default();
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let parameters = head.parameters.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let body_bytes = body.len();
    let (body, is_base64_encoded) = match str::from_utf8(body) {
        Ok("") => (None, false),
        Ok(text) => (Some(Cow::Borrowed(text)), false),
        Err(_) => (Some(Cow::Owned(STANDARD.encode(body))), true),
    };
    let event = Event {
        version: "2.0",
        route_key: &route,
        raw_path: &head.path,
        raw_query_string: query,
        cookies: head.headers.get_all(COOKIE).iter().flat_map(split_cookies).collect(),
        headers: event_headers(head, context, body_bytes),
        query_string_parameters: joined(pairs.map(|(name, value)| (name.into_owned(), value.into_owned()))),
        path_parameters: joined(parameters),
        request_context: request_context(head, context, &route),
        body,
        is_base64_encoded,
    };
    // Texts, maps and numbers only: nothing in it can fail to be written.
    Bytes::from(serde_json::to_vec(&event).unwrap_or_default())
}

fn event_headers(head: &Head, context: &CallContext, body_bytes: usize) -> Map<String, Value> {
    let mut headers = head.headers.clone();
    hop::strip(&mut headers);
    headers.remove(COOKIE);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body_bytes));
    if let Ok(host) = HeaderValue::from_str(&head.host) {
        headers.insert(HOST, host);
    }
    introduce(&mut headers, &head.host, context);
    joined(headers.iter().map(|(name, value)| (name.to_string(), text(value))))
}

fn request_context(head: &Head, context: &CallContext, route: &str) -> Value {
    let prefix = head.host.split('.').next().unwrap_or_default();
    let agent = head.headers.get(USER_AGENT).map(text).unwrap_or_default();
    let time = context.accepted.to_zoned_datetime(TimeZone::UTC).strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
    json!({
        "accountId": "000000000000",
        "apiId": "latchwork",
        "authorizer": { "lambda": { "principalId": &*context.principal, "principalKind": context.principal_kind } },
        "domainName": &*head.host,
        "domainPrefix": prefix,
        "http": {
            "method": head.method.as_str(),
            "path": &*head.path,
            "protocol": "HTTP/1.1",
            "sourceIp": context.source.map(|source| source.to_string()),
            "userAgent": agent,
        },
        "requestId": context.call_id.to_string(),
        "routeKey": route,
        "stage": "$default",
        "time": time,
        "timeEpoch": context.accepted.as_millisecond(),
    })
}

/// An object of texts; values of one name are joined by commas, none is lost.
fn joined(pairs: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in pairs {
        match object.get_mut(&name) {
            Some(Value::String(before)) => {
                before.push(',');
                before.push_str(&value);
            }
            _ => drop(object.insert(name, Value::String(value))),
        }
    }
    object
}

fn split_cookies(value: &HeaderValue) -> Vec<String> {
    text(value).split(';').map(|cookie| cookie.trim().to_owned()).filter(|cookie| !cookie.is_empty()).collect()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests;
