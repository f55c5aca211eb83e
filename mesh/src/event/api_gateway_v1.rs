//! API Gateway REST API events, payload format 1.0.

use super::parts::{self, ACCOUNT, ID, last, lists, or_null};
use crate::invocation::{CallContext, Head};
use bytes::Bytes;
use http::header::USER_AGENT;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// The stage of whatever has no others: one that no function takes for a part of the path.
const STAGE: &str = "$default";

/// What the function is given. Every header and every part of the query is there twice: with its last value, and with all.
pub(super) fn event(head: &Head, context: &CallContext, body: &[u8]) -> Bytes {
    let headers = parts::headers(head, context, body.len());
    let path = percent_decode_str(&head.path).decode_utf8().map_or_else(|_| head.path.to_string(), Into::into);
    let (body, is_base64_encoded) = parts::body(body);
    let event = json!({
        "version": "1.0",
        "resource": &*head.pattern,
        "path": &path,
        "httpMethod": head.method.as_str(),
        "headers": last(parts::fields(&headers)),
        "multiValueHeaders": lists(parts::fields(&headers)),
        "queryStringParameters": or_null(last(parts::query(head))),
        "multiValueQueryStringParameters": or_null(lists(parts::query(head))),
        "pathParameters": or_null(last(parts::parameters(head))),
        "stageVariables": Value::Null,
        "requestContext": request_context(head, context, &path),
        "body": body,
        "isBase64Encoded": is_base64_encoded,
    });
    Bytes::from(event.to_string())
}

fn request_context(head: &Head, context: &CallContext, path: &str) -> Value {
    let id = context.call_id.to_string();
    json!({
        "accountId": ACCOUNT,
        "apiId": ID,
        "authorizer": { "principalId": &*context.principal, "principalKind": context.principal_kind },
        "domainName": &*head.host,
        "domainPrefix": head.host.split('.').next().unwrap_or_default(),
        "extendedRequestId": &id,
        "httpMethod": head.method.as_str(),
        "identity": {
            "sourceIp": context.source.map(|source| source.to_string()),
            "userAgent": head.headers.get(USER_AGENT).map(parts::text).unwrap_or_default(),
        },
        "path": path,
        "protocol": "HTTP/1.1",
        "requestId": &id,
        "requestTime": parts::time(context),
        "requestTimeEpoch": context.accepted.as_millisecond(),
        "resourceId": Value::Null,
        "resourcePath": &*head.pattern,
        "stage": STAGE,
    })
}
