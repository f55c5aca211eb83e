//! Functions behind `fn` and `oracle_functions`: a real function kit, behind servers that verify what they are told.

use crate::examples::{copy, replace, succeeds};
use serde_json::{Value, json};
use std::fs;
use tests::{
    client::{Answer, Request},
    fn_project::{Server, TOKEN},
    latchwork::{self, Running},
    project::Project,
    root, wait,
};

/// Every way to call a function; `target` makes one of an id, and of what else is said of it.
fn project(target: impl Fn(&str, &str) -> String) -> Project {
    Project::new()
        .anonymous()
        .function(
            "shop.wrapped",
            "POST /wrapped/{id}",
            &target("function", "intent = \"httprequest\""),
            "query = { page = \"string\" }",
        )
        .function("shop.raw", "POST /raw", &target("function", ""), "request_bytes_max = 10000000")
        .function("shop.start", "POST /start", &target("function", "call = \"detached\""), "")
        .function("shop.busy", "POST /busy", &target("busy", ""), "")
        .function("shop.limited", "POST /limited", &target("limited", ""), "")
        .function("shop.nothing", "POST /nothing", &target("nothing", ""), "")
}

/// What every such platform is to be like.
async fn behaves(gateway: &Running, server: &Server) {
    let send = async |path: &str, body: &[u8]| gateway.client().send(Request::post(path, body.to_vec())).await;
    let request = Request::json("/wrapped/7?page=2", &json!({ "sku": "tea" }));
    let request = request.header("fn-call-id", "mine").header("fn_intent", "cloudevent").header("x-tag", "a");
    let said = gateway.client().send(request.header("opc-request-id", "mine")).await;
    assert_eq!(said.status, 201, "{}\n{}\n{}", said.text(), server.lies(), gateway.stderr());
    let seen = said.json();
    assert_eq!((&seen["method"], said.header("x-mine")), (&json!("POST"), "1"));
    assert!(seen["url"].as_str().is_some_and(|url| url.ends_with("/wrapped/7?page=2")), "{seen}");
    assert_eq!(seen["call"], "01D9FV3CCRNG8G00GZJ0000CALL", "the platform's name for the call, not the caller's");
    let headers = &seen["headers"];
    assert_eq!((&headers["x-tag"], &headers["latchwork-call-id"]), (&json!("a"), &json!(said.call_id())), "{headers}");
    let names: Vec<_> = said.headers.keys().map(|name| name.as_str()).collect();
    assert!(names.iter().all(|name| !name.starts_with("fn-") && !name.starts_with("opc-")), "{names:?}");

    let binary = send("/raw", b"\0\x01\xff").await;
    assert_eq!((binary.status, &binary.body[..]), (200, &b"\0\x01\xff"[..]));
    assert_eq!(binary.header("content-type"), "application/octet-stream");
    assert_eq!(send("/start", b"only started").await.status, 202);
    wait::until("the function that was started", wait::LONG, || {
        let ran = server.ran().iter().any(|body| body == "only started");
        std::future::ready(ran.then_some(()))
    })
    .await;
    refuses(gateway).await;
    assert_eq!(server.lies(), "", "it was told nothing that is not so");
}

async fn refuses(gateway: &Running) {
    let hidden = |said: &Answer| {
        for word in ["inside", "Timed out", "Too many", "NotAuth", "Fn not found", "too large"] {
            assert!(!said.text().contains(word), "what the platform says stays with it: {}", said.text());
        }
        assert!(said.headers.get("fn-call-id").is_none() && said.headers.get("opc-request-id").is_none());
    };
    for (path, body, status) in [
        ("/raw", "fail", 502),
        ("/raw", "large", 502),
        ("/raw", "slow", 504),
        ("/limited", "", 503),
        ("/nothing", "", 502),
    ] {
        let said = gateway.client().send(Request::post(path, body)).await;
        assert_eq!(said.status, status, "{path} {body}: {}\n{}", said.text(), gateway.stderr());
        hidden(&said);
    }
    let busy = gateway.client().send(Request::post("/busy", "")).await;
    assert_eq!((busy.status, busy.header("retry-after")), (503, "15"));
    let large = gateway.client().send(Request::post("/raw", vec![b'x'; 7 * 1024 * 1024])).await;
    assert_eq!(large.status, 413, "{}", large.text());
}

#[tokio::test]
async fn a_function_of_an_fn_server_runs_in_every_way() {
    let Some(server) = Server::fn_server().await else { return };
    let target = |token: &str| {
        let (url, token) = (server.url.clone(), token.to_owned());
        move |id: &str, more: &str| {
            let more = if more.is_empty() { String::new() } else { format!(", {more}") };
            format!("fn = {{ endpoint = \"{url}\", function = \"{id}\", token = \"file:{token}\"{more} }}")
        }
    };
    let project = project(target("token")).function("shop.wrong", "POST /wrong", &target("wrong")("function", ""), "");
    let project = project.permit_all();
    project.write("token", TOKEN);
    project.write("wrong", "another-token");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    behaves(&gateway, &server).await;
    let refused = gateway.client().send(Request::post("/wrong", "")).await;
    assert_eq!(refused.status, 502, "{}", refused.text());
    let log = gateway.stop().await;
    assert!(log.contains("refused the call: 401") && !log.contains("another-token") && !log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn a_function_at_oracle_cloud_runs_in_every_way() {
    let Some(server) = Server::oracle().await else { return };
    let target = |key: std::path::PathBuf| {
        let url = server.url.clone();
        move |id: &str, more: &str| {
            let more = if more.is_empty() { String::new() } else { format!(", {more}") };
            let credentials = format!(
                "{{ tenancy = \"ocid1.tenancy.oc1..bbb\", user = \"ocid1.user.oc1..aaa\", fingerprint = \"20:3b:97\", \
                 key = \"file:{}\" }}",
                key.display()
            );
            format!(
                "oracle_functions = {{ endpoint = \"{url}\", function = \"ocid1.fnfunc.oc1.iad.{id}\", \
                 credentials = {credentials}{more} }}"
            )
        }
    };
    let stranger = target(server.stranger())("function", "");
    let old = target(server.key())("function", "base_path = \"/20181201\"");
    let project = project(target(server.key()))
        .function("shop.wrong", "POST /wrong", &stranger, "")
        .function("shop.old", "POST /old", &old, "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    behaves(&gateway, &server).await;
    for path in ["/wrong", "/old"] {
        let refused = gateway.client().send(Request::post(path, "")).await;
        assert_eq!(refused.status, 502, "{path}: {}", refused.text());
    }
    let log = gateway.stop().await;
    assert!(log.contains("401 NotAuthenticated") && log.contains("404 NotAuthorizedOrNotFound"), "{log}");
    assert!(!log.contains("PRIVATE KEY") && !log.contains("Signature version"), "{log}");
}

/// `deploy/examples/fn` and `deploy/examples/oracle_functions`, with only addresses and keys made for the test.
async fn example(name: &str, secrets: &[(&str, Vec<u8>)], changes: &[(&str, &str)], server: &Server) {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join(name);
    copy(&root().join("deploy/examples").join(name), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no keys");
    for (file, bytes) in secrets {
        fs::write(folder.join("secrets").join(file), bytes).expect("the folder is ours");
    }
    let ports = [("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:9443", "127.0.0.1:0")];
    replace(&folder.join("latchwork.toml"), &[changes, &ports].concat());
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let said = gateway.client().send(Request::json("/orders/7", &json!({ "sku": "tea" }))).await;
    assert_eq!(said.status, 201, "{}\n{}", said.text(), server.lies());
    let body: Value = serde_json::from_str(said.json()["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(body, json!({ "sku": "tea" }));
    assert_eq!(gateway.client().send(Request::json("/restock", &json!({}))).await.status, 202);
    gateway.stop().await;
    assert_eq!(server.lies(), "", "it was told nothing that is not so");
}

#[tokio::test]
async fn the_example_of_an_fn_server() {
    let Some(server) = Server::fn_server().await else { return };
    let changes = [("https://fn.example", &*server.url), ("01D9FV3CCRNG8G00GZJ0000002", "function")];
    example("fn", &[("fn.token", TOKEN.into())], &changes, &server).await;
}

#[tokio::test]
async fn the_example_of_oracle_cloud() {
    let Some(server) = Server::oracle().await else { return };
    let key = fs::read(server.key()).expect("the server wrote it");
    let changes = [
        ("https://abcd.eu-frankfurt-1.functions.oci.oraclecloud.com", &*server.url),
        ("ocid1.fnfunc.oc1.eu-frankfurt-1.aaaa", "ocid1.fnfunc.oc1.iad.function"),
        ("ocid1.tenancy.oc1..aaaa", "ocid1.tenancy.oc1..bbb"),
        ("ocid1.user.oc1..aaaa", "ocid1.user.oc1..aaa"),
        ("20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34", "20:3b:97"),
    ];
    example("oracle_functions", &[("key.pem", key)], &changes, &server).await;
}
