//! The published suite of signatures, as the crate that signs carries it, and what must never be in a log.

use super::*;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde_json::Value;
use std::{fs, path::PathBuf, process::Command, time::Duration};

/// How many cases the suite has. Fewer were found only if it was looked for in the wrong place.
const CASES: usize = 40;

/// The folder of the suite, in the source of the crate `aws-sigv4` that this workspace is built with.
fn suite() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "aws-sigv4").unwrap();
    let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().join("aws-signing-test-suite/v4")
}

#[test]
fn every_published_signature_is_ours_too() {
    let mut cases = 0;
    for case in fs::read_dir(suite()).unwrap() {
        let folder = case.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        cases += 1;
        if !folder.join("context.json").exists() {
            // Two cases end with the canonical request: any keys do.
            canonical(&name, &read("request.txt"), &read("header-canonical-request.txt"));
            continue;
        }
        let context: Value = serde_json::from_str(&read("context.json")).unwrap();
        let text = |key: &str| context[key].as_str().unwrap().to_owned();
        let credential = |key: &str| context["credentials"][key].as_str().map(str::to_owned);
        let keys = Keys {
            id: credential("access_key_id").unwrap(),
            secret: credential("secret_access_key").unwrap().into(),
            token: credential("token").map(Into::into),
        };
        let at: jiff::Timestamp = text("timestamp").parse().unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap());
        let (region, service) = (text("region"), text("service"));
        let scope = Scope { region: &region, service: &service, at };
        let (mut request, body) = parse(&read("request.txt"));
        let form = Form {
            normalize: context["normalize"].as_bool().unwrap(),
            // No URI holds a space: these cases come encoded already, once.
            encode_again: !request.uri().path().contains("%20"),
            sign_token: context["omit_session_token"] != true,
            hash_header: context["sign_body"] != false,
        };
        sign_request(&mut request, body.as_bytes(), &keys, scope, form).unwrap_or_else(|e| panic!("{name}: {e}"));
        let authorization = request.headers()["authorization"].to_str().unwrap();
        let signature = authorization.rsplit("Signature=").next().unwrap();
        assert_eq!(signature, read("header-signature.txt").trim(), "{name}: {authorization}");
        let (expected, _) = parse(&read("header-signed-request.txt"));
        assert_eq!(request.headers(), expected.headers(), "{name}");
    }
    assert_eq!(cases, CASES);
}

/// Signs a request and compares with a signature of the canonical request that the suite has for it.
fn canonical(name: &str, text: &str, canonical: &str) {
    let at = canonical.lines().find_map(|line| line.strip_prefix("x-amz-date:")).unwrap();
    let civil = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", at).unwrap().to_datetime().unwrap();
    let seconds = jiff::tz::TimeZone::UTC.to_timestamp(civil).unwrap().as_second();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap());
    let (mut request, body) = parse(text);
    request.headers_mut().remove("x-amz-date");
    let (keys, scope) = (keys(), Scope { region: "us-east-2", service: "lambda", at: time });
    let (keys, form) = (Keys { token: None, ..keys }, Form { hash_header: false, ..Form::default() });
    sign_request(&mut request, body.as_bytes(), &keys, scope, form).unwrap();
    let hash = digest(&SHA256, canonical.trim_end().as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let (day, _) = at.split_once('T').unwrap();
    let signed = format!("AWS4-HMAC-SHA256\n{at}\n{day}/us-east-2/lambda/aws4_request\n{hash}");
    let key = v4::generate_signing_key(keys.secret.expose_secret(), time, "us-east-2", "lambda");
    let signature = v4::calculate_signature(key, signed.as_bytes());
    let authorization = request.headers()["authorization"].to_str().unwrap();
    assert_eq!(authorization.rsplit("Signature=").next().unwrap(), signature, "{name}: {authorization}");
}

#[test]
fn nothing_secret_is_in_what_is_written_or_sent() {
    let keys = keys();
    let shown = format!("{keys:?}");
    assert!(shown.contains("AKIDEXAMPLE") && !shown.contains("hidden"), "{shown}");
    let mut request = Request::post("https://x.test/").body(Full::new(Bytes::new())).unwrap();
    let scope = Scope { region: "r", service: "s", at: SystemTime::UNIX_EPOCH };
    sign_request(&mut request, b"{}", &keys, scope, Form::default()).unwrap();
    assert!(!format!("{:?}", request.headers()).contains("hidden"), "values are marked as sensitive");
    assert_eq!(request.headers()["x-amz-security-token"], "hidden-token");
}

fn keys() -> Keys {
    Keys {
        id: "AKIDEXAMPLE".into(),
        secret: "hidden-secret".to_owned().into(),
        token: Some("hidden-token".to_owned().into()),
    }
}

/// A request as the suite writes it: header lines that begin with a space go on from the line before, after one space.
fn parse(text: &str) -> (Request<Full<Bytes>>, String) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let line = lines.next().unwrap();
    let (method, rest) = line.split_once(' ').unwrap();
    let target = rest.strip_suffix(" HTTP/1.1").unwrap();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        match line.split_once(':') {
            Some((name, value)) if !line.starts_with(' ') => fields.push((name.to_owned(), value.trim().to_owned())),
            _ => {
                let (_, value) = fields.last_mut().unwrap();
                value.push(' ');
                value.push_str(line.trim());
            }
        }
    }
    let host = &fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).unwrap().1;
    let target = target.replace(' ', "%20");
    let mut request = Request::builder().method(method).uri(format!("https://{host}{target}"));
    for (name, value) in &fields {
        request = request.header(name, value);
    }
    (request.body(Full::new(Bytes::new())).unwrap(), body.to_owned())
}
