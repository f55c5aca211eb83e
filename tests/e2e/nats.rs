//! Functions behind `nats`: records in streams of a real server, and functions that answer over it.

use async_nats::{
    ConnectOptions, HeaderMap,
    jetstream::stream::{Config, DiscardPolicy},
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::{path::Path, time::Instant};
use tests::{
    client::{Answer, Request},
    latchwork::{self, Running},
    nats::Nats,
    project::Project,
    wait,
};

mod example;
mod logins;

/// What must be in no log line and no answer.
const PASSWORD: &str = "canary-of-the-records";

/// Largest message of the server.
const PAYLOAD_BYTES_MAX: usize = 65_536;

/// Users of the server: one may do all, one may publish to few subjects.
const USERS: &str = r#"max_payload: 65536
authorization { users = [
  { user: all, password: "canary-of-the-records" }
  { user: few, password: "canary-of-the-records", permissions { publish: ["orders.>"], subscribe: ["_INBOX.>"] } }
] }"#;

fn all() -> ConnectOptions {
    ConnectOptions::with_user_and_password("all".into(), PASSWORD.into())
}

/// The inside of a target that publishes, or asks.
fn target(url: &str, user: &str, subject: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!(
        "nats = {{ url = \"{url}\", subject = \"{subject}\", user = \"{user}\", password = \"file:password\"{comma}{more} }}"
    )
}

async fn send(gateway: &Running, path: &str, body: &Value) -> Answer {
    gateway.client().send(Request::json(path, body)).await
}

/// A server with the stream `ORDERS`.
async fn server(folder: &Path) -> Option<Nats> {
    let nats = Nats::start_with(folder, -1, USERS).await?;
    nats.make_stream_as(all(), "ORDERS", &["orders.>"]).await;
    Some(nats)
}

#[tokio::test]
async fn a_record_is_kept_under_its_id() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(nats) = server(folder.path()).await else { return };
    let at = |subject: &str, more: &str| target(&nats.url, "all", subject, more);
    let tenant = "headers = { X-Tenant = \"{header.x-tenant}\" }";
    let project = Project::new()
        .anonymous()
        .function("shop.order", "POST /orders/{id}", &at("orders.{id}.made", tenant), "")
        .function(
            "shop.once",
            "POST /once",
            &at("orders.{body.order.id}", "message_id = \"{header.idempotency-key}\""),
            "",
        )
        .permit_all();
    project.write("password", PASSWORD);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let bytes = Request::post("/orders/7", b"\0\xff\x01".to_vec());
    let bytes = bytes.header("content-type", "image/png").header("x-tenant", "acme").header("nats-msg-id", "mine");
    let made = gateway.client().send(bytes.header("latchwork-caller", "root")).await;
    assert_eq!(made.status, 202, "{}\n{}", made.text(), gateway.stderr());
    assert_eq!(made.json(), json!({ "stream": "ORDERS", "sequence": 1, "duplicate": false }));
    let once = || Request::json("/once", &json!({ "order": { "id": 12 } })).header("idempotency-key", "12");
    for (sequence, duplicate) in [(2, false), (2, true)] {
        let said = gateway.client().send(once()).await;
        let expected = json!({ "stream": "ORDERS", "sequence": sequence, "duplicate": duplicate });
        assert_eq!((said.status, said.json()), (202, expected));
    }
    let messages = nats.messages(all(), "ORDERS").await;
    let [message, named] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((message.subject.as_str(), &message.payload[..]), ("orders.7.made", &b"\0\xff\x01"[..]));
    assert_eq!(message.id, made.call_id());
    let header = |name: &str| message.headers.get(name).map(String::as_str);
    assert_eq!((header("content-type"), header("x-tenant")), (Some("image/png"), Some("acme")));
    assert_eq!(header("latchwork-call-id"), Some(made.call_id().as_str()));
    assert_eq!((header("latchwork-caller"), header("latchwork-caller-kind")), (Some("anonymous"), Some("Anonymous")));
    assert!(header("traceparent").is_some() && header("x-forwarded-for").is_none(), "{message:?}");
    assert_eq!((named.subject.as_str(), named.id.as_str()), ("orders.12", "12"));
    // What would be another subject, or none, is no call.
    for body in [json!({ "order": { "id": "a.b" } }), json!({ "order": { "id": ">" } }), json!({ "order": {} })] {
        let said = gateway.client().send(Request::json("/once", &body).header("idempotency-key", "13")).await;
        assert_eq!(said.status, 400, "{body}: {}", said.text());
    }
    assert_eq!(nats.messages(all(), "ORDERS").await.len(), 2);
    assert!(!gateway.stop().await.contains(PASSWORD));
    nats.kill().await;
}

#[tokio::test]
async fn what_a_stream_does_not_take_is_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(nats) = server(folder.path()).await else { return };
    let full = Config { max_messages: 1, discard: DiscardPolicy::New, ..Config::default() };
    nats.make_stream_with(all(), "FULL", &["full"], full).await;
    let small = Config { max_message_size: 1024, ..Config::default() };
    nats.make_stream_with(all(), "SMALL", &["small"], small).await;
    let at = |user: &str, subject: &str| target(&nats.url, user, subject, "");
    let function = |project: Project, name: &str, target: &str| {
        project.function(&format!("shop.{name}"), &format!("POST /{name}"), target, "")
    };
    let mut project = Project::new().anonymous();
    for (name, target) in [
        ("orders", at("all", "orders.a")),
        ("nowhere", at("all", "nowhere")),
        ("other", target(&nats.url, "all", "orders.a", "stream = \"OTHERS\"")),
        ("full", at("all", "full")),
        ("small", at("all", "small")),
        ("forbidden", at("few", "full")),
        ("allowed", at("few", "orders.b")),
        ("nobody", at("nobody", "orders.c")),
        // Nobody got it at the first, so the second is asked.
        ("second", format!("{} }}, {{ {}", at("all", "nowhere"), at("all", "orders.d"))),
    ] {
        project = function(project, name, &target);
    }
    let project = project.permit_all();
    project.write("password", PASSWORD);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let small = json!({ "a": 1 });
    for (name, status) in [
        ("full", 202),
        ("full", 503),
        ("nowhere", 502),
        ("other", 502),
        ("forbidden", 502),
        ("allowed", 202),
        ("nobody", 502),
    ] {
        let began = Instant::now();
        let said = send(&gateway, &format!("/{name}"), &small).await;
        assert_eq!(said.status, status, "{name}: {}\n{}", said.text(), gateway.stderr());
        assert!(began.elapsed() < wait::LONG, "{name}: nobody waits for what won't come");
        let words = said.text().to_lowercase();
        for word in ["nats", "stream store", "maximum messages", "violation", "authorization"] {
            assert!(!words.contains(word), "what the server says stays with us: {words}");
        }
        assert_eq!(status == 503, said.headers.contains_key("retry-after"), "{name}");
    }
    let large = async |path: &str, bytes: usize| gateway.client().send(Request::post(path, vec![b'x'; bytes])).await;
    for (path, bytes) in [("/orders", PAYLOAD_BYTES_MAX), ("/small", 1024)] {
        let said = large(path, bytes).await;
        assert_eq!(said.status, 413, "{path}: {}\n{}", said.text(), gateway.stderr());
    }
    assert_eq!(large("/orders", PAYLOAD_BYTES_MAX - 2048).await.status, 202, "headers count, and no more");
    let log = gateway.stop().await;
    assert!(!log.contains(PASSWORD) && log.contains("may not publish"), "{log}");
    nats.kill().await;
}

#[tokio::test]
async fn a_server_that_is_silent_or_away_is_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(nats) = server(folder.path()).await else { return };
    let project = Project::new()
        .anonymous()
        .function("shop.order", "POST /orders", &target(&nats.url, "all", "orders.a", ""), "timeout = \"2s\"")
        .permit_all();
    project.write("password", PASSWORD);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let order = async || send(&gateway, "/orders", &json!({ "a": 1 })).await;
    assert_eq!(order().await.status, 202);
    nats.freeze();
    assert_eq!(order().await.status, 504, "nobody knows whether it is kept");
    nats.thaw();
    assert_eq!(order().await.status, 202);
    let port = i32::from(nats.port);
    nats.kill().await;
    wait::until("nobody there", wait::LONG, || async { (order().await.status == 502).then_some(()) }).await;
    let Some(nats) = Nats::start_with(folder.path(), port, USERS).await else { return };
    wait::until("the server again", wait::LONG, || async { (order().await.status == 202).then_some(()) }).await;
    gateway.stop().await;
    nats.kill().await;
}

/// Answers what is asked under `sum.*`: the body's length, the same bytes, a failure, or nothing.
async fn answers(nats: &Nats) {
    let client = all().connect(&nats.url).await.expect("the server takes clients");
    let mut asked = client.subscribe("sum.*").await.expect("a subscription");
    client.flush().await.expect("the server knows of it");
    tokio::spawn(async move {
        while let Some(message) = asked.next().await {
            let Some(reply) = message.reply.clone() else { panic!("a request has a reply subject") };
            let mut headers = HeaderMap::new();
            headers.insert("Content-Type", "text/plain");
            match message.subject.as_str() {
                "sum.silent" => continue,
                "sum.fails" => headers.insert("Nats-Service-Error-Code", "500"),
                _ => headers.insert("X-Sum", "yes"),
            }
            let said = match message.subject.as_str() {
                "sum.large" => "x".repeat(60_000).into(),
                "sum.same" => message.payload.clone(),
                _ => format!("{} bytes", message.payload.len()).into(),
            };
            client.publish_with_headers(reply, headers, said).await.expect("the server takes it");
        }
    });
}

#[tokio::test]
async fn a_function_answers_over_nats() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(nats) = server(folder.path()).await else { return };
    answers(&nats).await;
    let ask = |subject: &str| target(&nats.url, "all", subject, "call = \"request\"");
    let limits = "timeout = \"2s\"\nresponse_bytes_max = 50000";
    let project = Project::new()
        .anonymous()
        .function("shop.sum", "POST /sum/{kind}", &ask("sum.{kind}"), limits)
        .function("shop.nobody", "POST /nobody", &ask("nobody"), "")
        .permit_all();
    project.write("password", PASSWORD);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let said = gateway.client().send(Request::post("/sum/all", "12345")).await;
    assert_eq!((said.status, said.text().as_str()), (200, "5 bytes"), "{}", gateway.stderr());
    assert_eq!((said.header("content-type"), said.header("x-sum")), ("text/plain", "yes"));
    let same = gateway.client().send(Request::post("/sum/same", b"\0\xff\x01".to_vec())).await;
    assert_eq!((same.status, &same.body[..]), (200, &b"\0\xff\x01"[..]), "{}", gateway.stderr());
    for (path, status) in [("/sum/fails", 502), ("/sum/silent", 504), ("/sum/large", 502), ("/nobody", 502)] {
        let said = gateway.client().send(Request::post(path, "12345")).await;
        assert_eq!(said.status, status, "{path}: {}\n{}", said.text(), gateway.stderr());
    }
    assert_eq!(nats.messages(all(), "ORDERS").await.len(), 0, "a request is kept nowhere");
    gateway.stop().await;
    nats.kill().await;
}
