//! Actions that answer, that take their time, that fail, and a key that a caller can't set.

use super::*;
use crate::{
    double::{Double, answer},
    report::Start,
    samples::{body, context, get, post},
};
use http::Response;
use serde_json::{Value, json};
use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

const ID: &str = "8694a4501be6486a94a4501be6886a1e";

fn config(endpoint: &str) -> OpenWhiskConfig {
    OpenWhiskConfig {
        endpoint: endpoint.to_owned(),
        namespace: own_namespace(),
        action: "shop/order".to_owned(),
        call: Call::Blocking,
        key: Some("file:key".to_owned()),
        extension: None,
        path: None,
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

fn web(endpoint: &str) -> OpenWhiskConfig {
    OpenWhiskConfig {
        namespace: "guest".to_owned(),
        action: "describe".to_owned(),
        call: Call::Web,
        path: Some("/things/{id}".to_owned()),
        ..config(endpoint)
    }
}

fn record(result: Value, status: &str) -> String {
    let notes = json!([{ "key": "waitTime", "value": 3 }, { "key": "initTime", "value": 41 }, { "key": "limits", "value": { "memory": 256 } }]);
    let response = json!({ "result": result, "status": status, "success": status == "success", "size": 9 });
    json!({ "activationId": ID, "duration": 52, "annotations": notes, "response": response, "logs": [] }).to_string()
}

async fn call(config: &OpenWhiskConfig, outbound: Outbound) -> Result<crate::payload::Reply, InvokeError> {
    assert_eq!(config.problems(), []);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), "uuid:the-key\n").unwrap();
    OpenWhisk::new(config, folder.path()).unwrap().invoke(outbound).await
}

#[tokio::test]
async fn a_result_is_the_answer_and_parameters_are_of_body_path_and_query() {
    let double = Double::same(200, &[], record(json!({ "made": 1 }), "success")).await;
    let mut outbound = post("{\"count\":2.50}");
    outbound.head.query = Some("tag=a&tag=b&page=1".into());
    let reporting = outbound.context.reporting.clone();
    let reply = call(&config(&double.url()), outbound).await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["content-type"]),
        (200, &HeaderValue::from_static("application/json"))
    );
    assert_eq!(body(reply).await.unwrap(), "{\"made\":1}");
    let told = reporting.told().unwrap();
    assert_eq!((told.start, told.init), (Some(Start::Cold), Some(Duration::from_millis(41))));
    assert_eq!((told.ran, told.memory_mib), (Some(Duration::from_millis(52)), Some(256)));
    double.golden("openwhisk/blocking.golden", &[]);
    let twice = call(&config(&double.url()), post("{\"id\":\"8\"}")).await.unwrap_err();
    assert!(matches!(twice, InvokeError::Unsupported(_)) && twice.had_no_effect(), "{twice}");
    assert!(matches!(call(&config(&double.url()), post("[1]")).await, Err(InvokeError::Unsupported(_))));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1024 * 1024));
    assert!(matches!(call(&config(&double.url()), post(large)).await, Err(InvokeError::RequestTooLarge { .. })));
    assert_eq!(double.asked().len(), 1, "what can't be sent is not");
}

#[tokio::test]
async fn an_action_that_outlives_the_platforms_patience_is_followed() {
    let polls = Arc::new(AtomicUsize::new(0));
    let double = Double::new(move |request: Request<Bytes>| {
        let polls = polls.clone();
        async move {
            assert_eq!(request.headers()["authorization"], "Basic dXVpZDp0aGUta2V5");
            if request.method() == Method::POST {
                return answer(202, &[], json!({ "activationId": ID }).to_string());
            }
            assert_eq!(request.uri().path(), format!("/api/v1/namespaces/_/activations/{ID}"));
            match polls.fetch_add(1, Ordering::SeqCst) {
                0 => answer(404, &[], "{\"error\":\"The requested resource does not exist.\"}"),
                1 => answer(429, &[], ""),
                2 => answer(503, &[], ""),
                _ => answer(200, &[], record(json!({ "late": true }), "success")),
            }
        }
    })
    .await;
    let reply = call(&config(&double.url()), post("{}")).await.unwrap();
    assert_eq!(body(reply).await.unwrap(), "{\"late\":true}");
    let posts = double.asked().iter().filter(|request| request.method() == Method::POST).count();
    assert_eq!((posts, double.asked().len()), (1, 5), "started once");

    let silent = Double::new(|request: Request<Bytes>| async move {
        let started = request.method() == Method::POST;
        answer(if started { 202 } else { 404 }, &[], json!({ "activationId": ID }).to_string())
    })
    .await;
    let mut outbound = post("{}");
    outbound.context = context(Duration::from_millis(300));
    assert!(matches!(call(&config(&silent.url()), outbound).await, Err(InvokeError::TimedOut)));
}

#[tokio::test]
async fn an_action_is_only_started() {
    let double = Double::same(202, &[], json!({ "activationId": ID }).to_string()).await;
    let started =
        OpenWhiskConfig { call: Call::NonBlocking, namespace: "a b@x.example".into(), ..config(&double.url()) };
    let reply = call(&started, post("")).await.unwrap();
    assert_eq!(reply.status(), 202);
    double.golden("openwhisk/non_blocking.golden", &[]);
    let odd = Double::same(202, &[], "{\"activationId\":\"../x\"}").await;
    let error = call(&OpenWhiskConfig { call: Call::NonBlocking, ..config(&odd.url()) }, post("{}")).await.unwrap_err();
    assert!(matches!(error, InvokeError::BadAnswer(_)), "{error}");
}

#[tokio::test]
async fn a_web_action_gets_the_request_with_the_gateways_secret() {
    let double = Double::same(201, &[("x-openwhisk-activation-id", ID), ("content-type", "text/plain")], "made").await;
    let mut outbound = get("/things/7");
    outbound.head.query = Some("a=1".into());
    outbound.head.headers.insert("x-require-whisk-auth", HeaderValue::from_static("a-callers-own"));
    let reply = call(&web(&double.url()), outbound).await.unwrap();
    assert_eq!(reply.status(), 201);
    assert!(!reply.headers().contains_key("x-openwhisk-activation-id"), "the platform's names stay with it");
    double.golden("openwhisk/web.golden", &[]);
    assert_eq!(web("https://x.example").parameters(), ["id"]);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let failed = record(json!({ "error": "secret words" }), "action developer error");
    for (status, said, expected) in [
        (200, record(json!({ "error": "secret" }), "application error"), "the function failed: application error"),
        (502, failed, "the function failed: 502: action developer error"),
        (502, "{\"error\":\"secret words\"}".to_owned(), "the function failed: 502"),
        (500, String::new(), "the function failed: 500"),
        (413, String::new(), "the request is larger than 1048576 bytes"),
        (429, "Too many requests in the last minute (count: 1, allowed: 1).".to_owned(), "no more calls for now"),
        (503, String::new(), "no more calls for now"),
        (401, "{\"error\":\"The supplied authentication is invalid\"}".to_owned(), "refused the call: 401"),
        (404, String::new(), "refused the call: 404"),
        (200, "no record".to_owned(), "malformed"),
    ] {
        let double = Double::same(status, &[], said).await;
        let error = call(&config(&double.url()), post("{}")).await.unwrap_err();
        assert!(error.to_string().contains(expected) && !error.to_string().contains("secret"), "{status}: {error}");
        assert_eq!(double.asked().len(), 1, "{error}: asked once");
    }
    for (status, headers, expected) in [
        (
            502,
            &[("x-openwhisk-activation-id", ID), ("content-type", "application/json")][..],
            "the function failed: 502",
        ),
        (401, &[("content-type", "application/json")], "refused the call: 401"),
        (404, &[("content-type", "application/json")], "refused the call: 404"),
        (413, &[("content-type", "application/json")], "the request is larger than 1048576 bytes"),
        (429, &[], "no more calls for now"),
        (503, &[("content-type", "application/json")], "no more calls for now"),
        (500, &[("content-type", "application/json")], "the function failed: 500"),
        (404, &[("x-openwhisk-activation-id", ID), ("content-type", "application/json")], "passes"),
        (401, &[("x-openwhisk-activation-id", ID), ("content-type", "application/json")], "passes"),
    ] {
        let double = Double::same(status, headers, "{}").await;
        let reply = call(&web(&double.url()), get("/things/7")).await;
        let said = reply.as_ref().map_or_else(ToString::to_string, |_: &Response<_>| "passes".to_owned());
        assert!(said.contains(expected), "{status}: {said}");
    }
}

#[test]
fn slips_are_found() {
    let sound = config("https://eu-gb.functions.example");
    for (field, wrong) in [
        ("endpoint", OpenWhiskConfig { endpoint: "http://x.example".into(), ..sound.clone() }),
        ("action", OpenWhiskConfig { action: "a/b/c".into(), ..sound.clone() }),
        ("action", OpenWhiskConfig { action: "a/..".into(), ..sound.clone() }),
        ("namespace", OpenWhiskConfig { namespace: "a/b".into(), ..sound.clone() }),
        ("key", OpenWhiskConfig { key: None, ..sound.clone() }),
        ("key", OpenWhiskConfig { key: Some("uuid:hunter2".into()), ..sound.clone() }),
        ("path", OpenWhiskConfig { path: Some("/x".into()), ..sound.clone() }),
        ("namespace", OpenWhiskConfig { namespace: "_".into(), ..web("https://x.example") }),
        ("extension", OpenWhiskConfig { extension: Some("exe".into()), ..web("https://x.example") }),
        ("path", OpenWhiskConfig { path: Some("x".into()), ..web("https://x.example") }),
    ] {
        let problems = wrong.problems();
        assert_eq!(problems.iter().map(|p| p.field).collect::<Vec<_>>(), [field], "{wrong:?}");
        assert!(!problems[0].message.contains("hunter2"), "{problems:?}");
    }
}
