//! `latchwork call` as each kind of caller, over HTTP and gRPC; secrets come by reference and go nowhere else.

use crate::{
    certificates::{svid, table::authority},
    keys::key,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::{fmt::Write as _, process::Output};
use tests::{
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
};

/// Words of a call by everybody who may, and by those who may not: how it ends, and who called.
const CALLS: [(&str, i32, &str); 18] = [
    ("--key file:key", 0, "partners/acme"),
    ("--cert client.pem --cert-key client.key", 0, "spiffe://prod.test/checkout"),
    ("--cert both.pem", 0, "spiffe://prod.test/checkout"),
    ("--key file:key --cert both.pem", 0, "partners/acme"),
    ("", 2, ""),
    ("--key file:revoked", 2, ""),
    ("--token file:token", 2, ""),
    ("--cert strange.pem", 1, ""),
    ("--key plain-secret", 3, ""),
    ("--token plain-secret", 3, ""),
    ("--key file:absent", 3, ""),
    ("--key env:LATCHWORK_NOT_SET", 3, ""),
    ("--key file:other", 3, ""),
    ("--key file:token", 3, ""),
    ("--cert absent.pem", 3, ""),
    ("--cert client.pem", 3, ""),
    ("--cert-key client.key", 3, ""),
    ("--key - --data -", 3, ""),
];

async fn call(project: &Project, gateway: &Running, words: &str) -> Output {
    let folder = project.folder().to_path_buf();
    let line = format!("call shop.order --url {} --ca ca.pem --format json {words}", gateway.url);
    let call = move || latchwork::command(&folder, &line.split_whitespace().collect::<Vec<_>>());
    tokio::task::spawn_blocking(call).await.expect("the command ends")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn every_kind_of_caller_calls_over_both_fronts() {
    let origin = Origin::start().await;
    let project = Project::new();
    let (root, other) = (authority("clients"), authority("others"));
    let (chain, own) = svid("checkout", &root);
    let (strange, strange_key) = svid("checkout", &other);
    let text = |chain: &[rustls_pki_types::CertificateDer<'_>]| certificate(&chain[0]);
    for (file, text) in [
        ("clients.pem", root.pem()),
        ("client.pem", text(&chain)),
        ("client.key", own.serialize_pem()),
        ("both.pem", text(&chain) + &own.serialize_pem()),
        ("strange.pem", text(&strange) + &strange_key.serialize_pem()),
        ("token", "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl".to_owned()),
    ] {
        project.write(file, &text);
    }
    let project = project
        .client_ca("clients.pem", "")
        .identify("\"partners\"")
        .identify("\"workloads\"")
        .issuer("corp", "https://login.example.test", "algorithms = [\"ES256\"]")
        .tables("[identity.mtls.workloads]\ntrust_domain = \"prod.test\"")
        .tables("[identity.api_keys.partners]\nfile = \"keys.toml\"\nheader = \"x-partner-key\"")
        .tables("[identity.api_keys.others]\nfile = \"others.toml\"")
        .http("shop.order", "POST /orders", &origin.url, "")
        .permit_all();
    let config = project.config();
    let good = key(&project, "acme --alias partners");
    project.write("key", &format!("{good}\n"));
    project.write("other", &key(&project, "acme --alias others"));
    let revoked = key(&project, "globex --alias partners");
    project.write("revoked", &revoked);
    let output = latchwork::command(project.folder(), &["key", "revoke", "globex", "--alias", "partners"]);
    assert!(output.status.success(), "{}", said(&output));
    let gateway = latchwork::run(&config, &project.ca()).await;

    let mut wrong = Vec::new();
    for (words, expected, caller) in CALLS {
        for front in ["", "--grpc"] {
            let before = origin.seen().len();
            let data = if words.contains("--data") { "" } else { "--data {}" };
            let output = call(&project, &gateway, &format!("{words} {data} {front}")).await;
            let said = said(&output);
            let seen = origin.seen();
            let new = seen.get(before).map(|s| s.headers["latchwork-caller"].to_str().unwrap().to_owned());
            if output.status.code() != Some(expected) || new.as_deref().unwrap_or_default() != caller {
                wrong.push(format!("`{words} {front}`: {:?}, {new:?}\n{said}", output.status));
            }
            assert!(!said.contains("plain-secret") && !said.contains(&good) && !said.contains("panicked"), "{said}");
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), gateway.stderr());
    assert!(!origin.seen().iter().any(|s| s.headers.contains_key("x-partner-key")), "a key reached the backend");
    gateway.stop().await;
}

#[tokio::test]
async fn bodies_come_from_where_they_are() {
    let origin = Origin::start().await;
    let project = Project::new().anonymous().http("shop.order", "POST /orders", &origin.url, "").permit_all();
    project.write("order.json", "{\"sku\":\"tea\"}");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    for front in ["", "--grpc"] {
        for (words, body, kind) in [
            ("--data @order.json", "{\"sku\":\"tea\"}", "application/json"),
            ("--data [1]", "[1]", "application/json"),
            ("--data a,b --header content-type:text/csv", "a,b", "text/csv"),
        ] {
            let output = call(&project, &gateway, &format!("{words} -H x-tag:7 {front}")).await;
            assert_eq!(output.status.code(), Some(0), "`{words} {front}`: {}", said(&output));
            let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(answer["status"], 200, "{answer}");
            let seen = origin.seen().pop().expect("the call");
            assert_eq!((&seen.body[..], &seen.headers["x-tag"]), (body.as_bytes(), &"7".parse().unwrap()));
            assert_eq!(seen.headers["content-type"], kind, "`{words} {front}`");
        }
        let output = call(&project, &gateway, &format!("--data @absent.json {front}")).await;
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    }
    gateway.stop().await;
}

/// A certificate as PEM.
pub fn certificate(der: &[u8]) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    text + "-----END CERTIFICATE-----\n"
}
