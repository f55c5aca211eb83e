//! Events as functions see them, and answers as they write them.

use super::*;
use crate::samples;
use std::time::Duration;

fn reply_of(answer: &str) -> Result<Reply, InvokeError> {
    reply(Bytes::from(answer.to_owned()))
}

fn body_of(reply: Reply) -> Option<Bytes> {
    match reply.into_body() {
        Answer::Buffered(bytes) => Some(bytes),
        _ => None,
    }
}

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

#[test]
fn an_answer_sets_status_headers_cookies_and_body() {
    let answer = r#"{"statusCode":"201","headers":{"X-A":"1","x-b":"gone","X-N":5,"content-length":"7","Connection":"x-h","x-h":"1"},
        "multiValueHeaders":{"X-B":["2","3"]},"cookies":["a=b","c=d"],"body":"aGk=","isBase64Encoded":true}"#;
    let reply = reply_of(answer).unwrap();
    assert_eq!(reply.status().as_u16(), 201);
    let all = |name: &str| reply.headers().get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("x-a"), ["1"]);
    assert_eq!(all("x-n"), ["5"]);
    assert_eq!(all("x-b"), ["2", "3"]);
    assert_eq!(all("set-cookie"), ["a=b", "c=d"]);
    assert_eq!(all("content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(reply.headers().len(), 7);
    assert_eq!(body_of(reply).unwrap(), "hi");
}

#[test]
fn an_answer_without_a_status_is_the_body() {
    for text in [r#"{"ok":true}"#, "[1]", "\"text\"", "null", "5"] {
        let reply = reply_of(text).unwrap();
        assert_eq!(
            (reply.status().as_u16(), reply.headers()["content-type"].as_bytes()),
            (200, &b"application/json"[..])
        );
        assert_eq!(body_of(reply).unwrap(), text);
    }
}

#[test]
fn an_answer_without_a_body_has_none() {
    for text in
        [r#"{"statusCode":200}"#, r#"{"statusCode":204,"body":"x"}"#, r#"{"statusCode":304,"body":"x","headers":null}"#]
    {
        assert!(body_of(reply_of(text).unwrap()).is_none(), "{text}");
    }
}

#[test]
fn what_is_no_answer_is_malformed() {
    let many = format!(r#"{{"statusCode":200,"multiValueHeaders":{{"x":[{}"y"]}}}}"#, "\"y\",".repeat(FIELDS_MAX));
    let large = format!(r#"{{"statusCode":200,"headers":{{"x":"{}"}}}}"#, "y".repeat(HEADER_BYTES_MAX));
    for text in [
        "",
        "not json",
        r#"{"statusCode":101}"#,
        r#"{"statusCode":100}"#,
        r#"{"statusCode":600}"#,
        r#"{"statusCode":0}"#,
        r#"{"statusCode":-200}"#,
        r#"{"statusCode":200.5}"#,
        r#"{"statusCode":"ok"}"#,
        r#"{"statusCode":null}"#,
        r#"{"statusCode":65736}"#,
        r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
        r#"{"statusCode":200,"headers":{"":"c"}}"#,
        r#"{"statusCode":200,"headers":{"a":"b\r\nset-cookie: x"}}"#,
        r#"{"statusCode":200,"headers":{"a":["b"]}}"#,
        r#"{"statusCode":200,"headers":[]}"#,
        r#"{"statusCode":200,"multiValueHeaders":{"a":"b"}}"#,
        r#"{"statusCode":200,"cookies":"a=b"}"#,
        r#"{"statusCode":200,"cookies":["a=b\r\nx: y"]}"#,
        r#"{"statusCode":200,"body":{}}"#,
        r#"{"statusCode":200,"body":"x","isBase64Encoded":true}"#,
        r#"{"statusCode":200,"body":"x","isBase64Encoded":"true"}"#,
        &many,
        &large,
    ] {
        assert!(matches!(reply_of(text), Err(InvokeError::BadAnswer(_))), "{text}");
    }
}

#[test]
fn a_streamed_answer_begins_with_its_head() {
    let streamed = |body: &[u8]| {
        let answered = Answered {
            body: Bytes::copy_from_slice(body),
            content_type: Some(WITH_PRELUDE.to_owned()),
            streamed: true,
        };
        assert!(has_prelude(&answered));
        streamed_reply(&answered.body)
    };
    let reply =
        streamed(b"{\"statusCode\":202,\"headers\":{\"x\":\"y\"},\"cookies\":[]}\0\0\0\0\0\0\0\0raw\0body").unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers()["x"].as_bytes()), (202, &b"y"[..]));
    assert_eq!(body_of(reply).unwrap(), &b"raw\0body"[..]);
    assert!(streamed(b"{}").is_err() && streamed(b"[]\0\0\0\0\0\0\0\0x").is_err());
    assert_eq!(streamed(b"{}\0\0\0\0\0\0\0\0x").unwrap().status().as_u16(), 200);
}
