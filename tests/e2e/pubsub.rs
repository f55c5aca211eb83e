//! Functions behind `pubsub`: a service that verifies tokens and reads messages with the provider's own libraries, and the
//! provider's own client, which reads what we published.

use crate::examples::{copy, replace, succeeds};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tests::{client::Request, latchwork, project::Project, pubsub::Service, root};

/// The inside of a target.
fn target(url: &str, topic: &str, credentials: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!("pubsub = {{ topic = \"projects/shop/topics/{topic}\", endpoint = \"{url}\", {credentials}{comma}{more} }}")
}

fn account(file: &Path) -> String {
    format!("credentials = {{ service_account = \"file:{}\" }}", file.display())
}

fn data(message: &Value) -> Vec<u8> {
    STANDARD.decode(message["data"].as_str().expect("data")).expect("base64")
}

#[tokio::test]
async fn messages_are_published_that_the_providers_own_client_reads() {
    let Some(service) = Service::start().await else { return };
    let by_account = account(&service.account());
    let by_machine = format!("credentials = {{ metadata = \"{}\" }}", service.url);
    let at = |topic: &str, more: &str| target(&service.url, topic, &by_account, more);
    let named = "ordering_key = \"{id}\", attributes = { tenant = \"{header.x-tenant}\" }";
    let mut project = Project::new()
        .anonymous()
        .function("shop.order", "POST /orders/{id}", &at("orders", named), "")
        .function("shop.machine", "POST /machine", &target(&service.url, "orders", &by_machine, ""), "")
        .function("shop.array", "POST /array", &at("orders", "batch = \"array\", ordering_key = \"{body.sku}\""), "")
        .function(
            "shop.stranger",
            "POST /stranger",
            &target(&service.url, "orders", &account(&service.stranger()), ""),
            "",
        )
        .function("shop.stuck", "POST /stuck", &at("stuck", ""), "timeout = \"2s\"");
    for topic in ["busy", "down", "broken", "foreign", "absent"] {
        project = project.function(&format!("shop.{topic}"), &format!("POST /{topic}"), &at(topic, ""), "");
    }
    let project = project.permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let bytes = Request::post("/orders/7", b"\0\xff\x01".to_vec()).header("x-tenant", "acme");
    let one = gateway.client().send(bytes.header("content-type", "image/png").header("traceparent", "mine")).await;
    assert_eq!(
        (one.status, one.json()),
        (202, json!({ "message_id": "1" })),
        "{}\n{}",
        gateway.stderr(),
        service.lies()
    );
    let machine = gateway.client().send(Request::json("/machine", &json!({ "a": 1 }))).await;
    assert_eq!(machine.status, 202, "{}\n{}", gateway.stderr(), service.lies());
    let array = gateway.client().send(Request::json("/array", &json!([{ "sku": "tea" }, { "sku": 7 }]))).await;
    let ids = json!([{ "message_id": "3" }, { "message_id": "4" }]);
    assert_eq!((array.status, array.json()), (202, json!({ "failed": 0, "records": ids })), "{}", gateway.stderr());
    assert_eq!(service.tokens().await, 3, "one for each target that was used, whatever its number of calls");
    let messages = service.pulled();
    assert_eq!(messages.len(), 5, "{messages:?}");
    assert_eq!((data(&messages[0]), &messages[0]["ordering_key"]), (b"\0\xff\x01".to_vec(), &json!("7")));
    let attributes = &messages[0]["attributes"];
    assert_eq!((&attributes["tenant"], &attributes["content-type"]), (&json!("acme"), &json!("image/png")));
    assert_eq!(attributes["latchwork-call-id"], one.call_id());
    assert_eq!(attributes["latchwork-caller"], "anonymous");
    assert_ne!(attributes["traceparent"], "mine");
    assert_eq!((data(&messages[2]), data(&messages[3])), (br#"{"sku":"tea"}"#.to_vec(), br#"{"sku":7}"#.to_vec()));
    assert_eq!((&messages[2]["ordering_key"], &messages[3]["ordering_key"]), (&json!("tea"), &json!("7")));
    assert_eq!(messages[4]["attributes"], json!({ "by": "client" }), "what the client itself says is read alike");
    for (path, status) in [
        ("/busy", 503),
        ("/down", 503),
        ("/broken", 502),
        ("/foreign", 502),
        ("/absent", 502),
        ("/stranger", 502),
        ("/stuck", 504),
    ] {
        let said = gateway.client().send(Request::json(path, &json!({ "a": 1 }))).await;
        assert_eq!(said.status, status, "{path}: {}\n{}", said.text(), gateway.stderr());
        assert!(!said.text().contains("Resource") && !said.text().contains("project"), "{}", said.text());
    }
    let many = Request::json("/array", &json!(vec![1; 1001]));
    assert_eq!(gateway.client().send(many).await.status, 413);
    assert_eq!(gateway.client().send(Request::json("/array", &json!({}))).await.status, 400);
    let lies = service.lies();
    assert!(lies.lines().all(|line| line.starts_with("/token: ")), "only the stranger's assertion was wrong: {lies}");
    let log = gateway.stop().await;
    assert!(log.contains("404 NOT_FOUND") && log.contains("no credential for the backend"), "{log}");
    assert!(
        !log.contains("PRIVATE KEY") && !log.contains("ya29") && !log.contains("eyJ"),
        "no key or token is in the log"
    );
}

/// `deploy/examples/pubsub`, with only its addresses and key file made for the test.
#[tokio::test]
async fn the_example_publishes_an_order_and_several() {
    let Some(service) = Service::start().await else { return };
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("pubsub");
    copy(&root().join("deploy/examples/pubsub"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no keys");
    fs::copy(service.account(), folder.join("secrets/account.json")).expect("the folder is ours");
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("https://europe-west1-pubsub.googleapis.com", &*service.url),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let order = Request::json("/orders/7", &json!({ "sku": "tea" }));
    let said = gateway.client().send(order).await;
    assert_eq!(said.status, 202, "{}\n{}\n{}", said.text(), gateway.stderr(), service.lies());
    let several = Request::post("/orders", "{\"id\":\"8\"}\n{\"id\":\"9\"}\n");
    let said = gateway.client().send(several).await;
    assert_eq!((said.status, &said.json()["failed"]), (202, &json!(0)), "{}\n{}", said.text(), gateway.stderr());
    let keys: Vec<Value> = service.pulled().iter().map(|message| message["ordering_key"].clone()).collect();
    assert_eq!(keys, ["7", "8", "9", "k"]);
    gateway.stop().await;
    assert_eq!(service.lies(), "");
}
