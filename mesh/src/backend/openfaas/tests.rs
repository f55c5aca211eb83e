//! Functions that are waited for and queued, results that go nowhere else, and a gateway that speaks for itself.

use super::*;
use crate::{
    double::Double,
    samples::{body, post},
};
use http::HeaderName;
use std::{fs, time::Duration};

fn config(endpoint: &str) -> OpenFaasConfig {
    OpenFaasConfig {
        endpoint: endpoint.to_owned(),
        function: "orders.shop".to_owned(),
        call: OpenFaasCall::Sync,
        path: Some("/things/{id}".to_owned()),
        callback: None,
        user: None,
        password: None,
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

fn queueing(endpoint: &str) -> OpenFaasConfig {
    OpenFaasConfig {
        call: OpenFaasCall::Async,
        path: None,
        callback: Some("https://results.example/done".to_owned()),
        ..config(endpoint)
    }
}

async fn call(config: &OpenFaasConfig, outbound: Outbound) -> Result<Reply, InvokeError> {
    assert_eq!(config.problems(), []);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("password"), "the-password\n").unwrap();
    OpenFaas::new(config, folder.path()).unwrap().invoke(outbound).await
}

fn with_own() -> Outbound {
    let mut outbound = post("{}");
    for name in ["x-callback-url", "x-call-id", "x-timeout", "x-start-time", "x_callback_url", "x-function-name"] {
        outbound.head.headers.insert(HeaderName::from_static(name), HeaderValue::from_static("a-callers-own"));
    }
    outbound.head.query = Some("a=1".into());
    outbound
}

#[tokio::test]
async fn a_function_is_waited_for() {
    const SAID: [(&str, &str); 5] = [
        ("content-type", "text/plain"),
        ("x-duration-seconds", "0.012"),
        ("x-call-id", "theirs"),
        ("x-served-by", "openfaas-ce/0.27"),
        ("x-own", "1"),
    ];
    let double = Double::same(418, &SAID, "short and stout").await;
    let user = OpenFaasConfig {
        user: Some("admin".to_owned()),
        password: Some("file:password".to_owned()),
        ..config(&double.url())
    };
    let reply = call(&user, with_own()).await.unwrap();
    let mut names: Vec<_> = reply.headers().keys().map(HeaderName::as_str).collect();
    names.retain(|name| !matches!(*name, "date" | "content-length"));
    assert_eq!((reply.status().as_u16(), names), (418, vec!["content-type", "x-own"]));
    assert_eq!(body(reply).await.unwrap(), "short and stout");
    double.golden("openfaas/sync.golden", &[("x-call-id", "ID"), ("x-timeout", "TIME")]);
    let asked = double.asked().pop().unwrap();
    assert_eq!(asked.headers()["x-call-id"], asked.headers()["latchwork-call-id"]);
    let left = asked.headers()["x-timeout"].to_str().unwrap().strip_suffix("ms").unwrap();
    assert!(
        (5_000..=10_000).contains(&left.parse::<u64>().unwrap()),
        "{left}: not the caller's, but what is left of ten seconds"
    );
    assert_eq!(user.parameters(), ["id"]);
}

#[tokio::test]
async fn a_call_is_queued_and_its_result_goes_where_the_operator_says() {
    let double = Double::same(202, &[("x-call-id", "theirs")], "").await;
    let mut outbound = with_own();
    outbound.head.method = Method::GET;
    let reply = call(&queueing(&double.url()), outbound).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers().len()), (202, 0));
    double.golden("openfaas/async.golden", &[("x-call-id", "ID")]);
    let double = Double::same(202, &[], "").await;
    let nowhere = OpenFaasConfig { callback: None, ..queueing(&double.url()) };
    call(&nowhere, with_own()).await.unwrap();
    assert!(!double.asked()[0].headers().contains_key("x-callback-url"));
    for (status, expected) in [
        (200, "malformed: status 200"),
        (401, "refused the call: 401"),
        (404, "refused the call: 404"),
        (413, "the request is larger than"),
        (429, "no more calls for now"),
        (500, "the function failed: 500"),
    ] {
        let double = Double::same(status, &[("content-type", "text/plain")], "secret words").await;
        let error = call(&queueing(&double.url()), post("{}")).await.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{status}: {error}");
    }
}

#[tokio::test]
async fn failures_are_told_apart() {
    let ran = ("x-duration-seconds", "0.5");
    let internal = ("x-openfaas-internal", "of-watchdog");
    let text = ("content-type", "text/plain; charset=utf-8");
    let json = ("content-type", "application/json");
    for (status, headers, said, expected) in [
        (404, &[text][..], "error finding function secret", "refused the call: 404"),
        (401, &[text, ("www-authenticate", "Basic realm=\"Restricted\"")], "secret", "refused the call: 401"),
        (502, &[], "", "the function failed: 502"),
        (500, &[text], "Can't reach service for: secret.", "the function failed: 500"),
        (504, &[ran, internal], "", "did not answer in time"),
        (500, &[ran, internal], "", "the function failed: 500"),
        (429, &[text, ("retry-after", "3")], "Concurrent request limit exceeded", "no more calls for now"),
        (200, &[], "", "malformed"),
        (500, &[ran, text], "the function's own", "passes"),
        (401, &[ran], "", "passes"),
        (200, &[ran], "", "passes"),
        (204, &[], "", "passes"),
        (503, &[json], "{}", "passes"),
    ] {
        let headers: &'static [(&str, &str)] = Box::leak(headers.to_vec().into_boxed_slice());
        let double = Double::same(status, headers, said).await;
        let reply = call(&config(&double.url()), post("{}")).await;
        if let Err(InvokeError::Throttled { retry_after }) = &reply {
            assert_eq!(*retry_after, Some(Duration::from_secs(3)));
        }
        let said = reply.as_ref().map_or_else(ToString::to_string, |_| "passes".to_owned());
        assert!(said.contains(expected) && !said.contains("secret"), "{status} {headers:?}: {said}");
        assert_eq!(double.asked().len(), 1, "asked once");
    }
}

#[test]
fn slips_are_found() {
    let sound = config("https://openfaas.example");
    let user = |user: &str| OpenFaasConfig { user: Some(user.into()), password: Some("env:P".into()), ..sound.clone() };
    assert_eq!((config("http://gateway.openfaas:8080").problems(), user("admin").problems()), (vec![], vec![]));
    for (field, wrong) in [
        ("endpoint", OpenFaasConfig { endpoint: "http://gateway.openfaas".into(), ..user("admin") }),
        ("function", OpenFaasConfig { function: "a/b".into(), ..sound.clone() }),
        ("path", OpenFaasConfig { path: Some("x".into()), ..sound.clone() }),
        ("path", OpenFaasConfig { path: Some("/{x".into()), ..sound.clone() }),
        ("callback", OpenFaasConfig { callback: Some("https://r.example".into()), ..sound.clone() }),
        ("callback", OpenFaasConfig { callback: Some("results".into()), ..queueing("https://openfaas.example") }),
        ("user", user("a:b")),
        ("user", OpenFaasConfig { user: Some("admin".into()), ..sound.clone() }),
        ("password", OpenFaasConfig { password: Some("env:P".into()), ..sound.clone() }),
        ("password", OpenFaasConfig { password: Some("hunter2".into()), ..user("admin") }),
    ] {
        let problems = wrong.problems();
        assert_eq!(problems.iter().map(|p| p.field).collect::<Vec<_>>(), [field], "{wrong:?}");
        assert!(!problems[0].message.contains("hunter2"), "{problems:?}");
    }
}
