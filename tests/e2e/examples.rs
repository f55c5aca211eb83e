//! Every folder of `deploy/examples` starts and answers, with only its ports and certificates made for the test.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use tests::{
    certificates::Certificates,
    client::{Answer, Request},
    latchwork::{self, Running},
    origin::Origin,
    records, root, wait,
};

#[test]
fn every_example_is_started_by_a_test() {
    let folders = fs::read_dir(root().join("deploy/examples")).expect("the examples").flatten();
    let names: BTreeSet<String> = folders.map(|f| f.file_name().to_string_lossy().into_owned()).collect();
    // `quickstart` is what `latchwork quickstart` writes and serves: see `quickstart.rs`; `sidecar` has `sidecar.rs`, and
    // each provider the file of its name (`aws_lambda`: `aws_lambda_service.rs`, `fn` and `oracle_functions`:
    // `fn_project.rs`), and `shipping`, `tcp`, `soap` and `mainframe` (`soap.rs`), `two_clouds`, `warm` and `transcoding` (`transcode`) their own.
    let all = [
        "aws_lambda",
        "azure_functions",
        "cloudevents",
        "fn",
        "google_functions",
        "kafka",
        "kinesis",
        "knative",
        "legacy",
        "local_host",
        "mainframe",
        "nats",
        "openfaas",
        "openwhisk",
        "oracle_functions",
        "pubsub",
        "quickstart",
        "shipping",
        "sidecar",
        "soap",
        "tcp",
        "transcoding",
        "two_clouds",
        "warm",
    ];
    assert_eq!(names, BTreeSet::from(all.map(str::to_owned)));
}

#[tokio::test]
async fn a_service_that_was_there_before() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("legacy");
    copy(&root().join("deploy/examples/legacy"), &folder);
    let certificates = Certificates::new();
    let service = Origin::start_tls(&certificates).await;
    fs::create_dir(folder.join("tls")).expect("the example brings no certificates");
    fs::write(folder.join("tls/inventory-ca.pem"), &certificates.ca).expect("the folder is ours");
    fs::write(folder.join("inventory-password"), "open-sesame\n").expect("the folder is ours");
    let port = service.url.rsplit(':').next().expect("a port").to_owned();
    replace(&folder.join("catalog/inventory.toml"), &[("8444", &port)]);
    let issuer = wait::free_port().to_string();
    replace(
        &folder.join("latchwork.toml"),
        &[("127.0.0.1:8080", "127.0.0.1:0"), ("9400", &issuer), ("127.0.0.1:9443", "127.0.0.1:0")],
    );

    succeeds(&folder, &["check"]);
    succeeds(&folder, &["policy", "test"]);
    crate::scenarios::judged_by_the_printed_schema(&folder);
    let gateway = latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await;
    let read = gateway.client().send(Request::get("/items/42")).await;
    assert_eq!(read.status, 200, "anybody may read: {}", read.text());
    assert_eq!(service.seen()[0].path, "/inventory/42");

    let kim = token(&folder, "kim", "keepers");
    let written = put(&gateway, &kim).await;
    let weekday = records::of_call(&folder.join("audit"), &written.call_id())[0]["facts"]["clock"]["weekday"].as_i64();
    let expected = if weekday.expect("a weekday") < 6 { 200 } else { 403 };
    assert_eq!(written.status, expected, "keepers may write on working days: {}", written.text());
    let vera = token(&folder, "vera", "visitors");
    assert_eq!(put(&gateway, &vera).await.status, 404, "visitors are not told what they may not do");
    assert_eq!(gateway.client().send(delete(&kim)).await.status, 403, "keepers are told that they may not remove");
    assert_eq!(gateway.client().send(Request::put("/items/42", "x")).await.status, 404, "nor is anybody");

    let seen = service.seen().len();
    assert_eq!(seen, if expected == 200 { 2 } else { 1 }, "{:?}", service.seen());
    if let Some(written) = service.seen().get(1) {
        // `front-door:open-sesame`, and nothing of Kim's token.
        assert_eq!(written.headers["authorization"], "Basic ZnJvbnQtZG9vcjpvcGVuLXNlc2FtZQ==");
    }
    gateway.stop().await;
}

async fn put(gateway: &Running, token: &str) -> Answer {
    gateway.client().send(Request::put("/items/42", "blue").bearer(token)).await
}

fn delete(token: &str) -> Request {
    Request::new(http::Method::DELETE, "/items/42", "").bearer(token)
}

/// A token of the development issuer, as its command prints it.
fn token(folder: &Path, subject: &str, group: &str) -> String {
    succeeds(folder, &["token", "mint", "--subject", subject, "--group", group]).trim().to_owned()
}

pub fn succeeds(folder: &Path, words: &[&str]) -> String {
    let config = [words, &["-c", "latchwork.toml"]].concat();
    let output = latchwork::command(folder, &config);
    assert!(output.status.success(), "`latchwork {}`: {output:?}", words.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn replace(file: &Path, changes: &[(&str, &str)]) {
    let mut text = fs::read_to_string(file).expect("a file of the example");
    for (old, new) in changes {
        assert!(text.contains(old), "`{}` has no `{old}`", file.display());
        text = text.replace(old, new);
    }
    fs::write(file, text).expect("the folder is ours");
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder is ours");
    for entry in fs::read_dir(from).expect("a folder of the example").flatten() {
        let (from, to): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("the folder is ours");
        }
    }
}
