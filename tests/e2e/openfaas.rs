//! Functions behind `openfaas`: a real function, behind a gateway that does as the project's source does.

use crate::examples::{copy, replace, succeeds};
use serde_json::json;
use std::fs;
use tests::{
    client::Request,
    functions_framework::Framework,
    latchwork,
    openfaas::{PASSWORD, Platform, USER},
    origin::{Origin, Seen},
    project::Project,
    root, wait,
};

async fn result(origin: &Origin) -> Seen {
    wait::until("a result", wait::LONG, || std::future::ready(origin.seen().pop())).await
}

#[tokio::test]
async fn a_function_is_waited_for_or_queued() {
    let project = Project::new();
    let Some(framework) = Framework::start(project.folder()).await else { return };
    let Some(platform) = Platform::start(&framework.url).await else { return };
    let (results, elsewhere) = (Origin::start().await, Origin::start().await);
    let target = |name: &str, more: &str| {
        let user = format!("user = \"{USER}\", password = \"file:password\"");
        format!("openfaas = {{ endpoint = \"{}\", function = \"{name}\", {user}{more} }}", platform.url)
    };
    let mut project = project
        .anonymous()
        .function(
            "shop.orders",
            "POST /orders/{id}",
            &target("orders.shop", ", path = \"/things/{id}\""),
            "query = { fail = \"string\" }",
        )
        .function(
            "shop.queue",
            "POST /queue",
            &target("orders.shop", &format!(", call = \"async\", callback = \"{}/done\"", results.url)),
            "request_bytes_max = 2000000",
        )
        .function("shop.wrong", "POST /wrong", &target("orders.shop", "").replace("file:password", "file:wrong"), "");
    for name in ["echo", "dead", "stuck", "late", "busy", "stream", "nothing"] {
        project = project.function(&format!("shop.{name}"), &format!("POST /{name}"), &target(name, ""), "");
    }
    let project = project.permit_all();
    project.write("password", PASSWORD);
    project.write("wrong", "another-password");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let send = async |path: &str| {
        let request =
            Request::json(path, &json!({ "count": 1 })).header("x-timeout", "1ms").header("x-call-id", "mine");
        gateway.client().send(request.header("x-callback-url", &format!("{}/mine", elsewhere.url))).await
    };
    let said = send("/orders/7").await;
    assert_eq!(said.status, 200, "{}\n{}", said.text(), gateway.stderr());
    assert_eq!((&said.json()["path"], &said.json()["body"]), (&json!("/things/7"), &json!({ "count": 1 })));
    assert_eq!(said.json()["authorization"], json!(null), "the password stays with the platform");
    let names: Vec<_> = said.headers.keys().map(|name| name.as_str()).collect();
    for name in ["x-call-id", "x-duration-seconds", "x-served-by", "x-start-time"] {
        assert!(!names.contains(&name), "{names:?}");
    }
    let queued = send("/queue").await;
    assert_eq!((queued.status, queued.body.len()), (202, 0), "{}", queued.text());
    let result = result(&results).await;
    assert_eq!(result.path, "/done");
    assert_eq!(result.headers["x-call-id"], queued.call_id().as_str());
    assert_eq!(elsewhere.seen().len(), 0, "a caller can't say where results go");
    let streamed = send("/stream").await;
    assert_eq!((streamed.status, streamed.text().as_str()), (200, "data: 1\n\ndata: 2\n\n"));
    let bytes = Request::post("/echo", b"\0\xff\x01".to_vec()).header("content-type", "image/png");
    let echoed = gateway.client().send(bytes).await;
    assert_eq!(
        (echoed.status, echoed.header("content-type"), &echoed.body[..]),
        (200, "image/png", &b"\0\xff\x01"[..])
    );
    for (path, status) in [
        ("/orders/7?fail=1", 500),
        ("/dead", 502),
        ("/stuck", 502),
        ("/late", 504),
        ("/busy", 503),
        ("/nothing", 502),
        ("/wrong", 502),
    ] {
        let said = send(path).await;
        assert_eq!(said.status, status, "{path}: {}\n{}", said.text(), gateway.stderr());
        for word in ["Concurrent", "error finding", "invalid credentials"] {
            assert!(!said.text().contains(word), "what the platform says stays with it: {}", said.text());
        }
        assert!(said.headers.get("www-authenticate").is_none(), "{:?}", said.headers);
    }
    assert_eq!(send("/busy").await.header("retry-after"), "4");
    let large = gateway.client().send(Request::post("/queue", vec![b'x'; 1_500_000])).await;
    assert_eq!(large.status, 413, "{}", large.text());
    let log = gateway.stop().await;
    assert!(!log.contains(PASSWORD) && !log.contains("another-password"), "{log}");
    assert_eq!(platform.lies(), "", "it was told nothing that is not so");
}

/// `deploy/examples/openfaas`, with only its addresses and password made for the test.
#[tokio::test]
async fn the_example_asks_a_function_and_queues_a_call() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let Some(framework) = Framework::start(parent.path()).await else { return };
    let Some(platform) = Platform::start(&framework.url).await else { return };
    let results = Origin::start().await;
    let folder = parent.path().join("openfaas");
    copy(&root().join("deploy/examples/openfaas"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no password");
    fs::write(folder.join("secrets/password"), PASSWORD).expect("the folder is ours");
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("https://openfaas.example", &*platform.url),
            ("https://results.example", &results.url),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let said = gateway.client().send(Request::json("/orders/7", &json!({ "sku": "tea" }))).await;
    assert_eq!((said.status, &said.json()["path"]), (200, &json!("/orders/7")), "{}", said.text());
    let queued = gateway.client().send(Request::json("/restock", &json!({}))).await;
    assert_eq!(queued.status, 202, "{}", queued.text());
    assert_eq!(result(&results).await.path, "/restocked");
    gateway.stop().await;
    assert_eq!(platform.lies(), "");
}
