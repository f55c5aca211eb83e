//! Functions that are waited for and started, requests that are wrapped, and what a server says of itself.

use super::*;
use crate::{
    double::{Double, answer},
    event::cloud_events::Mode,
    invocation::InvokeError,
    payload::Reply,
    samples::{body, context, post},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};
use serde_json::json;
use std::{fs, future, time::Duration};

fn config(endpoint: &str) -> FnServerConfig {
    FnServerConfig {
        endpoint: endpoint.to_owned(),
        function: "01D9FV3CCRNG8G00GZJ0000002".to_owned(),
        call: FnCall::Sync,
        intent: None,
        event: None,
        token: None,
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

fn wrapped(endpoint: &str) -> FnServerConfig {
    FnServerConfig { intent: Some(FnIntent::HttpRequest), ..config(endpoint) }
}

async fn call(config: &FnServerConfig, outbound: Outbound) -> Result<Reply, InvokeError> {
    assert_eq!(config.problems(), []);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "the-token\n").unwrap();
    FnServer::new(config, folder.path()).unwrap().invoke(outbound).await
}

fn with(headers: &[(&'static str, &'static str)]) -> Outbound {
    let mut outbound = post("{\"sku\":\"tea\"}");
    for (name, value) in headers {
        outbound.head.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    outbound
}

#[tokio::test]
async fn the_body_alone_goes_in_and_comes_out() {
    const SAID: [(&str, &str); 4] =
        [("content-type", "image/png"), ("fn-call-id", "01"), ("x-inside", "1"), ("fn-http-status", "500")];
    let double = Double::same(200, &SAID, "\u{1}\u{2}").await;
    let mine =
        [("content-type", "application/json"), ("fn-invoke-type", "detached"), ("fn-intent", "x"), ("x-own", "1")];
    let config = FnServerConfig { token: Some("file:token".to_owned()), ..config(&double.url()) };
    let reply = call(&config, with(&mine)).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers().len()), (200, 1), "{:?}", reply.headers());
    assert_eq!(reply.headers()["content-type"], "image/png");
    assert_eq!(body(reply).await.unwrap(), "\u{1}\u{2}");
    double.golden("fn_server/body.golden", &[]);
}

#[tokio::test]
async fn a_request_is_wrapped_and_its_answer_unwrapped() {
    const SAID: [(&str, &str); 9] = [
        ("content-type", "text/plain"),
        ("fn-http-status", "404"),
        ("fn-http-h-x-own", "a"),
        ("fn-http-h-x-own", "b"),
        ("fn-http-h-connection", "x-hidden"),
        ("fn-http-h-x-hidden", "1"),
        ("fn-http-h-content-length", "99"),
        ("fn-http-h-fn-call-id", "1"),
        ("fn-fdk-version", "fdk-python/0.1"),
    ];
    let double = Double::same(200, &SAID, "not here").await;
    let mine = [
        ("content-type", "application/json"),
        ("x-tag", "a"),
        ("x-tag", "b"),
        ("fn-http-h-x", "1"),
        ("fn_call_id", "mine"),
        ("opc-request-id", "mine"),
        ("latchwork-caller", "root"),
    ];
    let mut outbound = with(&mine);
    outbound.head.query = Some("page=1&tag=%20".into());
    let reply = call(&wrapped(&double.url()), outbound).await.unwrap();
    let mut names: Vec<_> = reply.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!((reply.status().as_u16(), names), (404, vec!["content-type", "x-own"]));
    assert_eq!(reply.headers().get_all("x-own").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(body(reply).await.unwrap(), "not here");
    double.golden("fn_server/wrapped.golden", &[("fn-http-h-latchwork-call-id", "ID")]);
    for status in ["99", "101", "600", "many"] {
        let odd = Double::new(move |_| future::ready(answer(200, &[("fn-http-status", status)], ""))).await;
        let error = call(&wrapped(&odd.url()), post("")).await.unwrap_err();
        assert!(matches!(error, InvokeError::BadAnswer(_)), "{status}: {error}");
    }
}

#[tokio::test]
async fn a_function_is_only_started() {
    let double = Double::same(202, &[("fn-call-id", "01D9")], "").await;
    let detached = |endpoint: &str| FnServerConfig { call: FnCall::Detached, ..config(endpoint) };
    let reply = call(&detached(&double.url()), post("start")).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers().len()), (202, 0));
    double.golden("fn_server/detached.golden", &[]);
    let odd = Double::same(200, &[], "").await;
    let error = call(&detached(&odd.url()), post("")).await.unwrap_err();
    assert!(matches!(error, InvokeError::BadAnswer(_)), "{error}");
    let odd = Double::same(202, &[], "").await;
    assert!(matches!(call(&config(&odd.url()), post("")).await, Err(InvokeError::BadAnswer(_))));
}

#[tokio::test]
async fn a_function_of_events_gets_one_and_may_answer_one() {
    let said = json!({ "specversion": "1.0", "id": "1", "source": "/f", "type": "t", "data": { "made": 2.50 } });
    let double = Double::same(200, &[("content-type", "application/cloudevents+json")], said.to_string()).await;
    let event = CloudEventConfig {
        kind: "shop.ordered".to_owned(),
        source: "/shop".to_owned(),
        subject: None,
        mode: Mode::Structured,
    };
    let config = FnServerConfig { event: Some(event), ..config(&double.url()) };
    let mut outbound = with(&[("content-type", "application/json")]);
    outbound.context.call_id = uuid::Uuid::nil();
    let reply = call(&config, outbound).await.unwrap();
    assert_eq!(reply.headers()["content-type"], "application/json");
    assert_eq!(body(reply).await.unwrap(), "{\"made\":2.5}");
    double.golden("fn_server/event.golden", &[]);
}

/// Statuses and words as the server's source has them.
#[tokio::test]
async fn failures_are_told_apart() {
    for (status, said, expected) in [
        (502, "{\"message\":\"function failed\"}", "the function failed: 502"),
        (500, "{\"message\":\"internal server error\"}", "the function failed: 500"),
        (504, "{\"message\":\"Timed out\"}", "did not answer in time"),
        (503, "{\"message\":\"Timed out - server too busy\"}", "no more calls for now"),
        (429, "{\"message\":\"Too many requests submitted\"}", "no more calls for now"),
        (413, "{\"message\":\"Request content too large\"}", "the request is larger than"),
        (404, "{\"message\":\"Fn not found\"}", "refused the call: 404"),
        (401, "{\"message\":\"secret words\"}", "refused the call: 401"),
        (501, "{\"message\":\"Detach call functions are not supported\"}", "refused the call: 501"),
        (302, "", "malformed: status 302"),
    ] {
        let double = Double::same(status, &[("retry-after", "15")], said).await;
        let error = call(&wrapped(&double.url()), post("{}")).await.unwrap_err();
        assert!(error.to_string().contains(expected) && !error.to_string().contains("secret"), "{status}: {error}");
        assert_eq!(double.asked().len(), 1, "{error}: asked once");
        if let InvokeError::Throttled { retry_after } = error {
            assert_eq!(retry_after, Some(Duration::from_secs(15)));
        }
    }
}

#[tokio::test]
async fn size_and_time_have_limits() {
    let double = Double::same(200, &[], vec![b'x'; 2_000]).await;
    let mut outbound = post("{}");
    outbound.context.response_bytes_max = 1_000;
    assert!(matches!(call(&config(&double.url()), outbound).await, Err(InvokeError::AnswerTooLarge { .. })));
    let large = vec![0; crate::event::REQUEST_BYTES_MAX + 1];
    assert!(matches!(call(&config(&double.url()), post(large)).await, Err(InvokeError::RequestTooLarge { .. })));
    assert_eq!(double.asked().len(), 1, "what is too large is not sent");
    let silent = Double::new(|_| future::pending::<Response<Bytes>>()).await;
    let mut outbound = post("{}");
    outbound.context = context(Duration::from_millis(100));
    assert!(matches!(call(&config(&silent.url()), outbound).await, Err(InvokeError::TimedOut)));
    let error = call(&config("http://127.0.0.1:1"), post("{}")).await.unwrap_err();
    assert!(error.had_no_effect(), "{error}");
}

#[test]
fn slips_are_found() {
    let sound = config("https://fn.example");
    assert_eq!(config("http://fn.internal:8080").problems(), [], "clear text, and nothing that proves the gateway");
    let event = |mode| CloudEventConfig { kind: "t".to_owned(), source: "/s".to_owned(), subject: None, mode };
    for (field, wrong) in [
        ("endpoint", FnServerConfig { token: Some("env:T".into()), ..config("http://fn.internal:8080") }),
        ("endpoint", config("https://fn.example/path")),
        ("function", FnServerConfig { function: "../x".into(), ..sound.clone() }),
        ("token", FnServerConfig { token: Some("hunter2".into()), ..sound.clone() }),
        ("event", FnServerConfig { event: Some(event(Mode::Binary)), ..sound.clone() }),
        ("intent", FnServerConfig { event: Some(event(Mode::Structured)), ..wrapped("https://fn.example") }),
        ("connect_timeout", FnServerConfig { connect_timeout: "soon".into(), ..sound.clone() }),
    ] {
        let problems = wrong.problems();
        assert_eq!(problems.iter().map(|p| p.field).collect::<Vec<_>>(), [field], "{wrong:?}");
        assert!(!problems[0].message.contains("hunter2"), "{problems:?}");
    }
    assert!(config("http://fn.internal").is_exposed() && !config("http://127.0.0.1:1").is_exposed());
}
