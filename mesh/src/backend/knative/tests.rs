//! Services by host, with and without events, brokers that take events, and what stands in front of both.

use super::*;
use crate::{
    backend::cloudevents::tests::event,
    double::{Double, answer},
    samples::{body, get, post},
};
use bytes::Bytes;
use http::Request;
use tokio::sync::Notify;

fn config(url: &str) -> KnativeConfig {
    KnativeConfig {
        url: url.to_owned(),
        host: Some("orders.shop.example.com".to_owned()),
        call: KnativeCall::Service,
        event: None,
        token: None,
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

fn broker(url: &str) -> KnativeConfig {
    KnativeConfig {
        host: None,
        call: KnativeCall::Broker,
        event: Some(event(Mode::Binary)),
        ..config(&format!("{url}/shop/default"))
    }
}

async fn call(config: &KnativeConfig, outbound: Outbound) -> Result<Reply, InvokeError> {
    assert_eq!(config.problems(), []);
    Knative::new(config, Path::new("/")).unwrap().invoke(outbound).await
}

fn with_own(mut outbound: Outbound) -> Outbound {
    for name in ["knative-serving-tag", "knative-serving-revision", "k-network-probe", "k_proxy_request", "ce-id"] {
        outbound.head.headers.insert(name, HeaderValue::from_static("a-callers-own"));
    }
    outbound
}

#[tokio::test]
async fn a_service_gets_the_request_under_its_own_host() {
    let double = Double::same(404, &[("content-type", "application/json")], "{}").await;
    let mut outbound = with_own(get("/orders/7"));
    outbound.head.headers.remove("ce-id");
    outbound.head.query = Some("page=1".into());
    let reply = call(&config(&format!("{}/things/{{id}}", double.url())), outbound).await.unwrap();
    assert_eq!(reply.status(), 404, "the function's own answer");
    double.golden("knative/service.golden", &[]);
}

#[tokio::test]
async fn a_service_that_has_to_be_started_is_waited_for() {
    let (asked, started) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signs = (asked.clone(), started.clone());
    let double = Double::new(move |_: Request<Bytes>| {
        let (asked, started) = signs.clone();
        async move {
            asked.notify_one();
            started.notified().await;
            answer(200, &[("content-type", "text/plain")], "at last")
        }
    })
    .await;
    let config = config(&double.url());
    let mut calling = std::pin::pin!(call(&config, post("")));
    tokio::select! {
        reply = &mut calling => panic!("answered before it was started: {reply:?}"),
        () = asked.notified() => started.notify_one(),
    }
    assert_eq!(body(calling.await.unwrap()).await.unwrap(), "at last");
    assert_eq!(double.asked().len(), 1);
}

#[tokio::test]
async fn a_service_gets_events_and_answers_them() {
    const SAID: [(&str, &str); 3] = [("ce-specversion", "1.0"), ("ce-id", "9"), ("content-type", "text/plain")];
    let double = Double::same(200, &SAID, "made").await;
    let events = KnativeConfig { event: Some(event(Mode::Structured)), ..config(&double.url()) };
    let reply = call(&events, with_own(post("text"))).await.unwrap();
    assert!(!reply.headers().contains_key("ce-id"));
    assert_eq!(body(reply).await.unwrap(), "made");
    assert_eq!(double.asked()[0].headers()["content-type"], "application/cloudevents+json");
}

#[tokio::test]
async fn a_broker_takes_an_event() {
    let double = Double::same(202, &[("allow", "POST, OPTIONS")], "").await;
    let mut outbound = with_own(post("{}"));
    outbound.head.query = Some("a=1".into());
    let reply = call(&broker(&double.url()), outbound).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers().len()), (202, 0));
    double.golden("knative/broker.golden", &[("ce-id", "ID")]);
    for (status, expected) in [
        (400, "refused the call: 400"),
        (401, "refused the call: 401"),
        (404, "refused the call: 404"),
        (429, "no more calls for now"),
        (500, "the function failed: 500"),
        (503, "no more calls for now"),
        (413, "the request is larger than it takes"),
    ] {
        let double = Double::same(status, &[], "secret words").await;
        let error = call(&broker(&double.url()), post("{}")).await.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{status}: {error}");
        assert_eq!(double.asked().len(), 1, "asked once");
    }
}

#[tokio::test]
async fn what_stands_in_front_of_a_service_is_not_its_answer() {
    let terse = &[("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")][..];
    let plain = &[("content-type", "text/plain")][..];
    for (status, headers, said, expected) in [
        (503, terse, "pending request queue full", "no more calls for now"),
        (503, plain, "no healthy upstream", "no more calls for now"),
        (504, plain, "request timeout", "did not answer in time"),
        (502, plain, "dial tcp 10.1.2.3:8012", "the function failed: 502"),
        (500, terse, "inside", "the function failed: 500"),
        (401, &[], "", "refused the call: 401"),
        (429, &[], "", "no more calls for now"),
        (500, plain, "the function's own", "passes"),
        (503, &[("content-type", "application/json")], "{}", "passes"),
    ] {
        let headers: &'static [(&str, &str)] = Box::leak(headers.to_vec().into_boxed_slice());
        let double = Double::same(status, headers, said).await;
        let reply = call(&config(&double.url()), post("{}")).await;
        let said = reply.as_ref().map_or_else(ToString::to_string, |_| "passes".to_owned());
        assert!(said.contains(expected) && !said.contains("10.1"), "{status}: {said}");
        assert_eq!(double.asked().len(), 1, "asked once");
    }
}

#[test]
fn slips_are_found() {
    let sound = config("https://ingress.example/things/{id}");
    assert_eq!(config("http://ingress.internal").problems(), []);
    for (field, wrong) in [
        ("url", KnativeConfig { token: Some("env:T".into()), ..config("http://ingress.internal") }),
        ("host", KnativeConfig { host: Some("a b".into()), ..sound.clone() }),
        ("host", KnativeConfig { host: Some("root@b".into()), ..sound.clone() }),
        ("event", KnativeConfig { event: None, ..broker("https://b.example") }),
        ("url", KnativeConfig { url: "https://b.example/default".into(), ..broker("https://b.example") }),
        ("url", KnativeConfig { url: "https://b.example/a/{id}".into(), ..broker("https://b.example") }),
        ("token", KnativeConfig { token: Some("hunter2".into()), ..sound.clone() }),
    ] {
        let problems = wrong.problems();
        assert_eq!(problems.iter().map(|p| p.field).collect::<Vec<_>>(), [field], "{wrong:?}");
        assert!(!problems[0].message.contains("hunter2"), "{problems:?}");
    }
}
