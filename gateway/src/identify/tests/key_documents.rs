//! Key sets as issuers might publish them: what is taken, what is left out, what spoils the whole.

use super::keys::{ED25519, P256, P384, RSA, encode};
use super::rig::with;
use crate::identify::jwks::{
    key::{Key, KeyProblem, KeyProblem::*},
    parse,
};
use serde_json::{Value, json};

#[test]
fn a_key_is_taken_or_left_out_for_a_reason() {
    let (rsa, ec, p384, ed) = (RSA.jwk(), P256.jwk(), P384.jwk(), ED25519.jwk());
    let off_curve = with(&ec, "y", json!(encode([1; 32])));
    let short = encode([0xff; 128]);
    let huge = encode([0xff; 1025]);
    let padded = format!("{}=", rsa["n"].as_str().unwrap());
    let mut even = vec![0xff; 256];
    even[255] = 0xfe;
    let cases: Vec<(&str, Value, Option<KeyProblem>)> = vec![
        ("rsa", rsa.clone(), None),
        ("rsa without alg", with(&rsa, "alg", Value::Null), None),
        ("rsa with chain", with(&rsa, "x5c", json!(["MIIB"])), None),
        ("rsa ps256", with(&rsa, "alg", json!("PS256")), None),
        ("key_ops verify", with(&ec, "key_ops", json!(["verify"])), None),
        ("ed25519", ed.clone(), None),
        ("rsa 1024", with(&rsa, "n", json!(short)), Some(Size)),
        ("rsa 8200", with(&rsa, "n", json!(huge)), Some(Size)),
        ("rsa even", with(&rsa, "n", json!(encode(even))), Some(Numbers)),
        ("rsa e=1", with(&rsa, "e", json!("AQ")), Some(Numbers)),
        ("rsa e=0", with(&rsa, "e", json!("AA")), Some(Numbers)),
        ("rsa e even", with(&rsa, "e", json!("BA")), Some(Numbers)),
        ("rsa e missing", with(&rsa, "e", Value::Null), Some(Numbers)),
        ("rsa n padded", with(&rsa, "n", json!(padded)), Some(Numbers)),
        ("rsa n number", with(&rsa, "n", json!(65537)), Some(Numbers)),
        ("rsa with crv", with(&rsa, "crv", json!("P-256")), Some(Kind)),
        ("rsa es256", with(&rsa, "alg", json!("ES256")), Some(Kind)),
        ("rsa hs256", with(&rsa, "alg", json!("HS256")), Some(Kind)),
        ("rsa for encryption", with(&rsa, "alg", json!("RSA-OAEP")), Some(Kind)),
        ("alg none", with(&ec, "alg", json!("none")), Some(Kind)),
        ("alg a number", with(&ec, "alg", json!(1)), Some(Kind)),
        ("enc", with(&rsa, "use", json!("enc")), Some(Use)),
        ("use of a number", with(&rsa, "use", json!(1)), Some(Use)),
        ("key_ops encrypt", with(&rsa, "key_ops", json!(["encrypt"])), Some(Use)),
        ("key_ops text", with(&rsa, "key_ops", json!("verify")), Some(Use)),
        ("private", with(&ec, "d", json!("AQ")), Some(Private)),
        ("private rsa", with(&rsa, "p", json!("AQ")), Some(Private)),
        ("kid number", with(&ec, "kid", json!(1)), Some(Kid)),
        ("kid empty", with(&ec, "kid", json!("")), Some(Kid)),
        ("off curve", off_curve, Some(Numbers)),
        ("x short", with(&ec, "x", json!("AQ")), Some(Numbers)),
        ("zero point", with(&with(&ec, "x", json!(encode([0; 32]))), "y", json!(encode([0; 32]))), Some(Numbers)),
        ("p-256 named p-384", with(&ec, "crv", json!("P-384")), Some(Numbers)),
        ("p-384 named p-256", with(&p384, "crv", json!("P-256")), Some(Numbers)),
        ("p-384 es256", with(&p384, "alg", json!("ES256")), Some(Kind)),
        ("p-521", with(&ec, "crv", json!("P-521")), Some(Kind)),
        ("secp256k1", with(&ec, "crv", json!("secp256k1")), Some(Kind)),
        ("ed448", with(&ed, "crv", json!("Ed448")), Some(Kind)),
        ("x25519", with(&ed, "crv", json!("X25519")), Some(Kind)),
        ("ed25519 short", with(&ed, "x", json!("AQ")), Some(Numbers)),
        ("symmetric", json!({ "kty": "oct", "kid": "s", "k": "AQ", "alg": "HS256" }), Some(Kind)),
        ("symmetric named rsa", json!({ "kty": "RSA", "k": "AQ", "alg": "HS256" }), Some(Numbers)),
        ("no type", with(&ec, "kty", Value::Null), Some(Kind)),
        ("no object", json!("key"), Some(Kind)),
    ];
    for (name, jwk, problem) in cases {
        assert_eq!(Key::admit(&jwk).err(), problem, "{name}");
    }
}

#[test]
fn one_bad_key_leaves_the_others_and_a_shared_kid_leaves_neither() {
    let twice = with(&P256.jwk(), "kid", json!("rsa"));
    let unusable = json!({ "kty": "oct", "kid": "ed", "k": "AQ" });
    let document = json!({ "keys": [RSA.jwk(), twice, unusable, ED25519.jwk(), P384.jwk()] });
    let keys = parse("corp", document.to_string().as_bytes()).unwrap();
    assert_eq!(keys.iter().map(|k| k.kid()).collect::<Vec<_>>(), [Some("p384")]);
}

#[test]
fn a_document_is_strict() {
    let key = P256.jwk();
    let many = json!({ "keys": vec![key.clone(); 101] }).to_string();
    let repeated = format!(r#"{{"keys":[],"keys":[{key}]}}"#);
    let inside = format!(r#"{{"keys":[{}]}}"#, key.to_string().replacen('{', r#"{"kty":"RSA","#, 1));
    let trailing = format!(r#"{{"keys":[{key}]}} {{}}"#);
    for bad in [&*many, &repeated, &inside, &trailing, "", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, "<html>"] {
        assert!(parse("corp", bad.as_bytes()).is_err(), "{bad}");
    }
    let leading_zero = with(
        &RSA.jwk(),
        "n",
        json!(encode([&[0], &*super::super::jwt::decode(RSA.jwk()["n"].as_str().unwrap()).unwrap()].concat())),
    );
    assert_eq!(parse("corp", json!({ "keys": [leading_zero] }).to_string().as_bytes()).unwrap().len(), 1);
    assert!(parse("corp", br#"{"keys":[]}"#).unwrap().is_empty());
}
