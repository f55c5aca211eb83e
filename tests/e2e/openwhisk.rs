//! Actions behind `openwhisk`: a host of our own that takes what the interface's source takes, and refuses the rest.

use crate::examples::{copy, replace, succeeds};
use serde_json::{Value, json};
use std::{fs, process::Command};
use tests::{child::Child, client::Request, fetch, latchwork, root, scripts, wait};

/// `deploy/examples/openwhisk`, with only its addresses and keys made for the test.
#[tokio::test]
async fn the_example_calls_follows_starts_and_asks_for_actions() {
    let Some(python) = fetch::program("python3") else { return };
    let parent = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(python);
    command.arg(scripts().join("openwhisk_host.py")).args(["uuid:the-key", "the-secret"]);
    let mut host = Child::start("openwhisk-host", &command, parent.path());
    let ready = host.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;

    let folder = parent.path().join("openwhisk");
    copy(&root().join("deploy/examples/openwhisk"), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no keys");
    for (file, text) in [("namespace.key", "uuid:the-key"), ("web.secret", "the-secret\n")] {
        fs::write(folder.join("secrets").join(file), text).expect("the folder is ours");
    }
    replace(
        &folder.join("latchwork.toml"),
        &[
            ("https://openwhisk.example", ready["url"].as_str().expect("an address")),
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
    assert_eq!(said.status, 200, "{}\n{}", said.text(), host.stderr());
    let expected = json!({ "name": "shop/echo", "parameters": { "tag": ["a", "b"], "id": "7", "count": 2 } });
    assert_eq!(said.json(), expected);
    let late = send("/slow").await;
    assert_eq!((late.status, late.json()), (200, json!({ "late": true })), "followed until it was done");
    assert_eq!(send("/start").await.status, 202);
    let web = send("/things/tea?a=1").await;
    let expected = json!({ "method": "post", "path": "/items/tea", "query": "a=1", "body": "{\"count\":2}" });
    assert_eq!((web.status, web.json()), (201, expected), "{}", host.stderr());
    assert!(web.headers.get("x-openwhisk-activation-id").is_none(), "the platform's names stay with it");
    let failed = send("/fail").await;
    assert_eq!(failed.status, 502, "{}", failed.text());
    assert!(!failed.text().contains("inside"), "what went wrong inside stays inside: {}", failed.text());
    assert_eq!(host.stderr(), "", "the host was told nothing that is not so");
    let log = gateway.stop().await;
    assert!(log.contains("action developer error") && !log.contains("the-key"), "{log}");
}
