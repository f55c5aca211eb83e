//! Functions behind `google_functions`: real functions-framework, before it a front that verifies with google-auth.

use crate::examples::{copy, replace, succeeds};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};
use tests::{
    client::Request, functions_framework::Framework, google::Front, latchwork, project::Project, raw::Raw, root,
};

#[tokio::test]
async fn a_function_is_called_with_a_token_that_its_provider_verifies() {
    let project = Project::new();
    let Some(framework) = Framework::start(project.folder()).await else { return };
    let Some(front) = Front::start(&framework.url).await else { return };
    let at = |path: &str, more: &str| format!("google_functions = {{ url = \"{}{path}\", {more} }}", front.url);
    let account = |file: PathBuf| format!("credentials = {{ service_account = \"file:{}\" }}", file.display());
    let machine = format!("credentials = {{ metadata = \"{}\" }}", front.url);
    let project = project
        .anonymous()
        .function("shop.account", "POST /account/{item}", &at("/things/{item}", &account(front.account())), "")
        .function("shop.machine", "POST /machine/{item}", &at("/things/{item}", &machine), "")
        .function(
            "shop.other",
            "POST /other",
            &at("/x", &format!("audience = \"https://other.example\", {machine}")),
            "",
        )
        .function("shop.stranger", "POST /stranger", &at("/x", &account(front.stranger())), "")
        .function("shop.nobody", "POST /nobody", &at("/x", "connect_timeout = \"2s\""), "")
        .function("shop.busy", "POST /busy", &at("/throttled", &machine), "")
        .function("shop.fail", "POST /fail", &at("/x?fail=1", &machine), "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for path in ["/account/box%20one", "/machine/box%20one", "/account/box%20one"] {
        let said = gateway.client().send(Request::json(path, &json!({ "count": 1 }))).await;
        assert_eq!(said.status, 200, "{path}: {} {}", said.text(), front.lies());
        assert_eq!((&said.json()["path"], &said.json()["body"]), (&json!("/things/box one"), &json!({ "count": 1 })));
    }
    assert_eq!(front.counts().await, (2, 3), "a token is used again");
    for (path, status) in [("/other", 502), ("/stranger", 502), ("/nobody", 502), ("/busy", 503), ("/fail", 502)] {
        let said = gateway.client().send(Request::json(path, &json!({}))).await;
        assert_eq!(said.status, status, "{path}: {}", said.text());
        assert!(
            !said.text().contains("permission") && said.headers.get("www-authenticate").is_none(),
            "{}",
            said.text()
        );
    }
    let stderr = gateway.stop().await;
    assert!(stderr.contains("refused the call: 401") && stderr.contains("no credential for the backend"), "{stderr}");
    assert!(!stderr.contains("PRIVATE KEY") && !stderr.contains("eyJ"), "no key or token is in the log: {stderr}");
}

#[tokio::test]
async fn bytes_pieces_and_what_takes_too_long_or_is_too_large() {
    let project = Project::new();
    let Some(framework) = Framework::start(project.folder()).await else { return };
    let Some(front) = Front::start(&framework.url).await else { return };
    let credentials = format!("credentials = {{ metadata = \"{}\" }}", front.url);
    let target = format!("google_functions = {{ url = \"{}/things\", {credentials} }}", front.url);
    let asked = "query = { tell = \"string\", gate = \"string\" }\ntimeout = \"5s\"";
    let project = project
        .anonymous()
        .function("shop.tell", "POST /tell", &target, &format!("{asked}\nrequest_bytes_max = 1000"))
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let bytes = Request::post("/tell?tell=bytes", (0..=255).collect::<Vec<u8>>()).header("content-type", "image/png");
    let same = gateway.client().send(bytes).await;
    assert_eq!((same.status, same.header("content-type")), (200, "image/png"), "{}", gateway.stderr());
    assert_eq!(same.body, (0..=255).collect::<Vec<u8>>());

    let gate = project.folder().join("gate");
    let mut raw = Raw::connect(&gateway.client()).await.expect("a connection");
    let path = format!("/tell?tell=stream&gate={}", gate.display());
    raw.send(format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
    let first = raw.hear(|bytes| bytes.ends_with(b"first, \r\n")).await;
    assert!(first.bytes.ends_with(b"first, \r\n"), "{}\n{}", first.text(), gateway.stderr());
    fs::write(&gate, "").expect("the folder is ours");
    let rest = raw.hear(|bytes| bytes.ends_with(b"0\r\n\r\n")).await;
    assert!(rest.bytes.ends_with(b"\0\xff\r\n0\r\n\r\n"), "{}", rest.text());

    for (path, bytes, status) in [("silent", 0, 504), ("bytes", 1001, 413)] {
        let said = gateway.client().send(Request::post(&format!("/tell?tell={path}"), vec![b'x'; bytes])).await;
        assert_eq!(said.status, status, "{path}: {}\n{}", said.text(), gateway.stderr());
    }
    gateway.stop().await;
    assert_eq!(front.lies(), "");
}

/// `deploy/examples/google_functions`, with only its addresses and key files made for the test.
#[tokio::test]
async fn the_example_calls_a_function_and_raises_an_event() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let Some(framework) = Framework::start(parent.path()).await else { return };
    let Some(events) = Framework::start_events(parent.path()).await else { return };
    let folder = parent.path().join("google_functions");
    copy(&root().join("deploy/examples/google_functions"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no keys");
    let Some(front) = Front::start(&framework.url).await else { return };
    let Some(events_front) = Front::start(&events.url).await else { return };
    for (account, file) in [(front.account(), "account.json"), (events_front.account(), "events.json")] {
        fs::copy(account, folder.join("secrets").join(file)).expect("the folder is ours");
    }
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("https://describe-abc123-ew.a.run.app", &front.url),
            ("https://europe-west1-shop.cloudfunctions.net/ordered", &events_front.url),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let said = gateway.client().send(Request::json("/things/tea", &json!({ "count": 1 }))).await;
    assert_eq!((said.status, &said.json()["path"]), (200, &json!("/things/tea")), "{} {}", said.text(), front.lies());
    let said = gateway.client().send(Request::json("/orders", &json!({ "sku": "tea" }))).await;
    assert_eq!(said.status, 200, "{} {}", said.text(), events_front.lies());
    let seen: Vec<Value> = events.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(seen.len(), 1, "{}", events.stdout());
    assert_eq!(
        (&seen[0]["data"], &seen[0]["attributes"]["type"]),
        (&json!({ "sku": "tea" }), &json!("example.shop.ordered"))
    );
    assert_eq!(seen[0]["attributes"]["id"], said.call_id(), "the event's id is the call's");
    let failed = gateway.client().send(Request::json("/orders", &json!({ "fail": true }))).await;
    assert_eq!(failed.status, 502, "a function of events that throws: {}", failed.text());
    gateway.stop().await;
}
