//! `deploy/examples/kafka`, with a broker of its own, and only addresses made for the test.

use crate::examples::{copy, replace, succeeds};
use serde_json::json;
use tests::{client::Request, kafka::Broker, latchwork, root};

#[tokio::test]
async fn the_example_keeps_orders_in_kafka() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("kafka");
    copy(&root().join("deploy/examples/kafka"), &folder);
    // Of its own: what the gateway runs must leave no process behind that names its folder.
    let logs = tempfile::tempdir().expect("a temporary folder");
    let Some(broker) = Broker::start(logs.path()).await else { return };
    broker.make("orders", 3);
    replace(
        &folder.join("latchwork.toml"),
        &[("127.0.0.1:9092", &*broker.address), ("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:9443", "127.0.0.1:0")],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let one = gateway.client().send(Request::json("/orders/7", &json!({ "sku": "tea" }))).await;
    assert_eq!(one.status, 202, "{}\n{}", one.text(), gateway.stderr());
    let list = json!([{ "id": "7", "sku": "milk" }, { "id": "8", "sku": "tea" }]);
    let said = gateway.client().send(Request::json("/orders", &list)).await;
    assert_eq!(said.status, 202, "{}", said.text());
    assert_eq!(said.json()["records"][0]["partition"], one.json()["partition"], "orders of one id stay in order");
    let mut keys: Vec<_> = broker.read("orders").into_iter().map(|record| record["key"].clone()).collect();
    keys.sort_by_key(ToString::to_string);
    assert_eq!(keys, [json!("7"), json!("7"), json!("8")]);
    gateway.stop().await;
    broker.kill().await;
}
