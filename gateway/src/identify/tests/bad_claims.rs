//! Well-signed tokens whose claims are wrong: none counts.

use super::{
    keys::P256,
    rig::{NOW, Rig, header, with},
};
use crate::identify::{CredentialError, Fault, Fault::*};
use serde_json::{Value, json};

#[tokio::test]
async fn none_counts() {
    let rig = Rig::start().await;
    let cases: Vec<(&str, Value, Fault)> =
        dates().into_iter().chain(parties(&rig.server.identifier)).chain(contents()).collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    for (claim, value, fault) in cases {
        let token = P256.token(&header(&P256), &with(&rig.claims(), claim, value.clone()));
        // Twice, so that nothing bad is ever remembered as good.
        for _ in 0..2 {
            assert_eq!(rig.check(&token).await, Err(CredentialError::Invalid(fault)), "{claim}: {value}");
        }
    }
    assert_eq!(rig.identify.stats()[0].tokens_verified, 0);
}

#[tokio::test]
async fn texts_that_are_no_json_of_ours_do_not_count() {
    let rig = Rig::start().await;
    let good = rig.claims().to_string();
    let open = good.strip_suffix('}').unwrap();
    let cases = [
        format!("{open},\"exp\":{}}}", NOW + 300),
        format!("{open},\"sub\":\"alice\"}}"),
        format!("{open},\"\\u0073ub\":\"mallory\"}}"),
        format!("{open},\"x\":{{\"a\":1,\"a\":2}}}}"),
        format!("{open},\"x\":1e999}}"),
        format!("{open},\"x\":\"\\ud800\"}}"),
        format!("{good} {good}"),
        format!("[{good}]"),
        format!("\u{feff}{good}"),
        format!("{open},}}"),
        open.to_owned(),
        "null".to_owned(),
        "\"text\"".to_owned(),
        "{".repeat(300),
        format!("{open},\"x\":{}{}}}", "[".repeat(200), "]".repeat(200)),
    ];
    for claims in cases {
        let token = P256.raw(&header(&P256).to_string(), &claims);
        assert_eq!(rig.check(&token).await, Err(Json.into()), "{claims}");
    }
}

fn dates() -> Vec<(&'static str, Value, Fault)> {
    let mut cases = vec![
        ("exp", json!(NOW - 30), Expired),
        ("exp", json!(NOW - 31), Expired),
        ("exp", json!(0), Expired),
        ("exp", json!(NOW as f64 - 30.5), Expired),
        ("exp", Value::Null, ExpiryMissing),
        ("nbf", json!(NOW + 31), NotYet),
        ("nbf", json!(NOW as f64 + 30.5), NotYet),
        ("iat", json!(NOW + 31), IssuedLater),
    ];
    let no_dates = [
        json!((NOW + 300).to_string()),
        json!(-1),
        json!(-1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(253_402_207_201_i64),
        json!(true),
        json!([NOW + 300]),
        json!({ "a": 1 }),
    ];
    for name in ["exp", "nbf", "iat"] {
        cases.extend(no_dates.iter().map(|date| (name, date.clone(), Date)));
    }
    cases.push(("auth_time", json!("x"), Date));
    cases
}

fn parties(identifier: &str) -> Vec<(&'static str, Value, Fault)> {
    vec![
        ("iss", Value::Null, Issuer),
        ("iss", json!(1), Issuer),
        ("iss", json!([identifier]), Issuer),
        ("iss", json!(""), Issuer),
        ("iss", json!("https://evil.test"), Issuer),
        ("iss", json!(format!("{identifier}/")), Issuer),
        ("iss", json!(format!(" {identifier}")), Issuer),
        ("iss", json!(format!("{identifier}\u{0}")), Issuer),
        ("iss", json!(identifier.to_uppercase()), Issuer),
        ("iss", json!(identifier.replace("127.0.0.1", "localhost")), Issuer),
        ("aud", Value::Null, Audience),
        ("aud", json!("https://other.test"), Audience),
        ("aud", json!("https://api.test/"), Audience),
        ("aud", json!("https://API.test"), Audience),
        ("aud", json!("https://api.test https://other.test"), Audience),
        ("aud", json!(["https://other.test"]), Audience),
        ("aud", json!([]), Audience),
        ("aud", json!(["https://api.test", 1]), Audience),
        ("aud", json!([["https://api.test"]]), Audience),
        ("aud", json!({ "https://api.test": true }), Audience),
        ("aud", json!(1), Audience),
        ("sub", Value::Null, Subject),
        ("sub", json!(""), Subject),
        ("sub", json!(7), Subject),
        ("sub", json!(["alice"]), Subject),
        ("sub", json!("s".repeat(256)), Subject),
        ("sub", json!("al\nice"), Subject),
        ("sub", json!("alice\u{0}"), Subject),
        ("sub", json!("alice\u{7f}"), Subject),
        ("sub", json!("al\u{85}ice"), Subject),
    ]
}

fn contents() -> Vec<(&'static str, Value, Fault)> {
    vec![
        ("cnf", json!({ "jkt": "abc" }), SenderBound),
        ("cnf", json!({}), SenderBound),
        ("groups", json!("buyers"), Groups),
        ("groups", json!({ "buyers": true }), Groups),
        ("groups", json!(["buyers", 1]), Groups),
        ("groups", json!(["buyers", ""]), Groups),
        ("groups", json!(["buyers", "a\u{0}b"]), Groups),
        ("groups", json!(["g".repeat(256)]), Groups),
        ("groups", json!(vec!["buyers"; 201]), GroupsTooMany),
        ("tenant", json!(1), Attribute),
        ("tenant", json!(""), Attribute),
        ("clearance", json!("3"), Attribute),
        ("clearance", json!(2.5), Attribute),
        ("clearance", json!(u64::MAX), Attribute),
        ("employed", json!("true"), Attribute),
        ("employed", json!(1), Attribute),
        ("tier", json!(["pro"]), Attribute),
        ("scope", json!(1), Claim),
        ("scope", json!(["a", 1]), Claim),
        ("scp", json!({ "a": 1 }), Claim),
        ("acr", json!(1), Claim),
        ("amr", json!("pwd"), Claim),
        ("amr", json!([1]), Claim),
    ]
}

#[tokio::test]
async fn groups_that_are_kept_elsewhere_are_not_taken_for_none() {
    let rig = Rig::start().await;
    let claims = with(&rig.claims(), "groups", Value::Null);
    let claims = with(&claims, "_claim_names", json!({ "groups": "src1" }));
    assert_eq!(rig.check(&P256.token(&header(&P256), &claims)).await, Err(GroupsElsewhere.into()));
}
