//! Calls that become events, answers of receivers, and attributes that a caller can't set.

use super::*;
use crate::{
    double::Double,
    samples::{body, context, post},
};
use http::{HeaderName, Response};
use std::{fs, future, time::Duration};

pub(in crate::backend) fn event(mode: Mode) -> CloudEventConfig {
    CloudEventConfig {
        kind: "shop.ordered".to_owned(),
        source: "/shop".to_owned(),
        subject: Some("tea".to_owned()),
        mode,
    }
}

fn config(url: &str, mode: Mode) -> CloudEventsConfig {
    CloudEventsConfig {
        url: format!("{url}/orders/{{id}}"),
        event: event(mode),
        token: None,
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

async fn call(config: &CloudEventsConfig, outbound: Outbound) -> Result<Reply, InvokeError> {
    assert_eq!(config.problems(), []);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "the-token\n").unwrap();
    CloudEvents::new(config, folder.path()).unwrap().invoke(outbound).await
}

fn with(kind: &'static str, text: &'static str) -> Outbound {
    let mut outbound = post(text);
    let headers =
        [("content-type", kind), ("ce-id", "mine"), ("ce-source", "mine"), ("ce-admin", "1"), ("ce_id", "mine")];
    for (name, value) in headers {
        outbound.head.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    outbound
}

#[tokio::test]
async fn a_call_is_an_event_in_headers() {
    let double = Double::same(202, &[("ce-id", "theirs")], "").await;
    let config = CloudEventsConfig { token: Some("file:token".to_owned()), ..config(&double.url(), Mode::Binary) };
    let reply = call(&config, with("application/json", "{\"sku\":\"tea\"}")).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers().contains_key("ce-id")), (202, false));
    double.golden("cloudevents/binary.golden", &[("ce-id", "ID"), ("authorization", "Bearer TOKEN")]);
    assert_eq!(double.asked()[0].headers()["authorization"], "Bearer the-token");
    let id = double.asked()[0].headers()["ce-id"].clone();
    assert_eq!(double.asked()[0].headers()["latchwork-call-id"], id, "the event's id is the call's");
    assert_eq!(config.parameters(), ["id"]);
}

#[tokio::test]
async fn a_call_is_an_event_in_json() {
    const SAID: [(&str, &str); 1] = [("content-type", "application/cloudevents+json")];
    let said = "{\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"/r\",\"type\":\"t\",\"data\":{\"made\":1.50}}";
    let double = Double::same(200, &SAID, said).await;
    let mut outbound = with("application/json", "{\"count\":2.50}");
    outbound.context.call_id = uuid::Uuid::nil();
    let reply = call(&config(&double.url(), Mode::Structured), outbound).await.unwrap();
    assert_eq!(reply.headers()["content-type"], "application/json");
    assert_eq!(body(reply).await.unwrap(), "{\"made\":1.50}");
    double.golden("cloudevents/structured.golden", &[]);
}

#[tokio::test]
async fn a_callers_own_event_is_data_or_nothing() {
    let double = Double::same(204, &[], "").await;
    let own = "{\"specversion\":\"1.0\",\"id\":\"mine\",\"source\":\"/mine\",\"type\":\"t\"}";
    for kind in ["application/cloudevents+json", "Application/CloudEvents-batch+json"] {
        let refused = call(&config(&double.url(), Mode::Binary), with(kind, own)).await.unwrap_err();
        assert!(matches!(refused, InvokeError::Unsupported(_)) && refused.had_no_effect(), "{kind}: {refused}");
    }
    let reply = call(&config(&double.url(), Mode::Structured), with("application/cloudevents+json", own)).await;
    assert_eq!(reply.unwrap().status(), 204);
    let sent: serde_json::Value = serde_json::from_slice(double.asked()[0].body()).unwrap();
    assert_eq!((&sent["source"], &sent["data"]["source"]), (&"/shop".into(), &"/mine".into()));
    assert_eq!(double.asked().len(), 1);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let own: &[(&str, &str)] = &[("content-type", "application/json")];
    for (status, headers, expected) in [
        (401, &[][..], "refused the call: 401"),
        (403, &[("content-type", "text/html")], "refused the call: 403"),
        (429, &[], "no more calls for now"),
        (503, &[], "no more calls for now"),
        (502, &[], "the function failed: 502"),
        (504, &[], "the function failed: 504"),
        (400, own, "passes: 400"),
        (422, own, "passes: 422"),
        (500, own, "passes: 500"),
        (200, &[("content-type", "application/cloudevents+json")], "malformed"),
    ] {
        let headers: &'static [(&str, &str)] = Box::leak(headers.to_vec().into_boxed_slice());
        let said = if headers.is_empty() { "" } else { "secret words" };
        let double = Double::same(status, headers, said).await;
        let reply = call(&config(&double.url(), Mode::Binary), post("{}")).await;
        let said = match reply {
            Ok(reply) => format!("passes: {}", reply.status().as_u16()),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expected) && !said.contains("secret"), "{status}: {said}");
        assert_eq!(double.asked().len(), 1, "asked once");
    }
    let silent = Double::new(|_| future::pending::<Response<bytes::Bytes>>()).await;
    let mut outbound = post("{}");
    outbound.context = context(Duration::from_millis(100));
    let late = call(&config(&silent.url(), Mode::Binary), outbound).await;
    assert!(matches!(late, Err(InvokeError::TimedOut)));
}

#[test]
fn slips_are_found() {
    let sound = config("https://events.example", Mode::Binary);
    assert_eq!(config("http://events.internal", Mode::Binary).problems(), []);
    for (field, wrong) in [
        ("url", CloudEventsConfig { token: Some("env:T".into()), ..config("http://events.internal", Mode::Binary) }),
        ("url", CloudEventsConfig { url: "ftp://x".into(), ..sound.clone() }),
        ("token", CloudEventsConfig { token: Some("hunter2".into()), ..sound.clone() }),
        (
            "type",
            CloudEventsConfig {
                event: CloudEventConfig { kind: String::new(), ..event(Mode::Binary) },
                ..sound.clone()
            },
        ),
    ] {
        let problems = wrong.problems();
        assert_eq!(problems.iter().map(|p| p.field).collect::<Vec<_>>(), [field], "{wrong:?}");
        assert!(!problems[0].message.contains("hunter2"), "{problems:?}");
    }
}
