//! Functions behind `kafka`: records in topics of a real broker, read by a client that we did not write.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::time::Instant;
use tests::{
    certificates::Certificates,
    client::{Answer, Request},
    kafka::{self, Broker},
    latchwork::{self, Running},
    project::Project,
    wait,
};
use tokio::net::{TcpListener, TcpStream};

mod example;

/// The inside of a target.
fn target(brokers: &str, topic: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!("kafka = {{ brokers = [\"{brokers}\"], topic = \"{topic}\"{comma}{more} }}")
}

fn clear(broker: &Broker, topic: &str, more: &str) -> String {
    target(&format!("tcp://{}", broker.address), topic, more)
}

async fn send(gateway: &Running, path: &str, body: &Value) -> Answer {
    gateway.client().send(Request::json(path, body)).await
}

fn header<'r>(record: &'r Value, name: &str) -> Option<&'r str> {
    let headers = record["headers"].as_array().expect("a list of headers");
    headers.iter().find(|header| header[0] == name).and_then(|header| header[1].as_str())
}

/// The record that an answer speaks of.
fn found<'r>(records: &'r [Value], said: &Value) -> &'r Value {
    let at = |record: &&Value| record["partition"] == said["partition"] && record["offset"] == said["offset"];
    records.iter().find(at).unwrap_or_else(|| panic!("{said} is not among {records:?}"))
}

fn bytes(record: &Value) -> Vec<u8> {
    STANDARD.decode(record["value"].as_str().expect("a value")).expect("base64")
}

#[tokio::test]
async fn records_are_kept_that_somebody_else_reads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(broker) = Broker::start(folder.path()).await else { return };
    broker.make("orders", 3);
    let at = |more: &str| clear(&broker, "orders", more);
    let tenant = "key = \"{id}\", headers = { X-Tenant = \"{header.x-tenant}\" }";
    let project = Project::new()
        .anonymous()
        .function("shop.order", "POST /orders/{id}", &at(tenant), "")
        .function("shop.any", "POST /any", &at(""), "")
        .function("shop.array", "POST /array", &at("batch = \"array\", key = \"{body.sku}\""), "")
        .function("shop.lines", "POST /lines", &at("batch = \"lines\""), "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let post = Request::post("/orders/7", b"\0\xff\x01".to_vec()).header("content-type", "image/png");
    let made = gateway.client().send(post.header("x-tenant", "acme").header("latchwork-caller", "root")).await;
    assert_eq!(made.status, 202, "{}\n{}", made.text(), gateway.stderr());
    let records = broker.read("orders");
    let record = found(&records, &made.json());
    assert_eq!((&record["key"], bytes(record)), (&json!("7"), b"\0\xff\x01".to_vec()));
    assert_eq!((header(record, "content-type"), header(record, "X-Tenant")), (Some("image/png"), Some("acme")));
    assert_eq!(header(record, "latchwork-call-id"), Some(made.call_id().as_str()));
    assert_eq!(header(record, "latchwork-caller"), Some("anonymous"));
    assert!(header(record, "traceparent").is_some() && header(record, "x-forwarded-for").is_none(), "{record}");
    assert!(record["timestamp"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "{record}");
    // Keys find the partition that they have for everybody else.
    let keys = ["a", "b", "12", "tea", "00000000-0000-7000-8000-000000000001", "żółć", "a b", "x/y"];
    let places = kafka::places(3, &keys).expect("the peer is not skipped");
    let list: Vec<Value> = keys.iter().map(|key| json!({ "sku": key })).collect();
    let said = send(&gateway, "/array", &json!(list)).await;
    assert_eq!(said.status, 202, "{}\n{}", said.text(), gateway.stderr());
    let answer = said.json();
    let told = answer["records"].as_array().expect("one for each");
    assert_eq!(
        told.iter().map(|told| told["partition"].as_u64()).collect::<Vec<_>>(),
        places.into_iter().map(Some).collect::<Vec<_>>()
    );
    let records = broker.read("orders");
    for ((told, element), key) in told.iter().zip(&list).zip(keys) {
        let record = found(&records, told);
        assert_eq!((&record["key"], bytes(record)), (&json!(key), element.to_string().into_bytes()));
        assert_eq!(header(record, "content-type"), Some("application/json"));
    }
    // Without a key partitions take turns.
    let turns: Vec<Value> = async {
        let mut turns = Vec::new();
        for _ in 0..3 {
            turns.push(send(&gateway, "/any", &json!({})).await.json()["partition"].clone());
        }
        turns.sort_by_key(Value::to_string);
        turns
    }
    .await;
    assert_eq!(turns, [json!(0), json!(1), json!(2)]);
    let lines = gateway.client().send(Request::post("/lines", "one\ntwo\nthree\n")).await;
    assert_eq!((lines.status, lines.json()["failed"].clone()), (202, json!(0)), "{}", lines.text());
    assert_eq!(broker.read("orders").len(), 1 + keys.len() + 3 + 3);
    gateway.stop().await;
    broker.kill().await;
}

#[tokio::test]
async fn what_kafka_does_not_take_is_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(broker) = Broker::start(folder.path()).await else { return };
    broker.make("orders", 3);
    let nobody = format!("tcp://127.0.0.1:{}", wait::free_port());
    let good = clear(&broker, "orders", "");
    let project = Project::new()
        .anonymous()
        .function("shop.order", "POST /orders", &good, "")
        .function("shop.absent", "POST /absent", &clear(&broker, "absent", ""), "")
        .function("shop.nobody", "POST /nobody", &target(&nobody, "orders", ""), "")
        .function("shop.small", "POST /small", &clear(&broker, "orders", "batch_bytes_max = 1000"), "")
        .function("shop.keyed", "POST /keyed", &clear(&broker, "orders", "key = \"{body.sku}\""), "")
        // Nobody got it at the first, so the second is asked.
        .function("shop.second", "POST /second", &format!("{} }}, {{ {good}", target(&nobody, "orders", "")), "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let large = json!({ "text": "x".repeat(2000) });
    for (path, body, status) in [
        ("/orders", json!({}), 202),
        ("/absent", json!({}), 502),
        ("/nobody", json!({}), 502),
        ("/small", large, 413),
        ("/keyed", json!({ "sku": null }), 400),
        ("/second", json!({}), 202),
    ] {
        let began = Instant::now();
        let said = send(&gateway, path, &body).await;
        assert_eq!(said.status, status, "{path}: {}\n{}", said.text(), gateway.stderr());
        assert!(began.elapsed() < wait::LONG, "{path}: nobody waits for what won't come");
        let words = said.text().to_lowercase();
        assert!(!words.contains("kafka") && !words.contains("topic"), "what is behind stays with us: {words}");
    }
    assert_eq!(broker.read("orders").len(), 2);
    assert!(gateway.stop().await.contains("there is no such topic"));
    broker.kill().await;
}

#[tokio::test]
async fn a_broker_that_is_silent_or_away_is_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(broker) = Broker::start(folder.path()).await else { return };
    broker.make("orders", 1);
    let project = Project::new()
        .anonymous()
        .function("shop.order", "POST /orders", &clear(&broker, "orders", ""), "timeout = \"2s\"")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let order = async || send(&gateway, "/orders", &json!({ "a": 1 })).await;
    assert_eq!(order().await.status, 202);
    broker.freeze();
    assert_eq!(order().await.status, 504, "nobody knows whether it is kept");
    assert_eq!(order().await.status, 502, "a new connection says nothing, and has been sent nothing");
    broker.thaw();
    wait::until("the broker again", wait::LONG, || async { (order().await.status == 202).then_some(()) }).await;
    let port = broker.port;
    broker.kill().await;
    wait::until("nobody there", wait::LONG, || async { (order().await.status == 502).then_some(()) }).await;
    let Some(Some(broker)) = Broker::start_at(folder.path(), port, None).await else { return };
    broker.make("orders", 1);
    wait::until("another broker", wait::LONG, || async { (order().await.status == 202).then_some(()) }).await;
    gateway.stop().await;
    broker.kill().await;
}

/// TLS in front of a broker, which has none that it can be started with.
fn tls(listener: TcpListener, certificates: &Certificates, broker: u16) {
    let acceptor = certificates.acceptor();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(stream).await else { return };
                let Ok(mut far) = TcpStream::connect(("127.0.0.1", broker)).await else { return };
                // Whoever ends first ends both.
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
}

// The client blocks while the front works.
#[tokio::test(flavor = "multi_thread")]
async fn brokers_are_verified() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let told = listener.local_addr().expect("an address").port();
    let certificates = Certificates::new();
    certificates.write(folder.path());
    let front = Some((told, &*folder.path().join("ca.pem")));
    let Some(started) = Broker::start_at(folder.path(), wait::free_port(), front).await else { return };
    let broker = started.expect("the port is free still");
    tls(listener, &certificates, broker.port);
    broker.make("orders", 1);
    let brokers = format!("tls://localhost:{told}");
    let project = Project::new()
        .anonymous()
        .function("shop.ours", "POST /ours", &target(&brokers, "orders", "ca = \"kafka-ca.pem\""), "")
        .function("shop.system", "POST /system", &target(&brokers, "orders", ""), "")
        .permit_all();
    project.write("kafka-ca.pem", &certificates.ca);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    assert_eq!(send(&gateway, "/system", &json!({})).await.status, 502, "nobody vouches for it");
    let said = send(&gateway, "/ours", &json!({ "a": 1 })).await;
    assert_eq!(said.status, 202, "{}\n{}", said.text(), gateway.stderr());
    assert_eq!(bytes(&broker.read("orders")[0]), br#"{"a":1}"#);
    gateway.stop().await;
    broker.kill().await;
}
