//! The issuer's files, its port, and its tokens.

use crate::dev::{DevError, Issuer, issuer::Claims};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

pub(super) fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn key_and_port_stay_until_the_port_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Issuer::load(folder.path()).unwrap().is_none());
    let first = Issuer::load_or_create(folder.path()).unwrap();
    let (identifier, keys) = (first.identifier().to_owned(), first.jwks());
    let bound = first.bind().unwrap();
    assert_eq!(format!("http://{}", bound.address()), identifier);

    let second = Issuer::load_or_create(folder.path()).unwrap();
    assert_eq!((second.identifier(), second.jwks()), (&*identifier, keys.clone()));
    let moved = second.bind().unwrap();
    let new = moved.issuer().identifier().to_owned();
    assert_ne!(new, identifier);
    assert_eq!(new, format!("http://{}", moved.address()));
    let third = Issuer::load_or_create(folder.path()).unwrap();
    assert_eq!((third.identifier(), third.jwks()), (&*new, keys));
}

#[test]
fn the_key_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::load_or_create(folder.path()).unwrap();
    let path = folder.path().join("issuer.key");
    let pem = fs::read_to_string(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(pem.lines().all(|line| !format!("{issuer:?} {}", issuer.jwks()).contains(line)));
    assert!(issuer.jwks()["keys"][0].get("d").is_none());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(Issuer::load_or_create(folder.path()), Err(DevError::Exposed { mode: 0o604, .. })));
}

#[test]
fn files_with_something_else_in_them_are_refused_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    Issuer::load_or_create(folder.path()).unwrap();
    for port in ["", "0", "65536", "-1", "http"] {
        fs::write(folder.path().join("issuer.port"), port).unwrap();
        assert!(matches!(Issuer::load_or_create(folder.path()), Err(DevError::Content { .. })), "{port}");
    }
    fs::write(folder.path().join("issuer.port"), "4000\n").unwrap();
    fs::write(folder.path().join("issuer.key"), "nonsense").unwrap();
    assert!(matches!(Issuer::load_or_create(folder.path()), Err(DevError::Content { .. })));
}

#[test]
fn a_token_says_what_was_asked_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::load_or_create(folder.path()).unwrap();
    let mut claims = Claims::new("alice", "https://api.test");
    claims.ttl = Duration::from_secs(60);
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let token = issuer.mint_at(&claims, now).unwrap();
    assert_eq!(part(&token, 0)["typ"], "at+jwt");
    let mut said = part(&token, 1);
    assert!(said["jti"].is_string() && part(&issuer.mint_at(&claims, now).unwrap(), 1)["jti"] != said["jti"]);
    said.as_object_mut().unwrap().remove("jti");
    let expected = json!({
        "iss": issuer.identifier(), "sub": "alice", "client_id": "alice", "aud": "https://api.test",
        "iat": 1_800_000_000, "exp": 1_800_000_060,
    });
    assert_eq!(said, expected);

    claims.audiences.push("https://two.test".into());
    claims.groups = vec!["a".into()];
    claims.scopes = vec!["r".into(), "w".into()];
    claims.extra.insert("clearance".into(), json!(2));
    let said = part(&issuer.mint_at(&claims, now).unwrap(), 1);
    assert_eq!(said["aud"], json!(["https://api.test", "https://two.test"]));
    assert_eq!((&said["groups"], &said["scope"], &said["clearance"]), (&json!(["a"]), &json!("r w"), &json!(2)));
    for own in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"] {
        let mut claims = Claims::new("alice", "x");
        claims.extra.insert(own.into(), json!("mallory"));
        assert!(matches!(issuer.mint_at(&claims, now), Err(DevError::Claim(_))), "{own}");
    }
}
