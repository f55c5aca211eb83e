//! Servers that ask who publishes, and show who they are.

use super::PASSWORD;
use async_nats::ConnectOptions;
use serde_json::json;
use std::fs;
use tests::{certificates::Certificates, client::Request, latchwork, nats::Nats, project::Project, wait};

/// A project that publishes with these keys of `nats`.
fn publisher(url: &str, keys: &str) -> Project {
    let target = format!("nats = {{ url = \"{url}\", subject = \"orders.a\", {keys} }}");
    Project::new().anonymous().function("shop.order", "POST /orders", &target, "").permit_all()
}

/// A record is kept by a server of this configuration, by these keys.
async fn kept(server: &str, keys: &str, secret: &str, options: impl Fn() -> ConnectOptions) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(nats) = Nats::start_with(folder.path(), -1, server).await else { return };
    nats.make_stream_as(options(), "ORDERS", &["orders.>"]).await;
    let project = publisher(&nats.url, keys);
    project.write("secret", secret);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let said = gateway.client().send(Request::json("/orders", &json!({ "a": 1 }))).await;
    assert_eq!(said.status, 202, "{}\n{}", said.text(), gateway.stderr());
    assert_eq!(nats.messages(options(), "ORDERS").await.len(), 1);
    assert!(!gateway.stop().await.contains(secret));
    nats.kill().await;
}

#[tokio::test]
async fn a_token() {
    let server = format!("authorization {{ token: \"{PASSWORD}\" }}");
    kept(&server, "token = \"file:secret\"", PASSWORD, || ConnectOptions::with_token(PASSWORD.into())).await;
}

#[tokio::test]
async fn an_nkey() {
    let (ours, readers) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    let users = [&ours, &readers].map(|key| format!("{{ nkey: {} }}", key.public_key())).join(", ");
    let server = format!("authorization {{ users = [{users}] }}");
    let (seed, reader) = (ours.seed().expect("a seed"), readers.seed().expect("a seed"));
    kept(&server, "nkey = \"file:secret\"", &seed, || ConnectOptions::with_nkey(reader.clone())).await;
}

#[tokio::test]
async fn a_password_that_changes_counts_from_the_next_call() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let users = format!("authorization {{ users = [{{ user: all, password: \"{PASSWORD}\" }}] }}");
    let Some(nats) = Nats::start_with(folder.path(), -1, &users).await else { return };
    let all = || ConnectOptions::with_user_and_password("all".into(), PASSWORD.into());
    nats.make_stream_as(all(), "ORDERS", &["orders.>"]).await;
    let project = publisher(&nats.url, "user = \"all\", password = \"file:secret\"");
    project.write("secret", "another-password");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let order = async || gateway.client().send(Request::json("/orders", &json!({ "a": 1 }))).await;
    assert_eq!(order().await.status, 502);
    project.write("secret", PASSWORD);
    wait::until("the password", wait::LONG, || async { (order().await.status == 202).then_some(()) }).await;
    project.write("secret", "another-password-again");
    assert_eq!(order().await.status, 502, "what was connected with the old one is not used on");
    let log = gateway.stop().await;
    assert!(!log.contains(PASSWORD) && !log.contains("another-password"), "{log}");
    nats.kill().await;
}

#[tokio::test]
async fn a_server_that_shows_a_certificate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificates = Certificates::new();
    certificates.write(folder.path());
    let tls = "tls { cert_file: server.pem, key_file: server.key }";
    let Some(nats) = Nats::start_with(folder.path(), -1, tls).await else { return };
    let ca = folder.path().join("ca.pem");
    let reader = || ConnectOptions::new().require_tls(true).add_root_certificates(ca.clone());
    nats.make_stream_as(reader(), "ORDERS", &["orders.>"]).await;
    let url = format!("tls://localhost:{}", nats.port);
    // Of the second, the project's own authority has not signed the certificate.
    for (authority, status) in [(fs::read_to_string(&ca).expect("an authority"), 202), (Certificates::new().ca, 502)] {
        let project = publisher(&url, "ca = \"nats-ca.pem\"");
        project.write("nats-ca.pem", &authority);
        let gateway = latchwork::run(&project.config(), &project.ca()).await;
        let said = gateway.client().send(Request::json("/orders", &json!({ "a": 1 }))).await;
        assert_eq!(said.status, status, "{}\n{}", said.text(), gateway.stderr());
        gateway.stop().await;
    }
    nats.kill().await;
}
