//! Well-signed tokens whose header, or whose form, is wrong: none counts.

use super::{
    keys::{ED25519, P256, P384, RSA, TestKey, encode},
    rig::{Rig, header, with},
};
use crate::identify::{CredentialError, Fault, Fault::*};
use serde_json::{Value, json};

#[tokio::test]
async fn no_header_may_say_how_it_is_checked() {
    let rig = Rig::start().await;
    let mallory = TestKey::p256("p256");
    let cases: Vec<(&str, Value, Fault)> = vec![
        ("crit", json!(["exp"]), HeaderMember),
        ("crit", json!([]), HeaderMember),
        ("b64", json!(false), HeaderMember),
        ("b64", json!(true), HeaderMember),
        ("zip", json!("DEF"), HeaderMember),
        ("jwk", mallory.jwk(), HeaderMember),
        ("jku", json!("https://evil.test/jwks"), HeaderMember),
        ("x5c", json!(["MIIB"]), HeaderMember),
        ("x5u", json!("https://evil.test/x5"), HeaderMember),
        ("typ", json!("JWE"), Type),
        ("typ", json!("dpop+jwt"), Type),
        ("typ", json!("logout+jwt"), Type),
        ("typ", json!("application/application/jwt"), Type),
        ("typ", json!(""), Type),
        ("typ", json!(1), Type),
        ("typ", json!(["JWT"]), Type),
        ("kid", json!(""), KeyId),
        ("kid", json!(1), KeyId),
        ("kid", json!(["p256"]), KeyId),
        ("kid", json!("k".repeat(256)), KeyId),
        ("kid", json!("P256"), UnknownKey),
        ("kid", json!("p256 "), UnknownKey),
        ("kid", json!("../../p256"), UnknownKey),
        ("kid", json!("p256' OR 1=1"), UnknownKey),
        ("kid", Value::Null, KeyNotNamed),
        ("kid", json!("p384"), KeyAlgorithm),
        ("kid", json!("rsa"), KeyAlgorithm),
        ("kid", json!("ed"), KeyAlgorithm),
        ("alg", Value::Null, Algorithm),
        ("alg", json!(1), Algorithm),
        ("alg", json!(["ES256"]), Algorithm),
        ("alg", json!("es256"), Algorithm),
        ("alg", json!("ES256 "), Algorithm),
        ("alg", json!("ES256K"), Algorithm),
        ("alg", json!("ES512"), Algorithm),
        ("alg", json!("RS512"), Algorithm),
        ("alg", json!("ES384"), KeyAlgorithm),
        ("alg", json!("RS256"), KeyAlgorithm),
        ("alg", json!("EdDSA"), KeyAlgorithm),
    ];
    for (member, value, fault) in cases {
        for key in [&*P256, &mallory] {
            let token = key.token(&with(&header(&P256), member, value.clone()), &rig.claims());
            assert_eq!(rig.check(&token).await, Err(CredentialError::Invalid(fault)), "{member}: {value}");
        }
    }
}

#[tokio::test]
async fn null_members_and_repeated_ones_do_not_count() {
    let rig = Rig::start().await;
    let claims = rig.claims().to_string();
    for member in ["crit", "b64", "zip", "jwk", "jku", "x5c", "x5u", "typ", "kid", "alg"] {
        let mut header = header(&P256);
        header[member] = Value::Null;
        assert!(rig.check(&P256.raw(&header.to_string(), &claims)).await.is_err(), "{member}");
    }
    let cases = [
        r#"{"alg":"ES256","alg":"ES256","kid":"p256"}"#,
        r#"{"alg":"none","alg":"ES256","kid":"p256"}"#,
        r#"{"alg":"ES256","kid":"rsa","kid":"p256"}"#,
        r#"{"alg":"ES256","\u0061lg":"none","kid":"p256"}"#,
        r#"{"alg":"ES256","kid":"p256"}{}"#,
        r#"{"alg":"ES256","kid":"p256""#,
        r#"["ES256"]"#,
        "ES256",
    ];
    for header in cases {
        assert_eq!(rig.check(&P256.raw(header, &claims)).await, Err(Json.into()), "{header}");
    }
}

#[tokio::test]
async fn the_form_is_strict() {
    let rig = Rig::start().await;
    let good = P256.token(&header(&P256), &rig.claims());
    rig.check(&good).await.unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let [h, c, s] = [parts[0], parts[1], parts[2]];
    let padded = |part: &str| format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4));
    let cases = vec![
        (format!("{h}.{c}"), Parts),
        (format!("{h}.{c}."), Parts),
        (format!(".{c}.{s}"), Parts),
        (format!("{h}..{s}"), Parts),
        (format!("{h}.{c}.{s}."), Parts),
        (format!("{h}.{c}.{s}.{s}"), Parts),
        (format!("{h}.{c}.{s}.x.y"), Parts),
        (format!(".{good}"), Parts),
        ("x".to_owned(), Parts),
        ("...".to_owned(), Parts),
        (format!("{h}.{c}.{}=", s), Encoding),
        (format!("{h}.{c}.{}==", s), Encoding),
        (format!("{}==.{c}.{s}", h), Encoding),
        (format!("{h}.{}==.{s}", c), Encoding),
        (format!("{} .{c}.{s}", h), Encoding),
        (format!("{h}. {c}.{s}"), Encoding),
        (format!("{h}.{c}. {s}"), Encoding),
        (format!("{h}.{c}.{s}\t"), Encoding),
        (format!("{h}.{c}.{s}+/"), Encoding),
        (format!("{h}.{c}.{s}A"), Signature),
        (format!("{h}.{c}.{}%3D", s), Encoding),
        (format!("\"{good}\""), Encoding),
        (format!("{good}, {good}"), Parts),
        (format!("{good},x"), Encoding),
        (format!("{h}.{c}.{}", "A".repeat(17_000)), TooLong),
    ];
    assert_eq!(padded(s), format!("{s}=="));
    for (token, fault) in cases {
        assert_eq!(rig.check(&token).await, Err(CredentialError::Invalid(fault)), "{token}");
    }
    let mut stray = good.clone();
    let last = stray.pop().unwrap();
    // The last character of a 64-byte signature carries four bits that must be zero.
    stray.push(char::from(u8::try_from(last).unwrap() + 1));
    assert_eq!(rig.check(&stray).await, Err(Encoding.into()));
    let standard = format!("{h}.{c}.{}", s.replace('-', "+").replace('_', "/"));
    assert!(standard == good || rig.check(&standard).await == Err(Encoding.into()));
}

#[tokio::test]
async fn an_encrypted_token_is_none_of_ours() {
    let rig = Rig::start().await;
    let jwe = format!("{}.e.i.c.t", encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#));
    assert_eq!(rig.check(&jwe).await, Err(Parts.into()));
    for key in [&*RSA, &*P256, &*P384, &*ED25519] {
        let nested = key.token(&header(key), &json!("e30.e30.e30"));
        assert_eq!(rig.check(&nested).await, Err(Json.into()));
    }
}
