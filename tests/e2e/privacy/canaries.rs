//! Secrets in more than fifty places, none of which may be found in anything that the gateway writes, at any level.

use super::everything;
use crate::{
    certificates::{showing, table::authority},
    keys::key,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use places::{Secrets, hostile};
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tests::{
    client::{Client, Request},
    collector::Collector,
    lambda,
    latchwork::{self, Running},
    project::Project,
    raw::Raw,
    wait,
};

mod places;

/// So many there must be.
const PLACES_MIN: usize = 50;

const POLICY: &str = r#"@id("orders")
permit (principal, action == Action::"shop.order", resource)
when { context.input.note != "" && context.input.iban != "" && context.input.address.street != "" && context.input.drop != "" }
unless { context.input has rate && context.input.rate * 9000000000 > 9000000000000000000 };
@id("others")
permit (principal, action in [Action::"shop.hostile", Action::"shop.run", Action::"shop.signed", Action::"shop.path", Action::"shop.call"], resource);
@id("hooks")
permit (principal, action == Action::"shop.hook", resource) when { context.input.note != "" };"#;

const FIELDS: &str = r#"hash_key = "file:audit.hash"
[audit.fields]
"/input/iban" = "hmac"
"/input/address" = "encrypted"
"/input/drop" = "drop"
"/input/rate" = "hmac"
"/path/iban" = "hmac"
"/query/q" = "drop"
"#;

fn project(secrets: &mut Secrets, hostile: &str, collector: &str) -> Project {
    let text = json!({ "type": "string" });
    let schema = json!({
        "type": "object", "required": ["note", "iban", "address", "drop"],
        "properties": {
            "note": text, "iban": text, "drop": text, "more": text, "password": text, "pin": text, "rate": { "type": "integer" },
            "address": { "type": "object", "required": ["street"], "properties": { "street": text } },
            "nested": { "type": "object", "properties": { "client_secret": text } },
            "tokens": { "type": "array", "items": text },
        },
    });
    let project = Project::new();
    let auditor = super::run(&project, "audit key auditor auditor.key", 0);
    let function = lambda::rust();
    let environment = format!("environment = {{ SECRET = \"{}\" }}", secrets.put("a function's environment"));
    let signed = format!(
        "aws_lambda = {{ function = \"f\", region = \"us-east-1\", endpoint = \"{hostile}\", credentials = \
         {{ access_key = \"file:id\", secret_key = \"file:aws.secret\", session_token = \"file:session.secret\" }} }}"
    );
    let mut project = project
        .schema("order.json", &schema)
        .audited(&format!("auditor = \"{}\"\n{FIELDS}", auditor.trim()))
        .tables("[identity.api_keys.partners]\nfile = \"keys.toml\"")
        .tables("[identity.webhook.code]\nform = \"github\"\nclient = \"github\"\nsecret = \"file:hook.secret\"")
        .tables(&format!(
            "[telemetry]\nendpoint = \"{collector}\"\ninterval = \"200ms\"\nheaders = {{ authorization = \"file:otlp.secret\" }}"
        ))
        .identify("\"partners\"")
        .identify("\"code\"")
        .identify("\"workloads\"")
        .tables("[identity.mtls.workloads]\ntrust_domain = \"prod.test\"")
        .client_ca("clients.pem", ", client_auth = \"optional\"")
        .anonymous()
        .http("shop.order", "POST /orders", hostile, "input = \"schemas/order.json\"")
        .http("shop.hook", "POST /hook", hostile, "input = \"schemas/order.json\"")
        .http("shop.hostile", "/hostile/{*rest}", hostile, "timeout = \"3s\"\nforward_headers = [\"cookie\"]")
        .http("shop.path", "GET /path/{iban}", hostile, "query = { q = \"string\" }")
        .function("shop.call", "grpc shop.v1.Orders/Create", &format!("grpc = {{ url = \"{hostile}\" }}"), "")
        .function("shop.signed", "POST /signed", &signed, "")
        .policy(POLICY);
    if let Some(function) = function {
        project = project.process("shop.run", "POST /run", &function, &environment, "");
    }
    // The id of an access key is no secret.
    project.write("id", "AKIAEXAMPLE\n");
    for (file, what) in [
        ("otlp.secret", "the credential for a collector"),
        ("hook.secret", "the secret of webhooks"),
        ("aws.secret", "an access key"),
        ("session.secret", "a session token"),
    ] {
        let secret = secrets.put(what);
        project.write(file, &if file == "otlp.secret" { format!("Bearer {secret}\n") } else { format!("{secret}\n") });
        fs::set_permissions(project.folder().join(file), fs::Permissions::from_mode(0o600)).expect("the file is ours");
    }
    project
}

/// Every file below a folder, with what is in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap_or_default());
        }
    }
    found
}

/// A certificate that nobody vouches for, with a secret in its name.
fn stranger(gateway: &Running, secret: &str) -> Client {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, secret);
    let key = KeyPair::generate().expect("there is randomness");
    let made = params.self_signed(&key).expect("it can be signed");
    showing(gateway, &[made.der().clone()], &key)
}

/// The inside of a PEM file.
fn pem(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("the file is ours");
    text.lines().find(|line| line.len() > 40 && !line.starts_with('-')).expect("a line of base64").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_found_in_anything_that_is_written() {
    let mut secrets = Secrets::default();
    let collector = Collector::start().await;
    let (hostile, _server) = hostile(&mut secrets).await;
    let project = project(&mut secrets, &hostile, &collector.url);
    project.write("clients.pem", &authority("clients").pem());
    project.config();
    let own = key(&project, "acme");
    super::run(&project, "audit key hash", 0);
    secrets.take("an API key", own.rsplit('_').next().expect("a secret part"));
    secrets.take("a server's private key", &pem(&project.folder().join("server.key")));
    for (file, what) in [("audit.hash", "the key of hashes"), ("auditor.key", "the auditor's key")] {
        let text = fs::read_to_string(project.folder().join(file)).expect("the file is ours");
        secrets.take(what, text.trim().rsplit(' ').next().expect("a secret part"));
    }
    let before = files(project.folder());
    let level = ["env", "LATCHWORK_LOG=trace"];
    let gateway = latchwork::run_under(&level, &project.folder().join("latchwork.toml"), &project.ca()).await;

    let mut calls = Vec::new();
    for (_, request) in secrets.requests(&own) {
        for client in [gateway.client(), gateway.client().http2()] {
            match client.try_send(request.clone()).await {
                Ok(answer) if answer.headers.contains_key("latchwork-call-id") => calls.push(answer.call_id()),
                // A caller that is hung up on has been heard all the same.
                Ok(_) | Err(_) => {}
            }
        }
    }
    for bytes in secrets.raw_requests() {
        drop(Raw::exchange(&gateway.client(), bytes.as_bytes()).await);
    }
    let certificate = secrets.put("a stranger's certificate");
    drop(stranger(&gateway, &certificate).try_send(Request::get("/path/1")).await);
    for request in secrets.administrative() {
        drop(gateway.admin().try_send(request).await);
    }
    let metrics = gateway.metrics().await;
    let last = calls.last().expect("some calls were answered").clone();
    let taken = wait::until("telemetry", wait::LONG, || {
        let mut taken = collector.taken();
        // They have the collector's own credential.
        taken.headers.clear();
        let said = format!("{taken:?}");
        std::future::ready((said.contains(&last) && said.contains("shop.order")).then_some(said))
    })
    .await;
    let (stderr, audit) = (gateway.stderr(), project.audit());
    gateway.stop().await;

    let mut log = Vec::new();
    everything(&audit, &mut log);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // What is expected is found, so that what is not found is not there.
    let plain = secrets.control();
    for (what, said, expected) in [
        ("the audit log", &text(&log), plain.as_str()),
        ("the lines", &stderr, last.as_str()),
        ("the lines", &stderr, "\"TRACE\""),
        ("the metrics", &metrics, "shop.order"),
    ] {
        assert!(said.contains(expected), "`{expected}` is not in {what}");
    }
    let mut searched: Vec<(String, String)> =
        vec![("metrics".into(), metrics), ("telemetry".into(), taken), ("lines".into(), stderr)];
    for (path, bytes) in files(project.folder()) {
        if before.get(&path) != Some(&bytes) {
            searched.push((path.display().to_string(), text(&bytes)));
        }
    }
    assert!(searched.iter().any(|(path, _)| path.ends_with(".jsonl")) && searched.len() > 6, "{}", searched.len());
    let found = secrets.found(&searched);
    assert!(secrets.len() >= PLACES_MIN, "{} places", secrets.len());
    assert!(found.is_empty(), "{} of {}:\n{}", found.len(), secrets.len(), found.join("\n"));
    assert!(!searched.iter().any(|(_, said)| said.contains("panicked at")), "something panicked");
}

/// As a header of basic authentication has it.
fn basic(secret: &str) -> String {
    STANDARD.encode(format!("user:{secret}"))
}
