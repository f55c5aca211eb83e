//! What the forms of requests have in common: headers, query, cookies and body, in the shapes that they are written in.

use crate::{
    hop,
    introduce::introduce,
    invocation::{CallContext, Head},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_LENGTH, COOKIE, HOST},
};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::{borrow::Cow, str};

/// The account that events are of: none.
pub(super) const ACCOUNT: &str = "000000000000";

/// What stands for the id of whatever a provider would have in front of the function.
pub(super) const ID: &str = "latchwork";

/// The caller's headers and the gateway's own.
pub(super) fn headers(head: &Head, context: &CallContext, body_bytes: usize) -> HeaderMap {
    let mut headers = head.headers.clone();
    hop::strip(&mut headers);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body_bytes));
    if let Ok(host) = HeaderValue::from_str(&head.host) {
        headers.insert(HOST, host);
    }
    introduce(&mut headers, &head.host, context);
    headers
}

/// Names and values of headers, as texts.
pub(super) fn fields(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), text(value)))
}

/// Names and values of the query, decoded.
pub(super) fn query(head: &Head) -> impl Iterator<Item = (String, String)> {
    url::form_urlencoded::parse(head.query.as_deref().unwrap_or_default().as_bytes()).into_owned()
}

/// Names and values of the query as they were written.
pub(super) fn raw_query(head: &Head) -> impl Iterator<Item = (String, String)> {
    let pairs = head.query.as_deref().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// Names and values of the path's parameters.
pub(super) fn parameters(head: &Head) -> impl Iterator<Item = (String, String)> {
    head.parameters.iter().map(|(name, value)| (name.to_string(), value.to_string()))
}

/// An object of texts; values of one name are joined by commas, none is lost.
pub(super) fn joined(pairs: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
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

/// An object of texts; of several values of one name, the last.
pub(super) fn last(pairs: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    pairs.map(|(name, value)| (name, Value::String(value))).collect()
}

/// An object of lists with all values.
pub(super) fn lists(pairs: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in pairs {
        match object.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(values) => values.push(Value::String(value)),
            _ => continue,
        }
    }
    object
}

/// An object, or null if it is empty.
pub(super) fn or_null(object: Map<String, Value>) -> Value {
    if object.is_empty() { Value::Null } else { Value::Object(object) }
}

/// The cookies, one by one.
pub(super) fn cookies(headers: &HeaderMap) -> Vec<String> {
    headers.get_all(COOKIE).iter().flat_map(split_cookies).collect()
}

fn split_cookies(value: &HeaderValue) -> Vec<String> {
    text(value).split(';').map(|cookie| cookie.trim().to_owned()).filter(|cookie| !cookie.is_empty()).collect()
}

/// A header's value as text.
pub(super) fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// A body as text, or as base64 where it is none; and which of both.
pub(super) fn body(bytes: &[u8]) -> (Option<Cow<'_, str>>, bool) {
    match str::from_utf8(bytes) {
        Ok("") => (None, false),
        Ok(text) => (Some(Cow::Borrowed(text)), false),
        Err(_) => (Some(Cow::Owned(STANDARD.encode(bytes))), true),
    }
}

/// When the call was accepted, as the provider writes it.
pub(super) fn time(context: &CallContext) -> String {
    context.accepted.to_zoned_datetime(TimeZone::UTC).strftime("%d/%b/%Y:%H:%M:%S %z").to_string()
}
