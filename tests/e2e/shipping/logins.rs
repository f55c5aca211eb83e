//! Servers that ask who we are, and show who they are.

use super::{CALLS, calls, open_shop, state, until_state, whole};
use async_nats::ConnectOptions;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};
use tests::{certificates::Certificates, latchwork, nats::Nats, project::Project, wait};

/// What must be in no log line and no answer.
const SECRET: &str = "canary-of-the-stream";

/// Secrets that configuration names, as files.
fn secret(project: &Path, text: &str) {
    let path = project.join("nats.secret");
    fs::write(&path, text).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
}

/// Records arrive at a server of this configuration by these keys of `nats`.
async fn arrive(server: &str, keys: &str, text: &str, options: impl Fn() -> ConnectOptions) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(nats) = Nats::start_with(folder.path(), -1, server).await else { return };
    let origin = tests::origin::Origin::start().await;
    let url = nats.url.clone();
    let project = Project::new()
        .anonymous()
        .audited(&format!(
            "[audit.ship.stream]\nnats = {{ url = \"{url}\", stream = \"AUDIT\", create = true, {keys} }}"
        ))
        .http("shop.order", "POST /orders", &origin.url, "")
        .permit_all();
    secret(project.folder(), text);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    calls(&gateway, 1).await;
    whole(&nats, options, &project.audit()).await;
    let log = gateway.stop().await;
    assert!(!log.contains(text.trim()), "{log}");
    nats.kill().await;
}

#[tokio::test]
async fn a_token() {
    let server = format!("authorization {{ token: \"{SECRET}\" }}");
    arrive(&server, "token = \"file:nats.secret\"", SECRET, || ConnectOptions::with_token(SECRET.into())).await;
}

#[tokio::test]
async fn an_nkey() {
    let (ours, readers) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    let users = [&ours, &readers].map(|key| format!("{{ nkey: {} }}", key.public_key())).join(", ");
    let server = format!("authorization {{ users = [{users}] }}");
    let (seed, reader) = (ours.seed().expect("a seed"), readers.seed().expect("a seed"));
    arrive(&server, "nkey = \"file:nats.secret\"", &seed, || ConnectOptions::with_nkey(reader.clone())).await;
}

#[tokio::test]
async fn a_server_that_shows_a_certificate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificates = Certificates::new();
    certificates.write(folder.path());
    let tls = "tls { cert_file: server.pem, key_file: server.key }";
    let Some(nats) = Nats::start_with(folder.path(), -1, tls).await else { return };
    let port = nats.port;
    let ship = |ca: &str| {
        format!(
            "[audit.ship.stream]\nnats = {{ url = \"tls://localhost:{port}\", stream = \"AUDIT\", create = true, ca = \"{ca}\" }}"
        )
    };
    // The project's own authority has not signed it.
    let (project, _origin, gateway) = open_shop(&ship("ca.pem")).await;
    calls(&gateway, 1).await;
    until_state(&gateway, "stream", "failing").await;
    let problem = state(&gateway, "stream").await["problem"].as_str().expect("why").to_owned();
    assert!(problem.contains("certificate"), "{problem}");
    project.write("nats-ca.pem", &certificates.ca);
    let config = project.folder().join("latchwork.toml");
    crate::examples::replace(&config, &[(&ship("ca.pem"), &ship("nats-ca.pem"))]);
    let ca = folder.path().join("ca.pem");
    let reader = || ConnectOptions::new().require_tls(true).add_root_certificates(ca.clone());
    calls(&gateway, CALLS).await;
    whole(&nats, reader, &project.audit()).await;
    gateway.stop().await;
    nats.kill().await;
}

#[tokio::test]
async fn a_wrong_password_and_a_stream_that_is_not_there_are_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let users = format!(
        "authorization {{ users = [{{ user: right, password: \"{SECRET}\" }}, {{ user: left, password: \"other\" }}] }}"
    );
    let Some(nats) = Nats::start_with(folder.path(), -1, &users).await else { return };
    let origin = tests::origin::Origin::start().await;
    let table = |name: &str, user: &str| {
        let url = &nats.url;
        format!(
            "[audit.ship.{name}]\nnats = {{ url = \"{url}\", stream = \"AUDIT\", user = \"{user}\", password = \"file:nats.secret\" }}\n"
        )
    };
    let project = Project::new()
        .anonymous()
        .audited(&[table("wrong", "left"), table("nowhere", "right")].concat())
        .http("shop.order", "POST /orders", &origin.url, "")
        .permit_all();
    secret(project.folder(), SECRET);
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    calls(&gateway, 1).await;
    for (sink, expected) in [("wrong", "authorization"), ("nowhere", "no stream")] {
        until_state(&gateway, sink, "failing").await;
        let problem = state(&gateway, sink).await["problem"].as_str().expect("why").to_owned();
        assert!(problem.to_lowercase().contains(expected), "{sink}: {problem}");
        assert!(!problem.contains(SECRET), "{problem}");
    }
    // Once it is there, everything goes.
    let reader = || ConnectOptions::with_user_and_password("right".into(), SECRET.into());
    nats.make_stream_as(reader(), "AUDIT", &["latchwork.audit.>"]).await;
    wait::until("the stream", wait::LONG, || async {
        (state(&gateway, "nowhere").await["state"] == "shipping").then_some(())
    })
    .await;
    whole(&nats, reader, &project.audit()).await;
    let log = gateway.stop().await;
    assert!(!log.contains(SECRET), "{log}");
    nats.kill().await;
}
