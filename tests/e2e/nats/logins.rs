//! Servers that ask who publishes, and show who they are.

use super::PASSWORD;
use async_nats::ConnectOptions;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::StreamExt;
use nkeys::KeyPair;
use serde_json::{Value, json};
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
    let (ours, readers) = (KeyPair::new_user(), KeyPair::new_user());
    let users = [&ours, &readers].map(|key| format!("{{ nkey: {} }}", key.public_key())).join(", ");
    let server = format!("authorization {{ users = [{users}] }}");
    let (seed, reader) = (ours.seed().expect("a seed"), readers.seed().expect("a seed"));
    kept(&server, "nkey = \"file:secret\"", &seed, || ConnectOptions::with_nkey(reader.clone())).await;
}

/// A claim as the project's tools write it: a JWT that an NKey has signed.
fn claim(issuer: &KeyPair, subject: &KeyPair, said: Value) -> String {
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let (iss, sub) = (issuer.public_key(), subject.public_key());
    let body = json!({ "jti": "test", "iat": 1_700_000_000, "iss": iss, "sub": sub, "name": "test", "nats": said });
    let text = [head, body].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = issuer.sign(text.as_bytes()).expect("a signature");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_credentials_file() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
    });
    let of_operator = claim(&operator, &operator, json!({ "type": "operator", "version": 2 }));
    let of_account = claim(&operator, &account, json!({ "type": "account", "version": 2, "limits": limits }));
    let all = json!({ "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1 });
    let of_user = claim(&account, &user, all);
    let seed = user.seed().expect("a seed");
    let credentials = format!(
        "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    let known = account.public_key();
    let server = format!(
        "listen: \"127.0.0.1:-1\"\noperator: {of_operator}\nresolver: MEMORY\nresolver_preload {{ {known}: {of_account} }}"
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(nats) = Nats::start_as(folder.path(), &server, &[]).await else { return };
    let options = ConnectOptions::with_credentials(&credentials).expect("a credentials file");
    let answers = options.connect(&nats.url).await.expect("the server takes clients");
    let mut asked = answers.subscribe("orders.a").await.expect("a subscription");
    answers.flush().await.expect("the server knows of it");
    tokio::spawn(async move {
        while let Some(message) = asked.next().await {
            answers.publish(message.reply.expect("a reply subject"), "yes".into()).await.expect("the server takes it");
        }
    });
    let project = publisher(&nats.url, "call = \"request\", credentials = \"file:secret\"");
    project.write("secret", &credentials);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    let said = gateway.client().send(Request::json("/orders", &json!({ "a": 1 }))).await;
    assert_eq!((said.status, said.text().as_str()), (200, "yes"), "{}", gateway.stderr());
    assert!(!gateway.stop().await.contains(&seed));
    nats.kill().await;
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
