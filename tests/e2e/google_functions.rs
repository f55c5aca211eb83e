//! Functions behind `google_functions`: real functions-framework, before it a front that verifies with google-auth.

use crate::{
    examples::{copy, replace, succeeds},
    functions_framework::{TELLING, tells},
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};
use tests::{client::Request, functions_framework::Framework, google::Front, latchwork, project::Project, root};

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
    let at = |path: &str| format!("google_functions = {{ url = \"{}{path}\", {credentials} }}", front.url);
    let project = project
        .anonymous()
        .function("shop.tell", "POST /tell", &at("/things"), TELLING)
        .function("shop.late", "POST /late", &at("/things?tell=silent"), "timeout = \"2s\"")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    tells(&gateway, project.folder()).await;
    let late = gateway.client().send(Request::post("/late", "")).await;
    assert_eq!(late.status, 504, "{}", late.text());
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
