//! Tokens with the right content and the wrong signature: none counts.

use super::{
    keys::{ED25519, P256, P384, RSA, TestKey, encode},
    rig::{Rig, header, with},
};
use crate::identify::{CredentialError, Fault, Fault::*};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

#[tokio::test]
async fn no_token_without_a_signature_counts() {
    let rig = Rig::start().await;
    let claims = encode(rig.claims().to_string());
    for alg in ["none", "None", "NONE", "nOnE", "none ", "", "null"] {
        let header = encode(json!({ "alg": alg, "kid": "p256" }).to_string());
        assert_eq!(rig.check(&format!("{header}.{claims}.")).await, Err(Parts.into()), "{alg}");
        for signature in ["AA", &encode(P256.sign(format!("{header}.{claims}").as_bytes()))] {
            let token = format!("{header}.{claims}.{signature}");
            assert_eq!(rig.check(&token).await, Err(Algorithm.into()), "{alg}");
        }
    }
}

#[tokio::test]
async fn no_public_key_serves_as_a_secret() {
    let rig = Rig::start().await;
    for key in [&*RSA, &*P256, &*P384, &*ED25519] {
        let (pem, jwk) = (key.pem(), key.jwk());
        let body: String = pem.lines().filter(|l| !l.starts_with('-')).collect();
        let number = jwk.get("n").or(jwk.get("x")).and_then(Value::as_str).unwrap().to_owned();
        let secrets = [
            pem.clone().into_bytes(),
            pem.trim_end().as_bytes().to_vec(),
            STANDARD.decode(&body).unwrap(),
            body.into_bytes(),
            key.public(),
            jwk.to_string().into_bytes(),
            number.into_bytes(),
            Vec::new(),
        ];
        for secret in secrets {
            for (alg, algorithm) in
                [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
            {
                let head = with(&header(key), "alg", json!(alg)).to_string();
                let signed = format!("{}.{}", encode(head), encode(rig.claims().to_string()));
                let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), signed.as_bytes());
                let token = format!("{signed}.{}", encode(tag));
                assert_eq!(rig.check(&token).await, Err(Algorithm.into()), "{} {alg}", key.kid);
            }
        }
    }
}

#[tokio::test]
async fn no_other_key_and_no_changed_content_counts() {
    let rig = Rig::start().await;
    let mallory = TestKey::p256("p256");
    for key in [&*RSA, &*P256, &*P384, &*ED25519] {
        let good = key.token(&header(key), &rig.claims());
        let parts: Vec<&str> = good.split('.').collect();
        let admin = encode(with(&rig.claims(), "sub", json!("admin")).to_string());
        let typed = encode(with(&header(key), "typ", json!("JWT")).to_string());
        let mut signature = key.sign(format!("{}.{}", parts[0], parts[1]).as_bytes());
        let cut = encode(&signature[..signature.len() - 1]);
        let longer = encode([&*signature, &[0]].concat());
        let zeros = encode(vec![0; signature.len()]);
        let ones = encode(vec![0xff; signature.len()]);
        signature[7] ^= 1;
        let forged = vec![
            format!("{}.{admin}.{}", parts[0], parts[2]),
            format!("{typed}.{}.{}", parts[1], parts[2]),
            format!("{}.{}.{}", parts[0], parts[1], encode(&signature)),
            format!("{}.{}.{cut}", parts[0], parts[1]),
            format!("{}.{}.{longer}", parts[0], parts[1]),
            format!("{}.{}.{zeros}", parts[0], parts[1]),
            format!("{}.{}.{ones}", parts[0], parts[1]),
            format!("{}.{}.AA", parts[0], parts[1]),
            format!("{}.{}.{}", parts[0], parts[1], encode(parts[2])),
        ];
        for token in forged {
            assert_eq!(rig.check(&token).await, Err(CredentialError::Invalid(Signature)), "{} {token}", key.kid);
        }
        rig.check(&good).await.unwrap();
    }
    let by_mallory = mallory.token(&header(&P256), &rig.claims());
    assert_eq!(rig.check(&by_mallory).await, Err(Signature.into()));
}

#[tokio::test]
async fn signatures_in_other_forms_do_not_count() {
    let rig = Rig::with(|issuer| issuer.algorithms.push(jsonwebtoken::Algorithm::PS256)).await;
    let signed = |head: Value| format!("{}.{}", encode(head.to_string()), encode(rig.claims().to_string()));
    let ecdsa = signed(header(&P256));
    // r = 0, s = 0; r = s = n; and r = 1 with s = 0.
    let mut n = vec![0xff; 32];
    n[4..8].fill(0);
    n[16..].copy_from_slice(&0xbce6_faad_a717_9e84_f3b9_cac2_fc63_2551_u128.to_be_bytes());
    let mut one_zero = vec![0; 64];
    one_zero[31] = 1;
    let raw = P256.sign(ecdsa.as_bytes());
    let swapped = [&raw[32..], &raw[..32]].concat();
    let pss_head = with(&header(&RSA), "alg", json!("PS256"));
    let (pkcs1, pss) = (signed(header(&RSA)), signed(pss_head));
    let cases: Vec<(&str, String, Vec<u8>, Fault)> = vec![
        ("asn.1", ecdsa.clone(), P256.sign_der(ecdsa.as_bytes()), Signature),
        ("zero", ecdsa.clone(), vec![0; 64], Signature),
        ("order", ecdsa.clone(), [&*n, &*n].concat(), Signature),
        ("one and zero", ecdsa.clone(), one_zero, Signature),
        ("swapped", ecdsa.clone(), swapped, Signature),
        ("p-384 under es256", ecdsa.clone(), P384.sign(ecdsa.as_bytes()), Signature),
        ("ed25519 under es256", ecdsa.clone(), ED25519.sign(ecdsa.as_bytes()), Signature),
        ("pss under rs256", pkcs1.clone(), RSA.sign_pss(pkcs1.as_bytes()), Signature),
        ("pinned to rs256, asked for ps256", pss.clone(), RSA.sign_pss(pss.as_bytes()), KeyAlgorithm),
        ("pkcs1 under ps256", pss.clone(), RSA.sign(pss.as_bytes()), KeyAlgorithm),
    ];
    for (name, signed, signature, fault) in cases {
        let token = format!("{signed}.{}", encode(signature));
        assert_eq!(rig.check(&token).await, Err(CredentialError::Invalid(fault)), "{name}");
    }
}

#[tokio::test]
async fn no_signature_of_another_issuer_counts() {
    let (corp, other) = (Rig::start().await, Rig::start().await);
    let mallory = TestKey::p256("m");
    other.server.answer(super::server::Answer::Body(super::keys::set(&[&mallory])));
    // Signed by the other issuer's key, in the name of the first.
    let token = mallory.token(&header(&mallory), &corp.claims());
    assert_eq!(other.check(&token).await, Err(Issuer.into()));
    assert_eq!(corp.check(&token).await, Err(UnknownKey.into()));
    assert_eq!(other.server.keys_asked(), 0);
}
