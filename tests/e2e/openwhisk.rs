//! Actions behind `openwhisk`: a host of our own that takes what the interface's source takes, and refuses the rest.

use crate::examples::{copy, replace, succeeds};
use serde_json::{Value, json};
use std::{fs, process::Command};
use tempfile::TempDir;
use tests::{child::Child, client::Request, fetch, latchwork, project::Project, root, scripts, wait};

/// A running host.
struct Host {
    url: String,
    child: Child,
    // Of its own: what a test runs must leave no process behind that names the test's.
    _folder: TempDir,
}

impl Host {
    async fn start() -> Option<Self> {
        let python = fetch::program("python3")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(python);
        command.arg(scripts().join("openwhisk_host.py")).args(["uuid:the-key", "the-secret"]);
        let mut child = Child::start("openwhisk-host", &command, folder.path());
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let url = ready["url"].as_str().expect("an address").to_owned();
        Some(Self { url, child, _folder: folder })
    }
}

#[tokio::test]
async fn what_the_host_or_an_action_refuses_is_told_apart() {
    let Some(host) = Host::start().await else { return };
    let action = |name: &str, more: &str| {
        let at = format!("endpoint = \"{}\", action = \"{name}\"", host.url);
        format!("openwhisk = {{ {at}, {more} }}")
    };
    let key = "key = \"file:key\"";
    let web = |key: &str| format!("namespace = \"guest\", call = \"web\", key = \"file:{key}\"");
    let project = Project::new()
        .anonymous()
        .function("shop.echo", "POST /echo", &action("shop/echo", key), "request_bytes_max = 2000000")
        .function("shop.busy", "POST /busy", &action("shop/busy", key), "")
        .function("shop.never", "POST /never", &action("shop/never", key), "timeout = \"2s\"")
        .function("shop.large", "POST /large", &action("shop/large", key), "response_bytes_max = 100000")
        .function("shop.absent", "POST /absent", &action("shop/absent", key), "")
        .function("shop.wrong", "POST /wrong", &action("shop/echo", "key = \"file:wrong\""), "")
        .function("shop.bytes", "POST /bytes", &action("bytes", &web("secret")), "")
        .function("shop.fail", "POST /fail", &action("fail", &web("secret")), "")
        .function("shop.stuck", "POST /stuck", &action("silent", &web("secret")), "timeout = \"2s\"")
        .function("shop.stranger", "POST /stranger", &action("describe", &web("wrong")), "")
        .permit_all();
    for (file, text) in [("key", "uuid:the-key"), ("secret", "the-secret"), ("wrong", "uuid:another-key")] {
        project.write(file, text);
    }
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let bytes = Request::post("/bytes", (0..=255).collect::<Vec<u8>>()).header("content-type", "image/png");
    let same = gateway.client().send(bytes).await;
    assert_eq!((same.status, same.header("content-type")), (200, "image/png"), "{}", gateway.stderr());
    assert_eq!(same.body, (0..=255).collect::<Vec<u8>>());
    for (path, status) in [
        ("/echo", 200),
        ("/busy", 503),
        ("/never", 504),
        ("/large", 502),
        ("/absent", 502),
        ("/wrong", 502),
        ("/fail", 502),
        ("/stuck", 504),
        ("/stranger", 502),
    ] {
        let said = gateway.client().send(Request::json(path, &json!({ "count": 2 }))).await;
        assert_eq!(said.status, status, "{path}: {}\n{}", said.text(), gateway.stderr());
        for words in ["inside", "Too many", "does not exist", "authentication"] {
            assert!(!said.text().contains(words), "what the host says stays with it: {}", said.text());
        }
    }
    let large = gateway.client().send(Request::json("/echo", &json!({ "text": "x".repeat(1_100_000) }))).await;
    assert_eq!(large.status, 413, "{}", large.text());
    let log = gateway.stop().await;
    assert!(log.contains("refused the call: 401") && !log.contains("another-key"), "{log}");
    let refused = host.child.stderr();
    assert_eq!(
        refused.lines().count(),
        2,
        "another key and another secret, and nothing else that is not so: {refused}"
    );
}

/// `deploy/examples/openwhisk`, with only its addresses and keys made for the test.
#[tokio::test]
async fn the_example_calls_follows_starts_and_asks_for_actions() {
    let Some(host) = Host::start().await else { return };
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("openwhisk");
    copy(&root().join("deploy/examples/openwhisk"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no keys");
    for (file, text) in [("namespace.key", "uuid:the-key"), ("web.secret", "the-secret\n")] {
        fs::write(folder.join("secrets").join(file), text).expect("the folder is ours");
    }
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("https://openwhisk.example", &*host.url),
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
        ],
    );
    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let send = async |path: &str| {
        let request = Request::json(path, &json!({ "count": 2 })).header("x-require-whisk-auth", "a-callers-own");
        gateway.client().send(request).await
    };
    let said = send("/echo/7?tag=a&tag=b").await;
    assert_eq!(said.status, 200, "{}\n{}", said.text(), host.child.stderr());
    let expected = json!({ "name": "shop/echo", "parameters": { "tag": ["a", "b"], "id": "7", "count": 2 } });
    assert_eq!(said.json(), expected);
    let late = send("/slow").await;
    assert_eq!((late.status, late.json()), (200, json!({ "late": true })), "followed until it was done");
    assert_eq!(send("/start").await.status, 202);
    let web = send("/things/tea?a=1").await;
    let expected = json!({ "method": "post", "path": "/items/tea", "query": "a=1", "body": "{\"count\":2}" });
    assert_eq!((web.status, web.json()), (201, expected), "{}", host.child.stderr());
    assert!(web.headers.get("x-openwhisk-activation-id").is_none(), "the platform's names stay with it");
    let failed = send("/fail").await;
    assert_eq!(failed.status, 502, "{}", failed.text());
    assert!(!failed.text().contains("inside"), "what went wrong inside stays inside: {}", failed.text());
    assert_eq!(host.child.stderr(), "", "the host was told nothing that is not so");
    let log = gateway.stop().await;
    assert!(log.contains("action developer error") && !log.contains("the-key"), "{log}");
}
