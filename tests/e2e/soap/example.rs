//! `deploy/examples/soap` and `deploy/examples/mainframe`, with only their addresses and passwords made for the test.

use super::outcome;
use crate::examples::{copy, replace, succeeds};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tests::{
    client::Request,
    latchwork::{self, Running},
    root,
    soap::{PASSWORD, Service, zeep},
    wait,
};

/// A copy of an example, with the password.
fn example(name: &str) -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join(name);
    copy(&root().join("deploy/examples").join(name), &folder);
    fs::create_dir(folder.join("secrets")).expect("the example brings no password");
    fs::write(folder.join("secrets/password"), PASSWORD).expect("the folder is ours");
    (parent, folder)
}

async fn started(folder: &Path, service: &Service, issuer: bool) -> Running {
    let (port, issuing) = (service.port.to_string(), wait::free_port().to_string());
    let mut changes = vec![("8444", &*port), ("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:9443", "127.0.0.1:0")];
    if issuer {
        changes.push(("9400", &issuing));
    }
    replace(&folder.join("latchwork.toml"), &changes);
    succeeds(folder, &["check"]);
    succeeds(folder, &["policy", "test"]);
    latchwork::run(&folder.join("latchwork.toml"), &folder.join("no-certificate.pem")).await
}

#[tokio::test]
async fn json_becomes_messages_of_a_service() {
    let (parent, folder) = example("soap");
    // Of its own: what a test runs must leave no process behind that names the test's folder.
    let wsdl = root().join("deploy/examples/soap/orders.wsdl");
    let Some(service) = Service::node(parent.path(), &wsdl, "1.1", true).await else { return };
    let gateway = started(&folder, &service, false).await;
    let order = |customer: &str, sku: &str| json!({ "customer": customer, "line": [{ "sku": sku, "count": 2 }] });
    let placed = gateway.client().send(Request::json("/orders", &order("Zoë", "tea"))).await;
    assert_eq!((placed.status, &placed.json()["total"]), (200, &json!("12.50")), "{}", placed.text());
    let nothing = gateway.client().send(Request::json("/orders", &order("Zoë", "nothing"))).await;
    assert_eq!((nothing.status, &nothing.json()["code"]), (422, &json!("OutOfStock")), "{}", nothing.text());
    let nobody = gateway.client().send(Request::json("/orders", &order("", "tea"))).await;
    assert_eq!(nobody.status, 404, "{}", nobody.text());
    let level = gateway.client().send(Request::get("/stock/tea")).await;
    assert_eq!((level.status, level.json()), (200, json!({ "level": 3 })), "{}", level.text());
    gateway.stop().await;
}

#[tokio::test]
async fn one_url_has_a_policy_for_each_operation() {
    let (parent, folder) = example("mainframe");
    let Some(host) = Service::spyne(parent.path(), "1.1").await else { return };
    let gateway = started(&folder, &host, true).await;
    let token = |subject: &str, group: &str| {
        succeeds(&folder, &["token", "mint", "--subject", subject, "--group", group]).trim().to_owned()
    };
    let url = format!("http://{}/cics/services", gateway.listener("inside"));
    let pay =
        |cents: i64| json!({ "operation": "transfer", "input": { "source": "1", "target": "2", "cents": cents } });
    let steps = json!([{ "operation": "balance", "input": { "account": "1" } }, pay(100_000), pay(100_001)]);
    for (subject, group, expected) in [
        ("cleo", "clerks", [json!({ "answer": 12_345 }), json!("not_found"), json!("not_found")]),
        ("tom", "tellers", [json!("denied"), json!({ "answer": "100000 to 2" }), json!("denied")]),
    ] {
        let place = (url.as_str(), None);
        let said = zeep(&folder.join("host.wsdl"), place, &token(subject, group), &steps, parent.path()).await;
        let Some(said) = said else { return };
        let said: Vec<_> = said.iter().map(outcome).collect();
        assert_eq!(said, expected, "{subject}: {}", gateway.stderr());
    }
    // The message of the README, and the same under another action.
    let message = fs::read_to_string(folder.join("transfer.xml")).expect("the example's message");
    for (action, status) in [("transfer", 200), ("balance", 403)] {
        let request = Request::post("/cics/services", message.clone()).bearer(&token("tom", "tellers"));
        let action = format!("\"urn:example:host#{action}\"");
        let request = request.header("content-type", "text/xml").header("soapaction", &action);
        let said = gateway.client().send(request).await;
        assert_eq!(said.status, status, "{}", said.text());
    }
    assert_eq!(host.stdout().matches("transferred").count(), 2, "{}", host.stdout());
    gateway.stop().await;
}
