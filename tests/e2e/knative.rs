//! Functions behind `knative`: a real middleware, started with the first call, behind an ingress and a broker.

use crate::examples::{copy, replace, succeeds};
use serde_json::{Value, json};
use std::fs;
use tests::{
    client::Request,
    knative::{Front, TOKEN},
    latchwork,
    project::Project,
    root, wait,
};

const EVENT: &str = "event = { type = \"example.shop.ordered\", source = \"/shop\" }";

async fn delivered(front: &Front) -> Vec<Value> {
    wait::until("a delivery", wait::LONG, || async {
        let counts = front.counts().await;
        counts["delivered"].as_array().filter(|list| !list.is_empty()).cloned()
    })
    .await
}

#[tokio::test]
async fn a_service_is_started_by_a_call_and_a_broker_takes_events() {
    let Some(front) = Front::start().await else { return };
    let service =
        |host: &str| format!("knative = {{ url = \"{}/in\", host = \"{host}.shop.example.com\", {EVENT} }}", front.url);
    let broker = |name: &str, token: &str| {
        let token = format!("token = \"file:{token}\"");
        format!("knative = {{ url = \"{}/shop/{name}\", call = \"broker\", {token}, {EVENT} }}", front.url)
    };
    let project = Project::new()
        .anonymous()
        .function("shop.orders", "POST /orders", &service("orders"), "response_bytes_max = 1000000\ntimeout = \"60s\"")
        .function("shop.hasty", "POST /hasty", &service("orders"), "timeout = \"1s\"")
        .function("shop.busy", "POST /busy", &service("busy"), "")
        .function("shop.late", "POST /late", &service("late"), "")
        .function("shop.broker", "POST /events", &broker("default", "token"), "")
        .function("shop.limited", "POST /limited", &broker("limited", "token"), "")
        .function("shop.unknown", "POST /unknown", &broker("unknown", "token"), "")
        .function("shop.silent", "POST /silent", &broker("silent", "token"), "timeout = \"2s\"")
        .function("shop.wrong", "POST /wrong", &broker("default", "wrong"), "")
        .permit_all();
    project.write("token", TOKEN);
    project.write("wrong", "another-token");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let send = async |path: &str, body: Value| {
        let request =
            Request::json(path, &body).header("knative-serving-tag", "mine").header("k-network-probe", "queue");
        gateway.client().send(request).await
    };
    assert_eq!(front.counts().await["starts"], 0);
    let first = send("/orders", json!({ "count": 1 })).await;
    assert_eq!(first.status, 200, "{}\n{}", first.text(), gateway.stderr());
    assert_eq!(
        (&first.json()["data"], &first.json()["attributes"]["id"]),
        (&json!({ "count": 1 }), &json!(first.call_id()))
    );
    assert_eq!(front.counts().await["starts"], 1, "a call waits for the function to start");
    let bytes = Request::post("/orders", b"\0\xff\x01".to_vec()).header("content-type", "image/png");
    let echoed = gateway.client().send(bytes).await;
    assert_eq!(
        (echoed.status, echoed.header("content-type"), &echoed.body[..]),
        (200, "image/png", &b"\0\xff\x01"[..])
    );
    for (path, body, status) in [
        ("/orders", json!({ "do": "large" }), 502),
        ("/hasty", json!({ "do": "slow" }), 504),
        ("/busy", json!({}), 503),
        ("/late", json!({}), 504),
        ("/limited", json!({}), 503),
        ("/silent", json!({}), 504),
        ("/unknown", json!({}), 502),
        ("/wrong", json!({}), 502),
    ] {
        let said = send(path, body).await;
        assert_eq!(said.status, status, "{path}: {}\n{}", said.text(), gateway.stderr());
        assert!(!said.text().contains("queue full") && !said.text().contains("request timeout"), "{}", said.text());
    }
    assert_eq!(send("/limited", json!({})).await.header("retry-after"), "9");
    assert!(send("/orders", json!({ "do": "fail" })).await.status >= 500);
    let taken = send("/events?a=1", json!({ "count": 2 })).await;
    assert_eq!((taken.status, taken.body.len()), (202, 0), "{}", taken.text());
    assert_eq!(delivered(&front).await, [json!([taken.call_id(), "example.shop.ordered", 200])]);
    let bytes = Request::post("/events", b"\0\xff\x01".to_vec()).header("content-type", "image/png");
    assert_eq!(gateway.client().send(bytes).await.status, 202);
    let log = gateway.stop().await;
    assert!(!log.contains(TOKEN) && !log.contains("another-token"), "{log}");
    assert_eq!(front.lies(), "", "it was told nothing that is not so");
}

/// `deploy/examples/knative`, with only its addresses and token made for the test.
#[tokio::test]
async fn the_example_asks_a_service_and_tells_a_broker() {
    let Some(front) = Front::start().await else { return };
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("knative");
    copy(&root().join("deploy/examples/knative"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no token");
    fs::write(folder.join("secrets/broker.token"), TOKEN).expect("the folder is ours");
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("https://ingress.example", &*front.url),
            ("https://broker-ingress.example", &front.url),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let said = gateway.client().send(Request::json("/orders/7", &json!({ "count": 1 }))).await;
    assert_eq!((said.status, &said.json()["data"]), (200, &json!({ "count": 1 })), "{}", said.text());
    assert_eq!(gateway.client().send(Request::json("/restock", &json!({}))).await.status, 202);
    assert_eq!(delivered(&front).await.len(), 1);
    gateway.stop().await;
    assert_eq!(front.lies(), "");
}
