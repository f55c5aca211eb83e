//! Google's functions-framework behind the gateway, as an `http` function that knows nothing of it.

use serde_json::json;
use std::{fs, path::Path};
use tests::{
    client::Request,
    functions_framework::Framework,
    latchwork::{self, Running},
    project::Project,
    raw::Raw,
};

/// What the function of [`tells`] is to have.
pub const TELLING: &str =
    "query = { tell = \"string\", gate = \"string\" }\nrequest_bytes_max = 1000\ntimeout = \"60s\"";

/// What `describe` at `POST /tell` is to be like behind every kind of target: bytes come back as they are, pieces come when they
/// are written, and what is too large is not sent. The second piece waits for a file in `folder`.
pub async fn tells(gateway: &Running, folder: &Path) {
    let bytes = Request::post("/tell?tell=bytes", (0..=255).collect::<Vec<u8>>()).header("content-type", "image/png");
    let same = gateway.client().send(bytes).await;
    assert_eq!((same.status, same.header("content-type")), (200, "image/png"), "{}", gateway.stderr());
    assert_eq!(same.body, (0..=255).collect::<Vec<u8>>());

    let gate = folder.join("gate");
    let mut raw = Raw::connect(&gateway.client()).await.expect("a connection");
    let path = format!("/tell?tell=stream&gate={}", gate.display());
    raw.send(format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
    let first = raw.hear(|bytes| bytes.ends_with(b"first, \r\n")).await;
    assert!(first.bytes.ends_with(b"first, \r\n"), "{}\n{}", first.text(), gateway.stderr());
    fs::write(&gate, "").expect("the folder is ours");
    let rest = raw.hear(|bytes| bytes.ends_with(b"0\r\n\r\n")).await;
    assert!(rest.bytes.ends_with(b"\0\xff\r\n0\r\n\r\n"), "{}", rest.text());

    let large = gateway.client().send(Request::post("/tell?tell=bytes", vec![b'x'; 1001])).await;
    assert_eq!(large.status, 413, "{}", large.text());
}

#[tokio::test]
async fn a_function_behind_http_runs_unchanged() {
    let project = Project::new();
    let Some(framework) = Framework::start(project.folder()).await else { return };
    let project = project
        .anonymous()
        .http(
            "shop.describe",
            "POST /shop/{item}",
            &format!("{}/things/{{item}}", framework.url),
            "query = { fail = \"string\" }",
        )
        .http("shop.tell", "POST /tell", &framework.url, TELLING)
        .http("shop.late", "POST /late", &format!("{}/?tell=silent", framework.url), "timeout = \"2s\"")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for client in [gateway.client(), gateway.client().http2()] {
        let request = Request::json("/shop/box%20one?tag=a&tag=b", &json!({ "count": 1 }))
            .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
            .header("latchwork-caller", "User::\"corp/root\"")
            .header("authorization", "Basic cm9vdDpyb290");
        let answer = client.send(request).await;
        assert_eq!(answer.status, 401, "a credential of a kind that is not taken here is refused: {}", answer.text());
        let request = Request::json("/shop/box%20one?tag=a&tag=b", &json!({ "count": 1 }))
            .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
            .header("latchwork-caller", "User::\"corp/root\"");
        let answer = client.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = answer.json();
        assert_eq!((&seen["method"], &seen["path"]), (&json!("POST"), &json!("/things/box one")), "{seen}");
        assert_eq!(seen["query"], json!({ "tag": ["a", "b"] }), "{seen}");
        assert_eq!(seen["body"], json!({ "count": 1 }), "{seen}");
        assert!(seen["traceparent"].as_str().is_some_and(|t| t.contains(trace)), "{seen}");
        let caller = seen["caller"].as_str().expect("the function is told who calls");
        assert!(caller.contains("anonymous") && !caller.contains("root"), "{caller}");
    }
    let failed = gateway.client().send(Request::json("/shop/a?fail=1", &json!({}))).await;
    assert_eq!(failed.status, 500, "the function's own answer is passed on: {}", failed.text());
    tells(&gateway, project.folder()).await;
    let late = gateway.client().send(Request::post("/late", "")).await;
    assert_eq!(late.status, 504, "{}", late.text());
    gateway.stop().await;
}
