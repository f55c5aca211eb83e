//! Events as functions see them.

use super::*;
use crate::samples;
use http::{HeaderName, HeaderValue};
use std::time::Duration;

#[test]
fn an_event_has_the_documented_members() {
    let mut outbound = samples::post("hello");
    outbound.head.query = Some("a=1&b=x%20y+z&a=2&c".into());
    for (name, value) in [
        ("X-Multi", "1"),
        ("x-multi", "2"),
        ("cookie", "a=b; c=d"),
        ("cookie", "e=f"),
        ("user-agent", "curl/8"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("content-length", "99"),
        ("latchwork-caller", "corp/root"),
    ] {
        outbound.head.headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value));
    }
    let call_id = outbound.context.call_id.to_string();
    let event: Value = serde_json::from_slice(&event(&outbound.head, &outbound.context, b"hello")).unwrap();
    let expected = json!({
        "version": "2.0",
        "routeKey": "POST /orders/{id}",
        "rawPath": "/orders/7",
        "rawQueryString": "a=1&b=x%20y+z&a=2&c",
        "cookies": ["a=b", "c=d", "e=f"],
        "headers": {
            "x-multi": "1,2",
            "user-agent": "curl/8",
            "host": "api.example.com",
            "content-length": "5",
            "latchwork-call-id": call_id,
            "latchwork-caller": "corp/ada",
            "latchwork-caller-kind": "User",
            "x-forwarded-for": "192.0.2.7",
            "x-forwarded-host": "api.example.com",
            "x-forwarded-proto": "https",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        },
        "queryStringParameters": { "a": "1,2", "b": "x y z", "c": "" },
        "pathParameters": { "id": "7" },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "latchwork",
            "authorizer": { "lambda": { "principalId": "corp/ada", "principalKind": "User" } },
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": "POST",
                "path": "/orders/7",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "curl/8",
            },
            "requestId": call_id,
            "routeKey": "POST /orders/{id}",
            "stage": "$default",
            "time": "23/Nov/2026:10:20:30 +0000",
            "timeEpoch": 1_795_429_230_000_i64,
        },
        "body": "hello",
        "isBase64Encoded": false,
    });
    assert_eq!(event, expected);
}

#[test]
fn bodies_are_text_base64_or_absent() {
    let context = samples::context(Duration::from_secs(1));
    let head = samples::get("/").head;
    let body = |bytes: &[u8]| {
        let event: Value = serde_json::from_slice(&event(&head, &context, bytes)).unwrap();
        (event.get("body").cloned(), event["isBase64Encoded"].clone(), event.get("cookies").is_some())
    };
    assert_eq!(body(b""), (None, json!(false), false));
    assert_eq!(body("é".as_bytes()), (Some(json!("é")), json!(false), false));
    assert_eq!(body(b"\xff\0"), (Some(json!("/wA=")), json!(true), false));
}
