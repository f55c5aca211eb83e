//! Receivers behind `cloudevents`: two frameworks that read events with two generations of the project's library.

use crate::examples::{copy, replace, succeeds};
use serde_json::{Value, json};
use tests::{
    client::Request,
    functions_framework::Framework,
    knative::{Front, Function, TOKEN},
    latchwork,
    origin::Origin,
    project::Project,
    root,
};

fn target(url: &str, mode: &str) -> String {
    let event = format!("type = \"example.shop.ordered\", source = \"/shop\", subject = \"tea é\", mode = \"{mode}\"");
    format!("cloudevents = {{ url = \"{url}\", event = {{ {event} }} }}")
}

#[tokio::test]
async fn a_call_is_an_event_and_an_event_that_is_answered_is_its_data() {
    let Some(function) = Function::start().await else { return };
    let silent = Origin::start().await;
    let mut project = Project::new().anonymous();
    for mode in ["binary", "structured"] {
        let at = target(&format!("{}/in", function.url), mode);
        let more = "response_bytes_max = 1000000";
        project = project.function(&format!("shop.{mode}"), &format!("POST /{mode}"), &at, more);
    }
    let project = project
        .function("shop.slow", "POST /slow", &target(&format!("{}/slow", silent.url), "binary"), "timeout = \"300ms\"")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for mode in ["binary", "structured"] {
        let send = async |body: Value| {
            let request =
                Request::json(&format!("/{mode}"), &body).header("ce-id", "mine").header("ce-source", "/mine");
            gateway.client().send(request.header("ce-specversion", "0.3")).await
        };
        for form in ["binary", "json"] {
            let said = send(json!({ "do": form, "count": 2 })).await;
            assert_eq!(said.status, 200, "{mode}: {}\n{}", said.text(), gateway.stderr());
            let seen = said.json();
            assert_eq!(seen["data"], json!({ "do": form, "count": 2 }), "{seen}");
            let attributes = &seen["attributes"];
            assert_eq!((&attributes["id"], &attributes["source"]), (&json!(said.call_id()), &json!("/shop")), "{seen}");
            assert_eq!(
                (&attributes["subject"], &attributes["type"]),
                (&json!("tea é"), &json!("example.shop.ordered"))
            );
            assert!(said.headers.keys().all(|name| !name.as_str().starts_with("ce-")), "{:?}", said.headers);
            assert_eq!(said.header("content-type"), "application/json");
        }
        let bytes = Request::post(&format!("/{mode}"), b"\0\xff\x01".to_vec()).header("content-type", "image/png");
        let said = gateway.client().send(bytes).await;
        assert_eq!((said.status, &said.body[..]), (200, &b"\0\xff\x01"[..]), "{mode}: {}", said.text());
        assert_eq!(said.header("content-type"), "image/png");
        assert!(send(json!({ "do": "fail" })).await.status >= 500);
        assert_eq!(send(json!({ "do": "large" })).await.status, 502, "an answer that is too large");
    }
    let event = json!({ "specversion": "1.0", "id": "mine", "source": "/mine", "type": "t" });
    let own = Request::post("/binary", event.to_string()).header("content-type", "application/cloudevents+json");
    assert_eq!(gateway.client().send(own).await.status, 400, "a caller's own event can't pass for the gateway's");
    assert_eq!(gateway.client().send(Request::post("/slow", "")).await.status, 504);
    assert_eq!(function.runs(), 4, "nothing ran that was not asked for, or twice");
    gateway.stop().await;
}

#[tokio::test]
async fn a_receiver_that_refuses_is_not_heard_by_the_caller() {
    let Some(front) = Front::start().await else { return };
    let at = |name: &str, token: &str| {
        let event = "event = { type = \"example.shop.ordered\", source = \"/shop\" }";
        format!("cloudevents = {{ url = \"{}/shop/{name}\", token = \"file:{token}\", {event} }}", front.url)
    };
    let project = Project::new()
        .anonymous()
        .function("shop.tell", "POST /tell", &at("default", "token"), "")
        .function("shop.limited", "POST /limited", &at("limited", "token"), "")
        .function("shop.wrong", "POST /wrong", &at("default", "wrong"), "")
        .permit_all();
    project.write("token", TOKEN);
    project.write("wrong", "another-token");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for (path, status) in [("/tell", 202), ("/limited", 503), ("/wrong", 502)] {
        let said = gateway.client().send(Request::json(path, &json!({}))).await;
        assert_eq!(said.status, status, "{path}: {}", said.text());
    }
    let log = gateway.stop().await;
    assert!(log.contains("refused the call: 401") && !log.contains("another-token") && !log.contains(TOKEN), "{log}");
    assert_eq!(front.lies(), "", "it was told nothing that is not so");
}

/// `deploy/examples/cloudevents`, with only its addresses made for the test.
#[tokio::test]
async fn the_example_tells_one_receiver_and_asks_another() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let Some(framework) = Framework::start_events(parent.path()).await else { return };
    let Some(function) = Function::start().await else { return };
    let folder = parent.path().join("cloudevents");
    copy(&root().join("deploy/examples/cloudevents"), &folder);
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("https://receiver.example", &framework.url),
            ("https://pricing.example", &function.url),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let told = gateway.client().send(Request::json("/orders", &json!({ "sku": "tea" }))).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let seen: Vec<Value> = framework.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!((seen.len(), &seen[0]["data"]), (1, &json!({ "sku": "tea" })), "{}", framework.stdout());
    assert_eq!(seen[0]["attributes"]["id"], told.call_id(), "the event's id is the call's");
    let asked = gateway.client().send(Request::json("/prices/7", &json!({ "count": 2 }))).await;
    assert_eq!((asked.status, &asked.json()["data"]), (200, &json!({ "count": 2 })), "{}", asked.text());
    gateway.stop().await;
}
