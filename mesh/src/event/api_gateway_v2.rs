//! API Gateway HTTP API events, payload format 2.0, and those of function URLs, which are the same but for the route.

use super::parts::{self, ACCOUNT, ID, joined};
use crate::invocation::{CallContext, Head};
use bytes::Bytes;
use http::header::{COOKIE, USER_AGENT};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The route and stage of whatever has no others.
const DEFAULT: &str = "$default";

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

/// What a function behind an HTTP API is given.
pub(super) fn event(head: &Head, context: &CallContext, body: &[u8]) -> Bytes {
    let mut headers = parts::headers(head, context, body.len());
    let cookies = parts::cookies(&headers);
    headers.remove(COOKIE);
    let route = format!("{} {}", head.method, head.pattern);
    let path_parameters = joined(parts::parameters(head));
    written(
        head,
        context,
        body,
        Own { route: &route, cookies, headers: joined(parts::fields(&headers)), path_parameters },
    )
}

/// What a function with a URL of its own is given: it knows of no routes.
pub(super) fn url_event(head: &Head, context: &CallContext, body: &[u8]) -> Bytes {
    let mut headers = parts::headers(head, context, body.len());
    let cookies = parts::cookies(&headers);
    // Here the header stays as well.
    let all = http::HeaderValue::try_from(cookies.join("; ")).ok().filter(|_| !cookies.is_empty());
    headers.remove(COOKIE);
    headers.extend(all.map(|all| (COOKIE, all)));
    let headers = joined(parts::fields(&headers));
    written(head, context, body, Own { route: DEFAULT, cookies, headers, path_parameters: Map::new() })
}

/// What both differ in.
struct Own<'a> {
    route: &'a str,
    cookies: Vec<String>,
    headers: Map<String, Value>,
    path_parameters: Map<String, Value>,
}

fn written(head: &Head, context: &CallContext, body: &[u8], own: Own<'_>) -> Bytes {
    let (body, is_base64_encoded) = parts::body(body);
    let event = Event {
        version: "2.0",
        route_key: own.route,
        raw_path: &head.path,
        raw_query_string: head.query.as_deref().unwrap_or_default(),
        cookies: own.cookies,
        headers: own.headers,
        query_string_parameters: joined(parts::query(head)),
        path_parameters: own.path_parameters,
        request_context: request_context(head, context, own.route),
        body,
        is_base64_encoded,
    };
    // Texts, maps and numbers only: nothing in it can fail to be written.
    Bytes::from(serde_json::to_vec(&event).unwrap_or_default())
}

fn request_context(head: &Head, context: &CallContext, route: &str) -> Value {
    let prefix = head.host.split('.').next().unwrap_or_default();
    let agent = head.headers.get(USER_AGENT).map(parts::text).unwrap_or_default();
    json!({
        "accountId": ACCOUNT,
        "apiId": ID,
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
        "stage": DEFAULT,
        "time": parts::time(context),
        "timeEpoch": context.accepted.as_millisecond(),
    })
}

#[cfg(test)]
mod tests;
