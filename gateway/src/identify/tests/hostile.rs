//! Bytes that nobody chose: nothing that was changed counts, and nothing makes the gateway stumble.

use super::{
    keys::{ED25519, P256, P384, set},
    rig::{AUDIENCE, NOW, issuer},
};
use crate::identify::{
    jwks::{choose, parse},
    jwt::{Unverified, claims, subject},
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

const ISSUER: &str = "http://127.0.0.1:1";

/// All that is checked of a token when the keys are there.
fn accepts(token: &str) -> bool {
    let config = issuer(ISSUER);
    let keys = parse("corp", set(&[&P256, &P384, &ED25519]).as_bytes()).unwrap();
    let now = Timestamp::from_second(NOW).unwrap();
    let check = || {
        let token = Unverified::read(token).ok()?;
        crate::identify::choose(std::iter::once(&config), |config| config, &token).ok()?;
        let header = token.header(&config.algorithms).ok()?;
        let admitted = claims::admit(&token.claims, &config, now).ok()?;
        let key = choose(&keys, header.kid.as_deref(), header.algorithm).ok()?;
        token.verify(header.algorithm, key.decoding()).ok()?;
        subject::identity(&token.claims, admitted, &config).ok()
    };
    check().is_some()
}

fn good() -> Vec<String> {
    let claims = json!({ "iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": NOW + 300 });
    [&*P256, &*P384, &*ED25519].map(|key| key.token(&super::rig::header(key), &claims)).into()
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inner), 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_token_with_one_character_changed_never_counts(which in 0..3_usize, at in any::<prop::sample::Index>(), to in 0x20_u8..0x7f) {
        let mut token = good().swap_remove(which).into_bytes();
        let at = at.index(token.len());
        prop_assume!(token[at] != to);
        token[at] = to;
        prop_assert!(!accepts(&String::from_utf8(token).unwrap()));
    }

    #[test]
    fn a_token_with_something_cut_or_put_in_never_counts(which in 0..3_usize, at in any::<prop::sample::Index>(), more in "[A-Za-z0-9_.=-]{0,3}") {
        let mut token = good().swap_remove(which);
        let at = at.index(token.len());
        if more.is_empty() { token.remove(at); } else { token.insert_str(at, &more); }
        prop_assert!(!accepts(&token));
    }

    #[test]
    fn any_text_is_no_token(text in "[A-Za-z0-9_.-]{0,80}|.{0,80}") {
        prop_assert!(!accepts(&text));
    }

    #[test]
    fn signed_claims_of_any_shape_are_judged_without_stumbling(name in "iss|sub|aud|exp|nbf|iat|groups|scope|scp|auth_time|acr|amr|tenant|clearance|employed|tier|cnf|.{0,5}", value in json_value()) {
        let claims = json!({ "iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": NOW + 300 });
        let mut changed = claims.clone();
        changed[&name] = value.clone();
        let accepted = accepts(&P256.token(&super::rig::header(&P256), &changed));
        if ["iss", "aud", "cnf"].contains(&&*name) && claims.get(&name) != Some(&value) {
            prop_assert!(!accepted);
        }
    }

    #[test]
    fn headers_of_any_shape_are_judged_without_stumbling(name in "alg|kid|typ|crit|jwk|.{0,5}", value in json_value()) {
        let claims = json!({ "iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": NOW + 300 });
        let mut header = super::rig::header(&P256);
        header[&name] = value;
        let accepted = accepts(&P256.token(&header, &claims));
        prop_assert!(!accepted || !["alg", "kid", "typ", "crit", "jwk"].contains(&&*name));
    }

    #[test]
    fn key_sets_of_any_shape_are_judged_without_stumbling(name in "kty|crv|alg|use|key_ops|kid|n|e|x|y|d|.{0,5}", value in json_value(), text in ".{0,80}") {
        let mut key = P256.jwk();
        key[&name] = value;
        let document = json!({ "keys": [key, ED25519.jwk()] }).to_string();
        prop_assert!(!parse("corp", document.as_bytes()).unwrap().is_empty());
        prop_assert!(parse("corp", text.as_bytes()).map_or(true, |keys| keys.is_empty()));
    }
}
