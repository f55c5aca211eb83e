//! `deploy/examples/nats`, with its own server, and only addresses and passwords made for the test.

use crate::examples::{copy, replace, succeeds};
use async_nats::ConnectOptions;
use futures_util::StreamExt;
use serde_json::json;
use std::fs;
use tests::{client::Request, latchwork, nats::Nats, root};

const PASSWORD: &str = "the-password";

#[tokio::test]
async fn the_example_keeps_an_order_and_asks_a_price() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("nats");
    copy(&root().join("deploy/examples/nats"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no password");
    fs::write(folder.join("secrets/password"), PASSWORD).expect("the folder is ours");
    let server = fs::read_to_string(folder.join("nats.conf")).expect("the example's server");
    let server = server.replace("127.0.0.1:4222", "127.0.0.1:-1");
    // Of its own: what the gateway runs must leave no process behind that names its folder.
    let store = tempfile::tempdir().expect("a temporary folder");
    let Some(nats) = Nats::start_as(store.path(), &server, &[("NATS_PASSWORD", PASSWORD)]).await else { return };
    let operator = || ConnectOptions::with_user_and_password("operator".into(), PASSWORD.into());
    nats.make_stream_as(operator(), "ORDERS", &["orders.>"]).await;
    let prices = operator().connect(&nats.url).await.expect("the server takes clients");
    let mut asked = prices.subscribe("prices.>").await.expect("a subscription");
    prices.flush().await.expect("the server knows of it");
    tokio::spawn(async move {
        while let Some(message) = asked.next().await {
            let reply = message.reply.expect("a request has a reply subject");
            prices.publish(reply, format!("{} costs 3", message.subject).into()).await.expect("the server takes it");
        }
    });
    replace(
        &folder.join("latchwork.toml"),
        &[("nats://127.0.0.1:4222", &*nats.url), ("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:9443", "127.0.0.1:0")],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let order = || Request::json("/orders/7", &json!({ "sku": "tea" })).header("idempotency-key", "7-1");
    for duplicate in [false, true] {
        let said = gateway.client().send(order()).await;
        let expected = json!({ "stream": "ORDERS", "sequence": 1, "duplicate": duplicate });
        assert_eq!((said.status, said.json()), (202, expected), "{}", gateway.stderr());
    }
    let said = gateway.client().send(Request::json("/prices/tea", &json!({}))).await;
    assert_eq!((said.status, said.text().as_str()), (200, "prices.tea costs 3"), "{}", gateway.stderr());
    let messages = nats.messages(operator(), "ORDERS").await;
    assert_eq!(messages.iter().map(|message| message.subject.as_str()).collect::<Vec<_>>(), ["orders.7"]);
    gateway.stop().await;
    nats.kill().await;
}
