//! Functions behind `azure_functions`: tokens of an issuer that we did not write, and a host of our own that verifies keys and
//! answers for itself as the real one's source does.

use crate::examples::{copy, replace, succeeds};
use serde_json::json;
use std::fs;
use tests::{
    azure::{FUNCTION_KEY, Host, MASTER_KEY},
    client::Request,
    latchwork::{self, Running},
    oidc::{self, Issuer},
    origin::Origin,
    project::Project,
    raw::Raw,
    root,
};

/// Another gateway stands for the platform's sign-in: it verifies the token as any resource server would.
#[tokio::test]
async fn a_token_of_a_real_issuer_is_taken_by_who_verifies_it() {
    let app = Project::new();
    let Some(issuer) = Issuer::start(app.folder()).await else { return };
    let origin = Origin::start().await;
    let app = app
        .issuer("entra", &issuer.url, "")
        .http("app.orders", "POST /api/orders", &origin.url, "forward_headers = [\"authorization\"]")
        .policy(&format!(
            "@id(\"gateway\")\npermit (principal == Client::\"entra/{}\", action == Action::\"app.orders\", resource);",
            oidc::CLIENT
        ));
    let platform = latchwork::run(&app.config(), &app.ca()).await;

    let project = Project::new();
    project.write("secret", oidc::SECRET);
    project.write("wrong", "another-secret");
    let target = |secret: &str| {
        format!(
            "azure_functions = {{ url = \"{}/api/orders\", ca = \"{}\", entra = {{ tenant = \"contoso.example\", \
             client_id = \"{}\", client_secret = \"file:{secret}\", scope = \"invoke\", token_endpoint = \"{}/token\" }} }}",
            platform.url,
            app.ca().display(),
            oidc::CLIENT,
            issuer.url
        )
    };
    let project = project
        .anonymous()
        .function("shop.orders", "POST /orders", &target("secret"), "")
        .function("shop.wrong", "POST /wrong", &target("wrong"), "")
        .permit_all();
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for _ in 0..3 {
        let said = gateway.client().send(Request::json("/orders", &json!({ "sku": "tea" }))).await;
        assert_eq!(said.status, 200, "{}\n{}", said.text(), gateway.stderr());
    }
    let tokens: Vec<_> = origin.seen().iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert!(tokens.len() == 3 && tokens.iter().all(|token| *token == tokens[0]), "one token for all calls");
    let refused = gateway.client().send(Request::json("/wrong", &json!({}))).await;
    assert_eq!(refused.status, 502, "{}", refused.text());
    let stderr = gateway.stop().await;
    assert!(stderr.contains("no credential for the backend") && stderr.contains("invalid_client"), "{stderr}");
    assert!(!stderr.contains("another-secret"), "no secret is in the log: {stderr}");
    platform.stop().await;
}

/// A gateway before every function of a host.
async fn before(host: &Host) -> (Project, Running) {
    let at =
        |path: &str, key: &str| format!("azure_functions = {{ url = \"{}{path}\", key = \"file:{key}\" }}", host.url);
    let started = |name: &str, key: &str| {
        format!("azure_functions = {{ url = \"{}\", function = \"{name}\", key = \"file:{key}\" }}", host.url)
    };
    let mut project = Project::new()
        .anonymous()
        .function("shop.order", "POST /orders/{id}", &at("/api/orders/{id}", "function"), "")
        .function("shop.wrong", "POST /wrong", &at("/api/orders/1", "wrong"), "")
        .function("shop.start", "POST /start", &started("restock", "master"), "")
        .function("shop.unknown", "POST /unknown", &started("absent", "master"), "")
        .function("shop.stuck", "POST /stuck", &started("silent", "master"), "timeout = \"2s\"")
        .function("shop.denied", "POST /denied", &started("restock", "function"), "")
        .function("shop.silent", "POST /silent", &at("/api/silent", "function"), "timeout = \"2s\"")
        .function("shop.small", "POST /small", &at("/api/bytes", "function"), "request_bytes_max = 1000");
    for name in ["bytes", "fail", "own", "busy", "starting", "stream"] {
        let target = at(&format!("/api/{name}"), "function");
        project = project.function(&format!("shop.{name}"), &format!("POST /{name}"), &target, "");
    }
    let project = project.permit_all();
    for (file, text) in [("function", FUNCTION_KEY), ("master", MASTER_KEY), ("wrong", "another-key")] {
        project.write(file, text);
    }
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    (project, gateway)
}

#[tokio::test]
async fn a_host_that_verifies_keys_is_spoken_with_in_every_way() {
    let Some(host) = Host::start().await else { return };
    let (_project, gateway) = before(&host).await;
    let order = Request::json("/orders/7?code=a-callers-own&tag=a", &json!({ "sku": "tea" }))
        .header("x-functions-key", "a-callers-own")
        .header("x-ms-client-principal", "e30=")
        .header("x-zumo-auth", "a-callers-own");
    let made = gateway.client().send(order).await;
    assert_eq!((made.status, made.header("x-function")), (201, "orders"), "{}\n{}", made.text(), gateway.stderr());
    let seen = made.json();
    assert_eq!((&seen["method"], &seen["body"]), (&json!("POST"), &json!("{\"sku\":\"tea\"}")));
    assert_eq!(seen["headers"]["latchwork-call-id"], made.call_id());
    let bytes = Request::post("/bytes", (0..=255).collect::<Vec<u8>>()).header("content-type", "image/png");
    let same = gateway.client().send(bytes).await;
    assert_eq!((same.header("content-type"), &same.body[..]), ("image/png", &(0..=255).collect::<Vec<u8>>()[..]));
    streamed(&gateway, &host).await;

    let send = async |path: &str| gateway.client().send(Request::json(path, &json!({ "sku": "tea" }))).await;
    assert_eq!((send("/start").await.status, host.started().await), (202, json!(["{\"sku\":\"tea\"}"])));
    let own = send("/own").await;
    assert_eq!(
        (own.status, own.json()),
        (429, json!({ "own": true })),
        "the function's own answer, whatever its status"
    );
    assert_eq!(send("/fail").await.status, 500);
    let busy = send("/busy").await;
    assert_eq!((busy.status, busy.header("retry-after")), (503, "7"), "{}", busy.text());
<<<<<<< HEAD
    for (path, status) in [("/starting", 503), ("/wrong", 502), ("/unknown", 502), ("/denied", 502), ("/silent", 504)] {
=======
    for (path, status) in
        [("/starting", 503), ("/wrong", 502), ("/unknown", 502), ("/denied", 502), ("/silent", 504), ("/stuck", 504)]
    {
>>>>>>> proof
        let refused = send(path).await;
        assert_eq!(refused.status, status, "{path}: {}\n{}", refused.text(), gateway.stderr());
        assert!(!refused.text().contains("host"), "what the platform says stays with it: {}", refused.text());
    }
    let large = gateway.client().send(Request::post("/small", vec![b'x'; 1001])).await;
    assert_eq!(large.status, 413, "{}", large.text());
    assert_eq!(host.started().await, json!(["{\"sku\":\"tea\"}"]), "nothing else was started");
    let log = gateway.stop().await;
    assert!(log.contains("refused the call: 401") && log.contains("refused the call: 404"), "{log}");
    for key in [FUNCTION_KEY, MASTER_KEY, "another-key"] {
        assert!(!log.contains(key), "{key}: {log}");
    }
    assert_eq!(host.lies(), "", "it was told nothing that is not so");
}

/// The first half comes while the function waits with the second.
async fn streamed(gateway: &Running, host: &Host) {
    let mut raw = Raw::connect(&gateway.client()).await.expect("a connection");
    raw.send(b"POST /stream HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").await;
    let first = raw.hear(|bytes| bytes.ends_with(b"data: 1\n\n\r\n")).await.text();
    assert!(first.contains("data: 1") && !first.contains("data: 2"), "{first}\n{}", gateway.stderr());
    host.go().await;
    let rest = raw.hear(|bytes| bytes.ends_with(b"0\r\n\r\n")).await.text();
    assert!(rest.contains("data: 2") && rest.ends_with("0\r\n\r\n"), "{rest}");
}

/// `deploy/examples/azure_functions`, with only its addresses and keys made for the test.
#[tokio::test]
async fn the_example_calls_a_function_and_starts_another() {
    let Some(host) = Host::start().await else { return };
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("azure_functions");
    copy(&root().join("deploy/examples/azure_functions"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no keys");
    for (file, key) in [("function.key", FUNCTION_KEY), ("master.key", MASTER_KEY)] {
        fs::write(folder.join("secrets").join(file), format!("{key}\n")).expect("it is ours");
    }
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("https://shop.azurewebsites.net", &*host.url),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let order = Request::json("/orders/7?code=a-callers-own", &json!({ "sku": "tea" }));
    let said = gateway.client().send(order.header("x-functions-key", "a-callers-own")).await;
    assert_eq!(said.status, 201, "{}", said.text());
    assert_eq!(said.json()["path"], "/api/orders/7?code=a-callers-own", "the key in the header counts before this one");
    let started = gateway.client().send(Request::json("/restock", &json!({ "sku": "tea" }))).await;
    assert_eq!(started.status, 202, "{}", started.text());
    assert_eq!(host.started().await, json!(["{\"sku\":\"tea\"}"]));
    gateway.stop().await;
    assert_eq!(host.lies(), "");
}
