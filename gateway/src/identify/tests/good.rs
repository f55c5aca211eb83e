//! Tokens that count, and what becomes of their claims.

use super::{
    keys::{ED25519, P256, P384, RSA, encode},
    rig::{AUDIENCE, NOW, Rig, header, now, with},
};
use crate::identify::{CredentialError, Fault};
use jiff::Timestamp;
use policy::question::PrincipalKind;
use serde_json::{Value, json};

#[tokio::test]
async fn every_kind_of_key_verifies() {
    let rig = Rig::with(|issuer| issuer.algorithms.push(jsonwebtoken::Algorithm::PS256)).await;
    for key in [&*RSA, &*P256, &*P384, &*ED25519] {
        let identity = rig.check(&key.token(&header(key), &rig.claims())).await.unwrap();
        assert_eq!(&*identity.principal.id, "corp/alice", "{}", key.kid);
    }
    assert_eq!(rig.server.keys_asked(), 1);
}

#[tokio::test]
async fn a_key_without_alg_takes_what_fits_its_type_and_the_issuer_may_use() {
    let rig = Rig::with(|issuer| issuer.algorithms = vec![jsonwebtoken::Algorithm::PS256]).await;
    let jwk = with(&RSA.jwk(), "alg", Value::Null);
    rig.server.answer(super::server::Answer::Body(json!({ "keys": [jwk] }).to_string()));
    let signed = format!("{}.{}", encode(r#"{"alg":"PS256","kid":"rsa"}"#), encode(rig.claims().to_string()));
    rig.check(&format!("{signed}.{}", encode(RSA.sign_pss(signed.as_bytes())))).await.unwrap();
    let pkcs1 = RSA.token(&header(&RSA), &rig.claims());
    assert_eq!(rig.check(&pkcs1).await, Err(Fault::Algorithm.into()));
}

#[tokio::test]
async fn shapes_that_issuers_use_are_taken() {
    let rig = Rig::start().await;
    let claims = rig.claims();
    let good = [
        ("aud list", with(&claims, "aud", json!(["https://other.test", AUDIENCE]))),
        ("fraction", with(&claims, "exp", json!(NOW as f64 + 1.5))),
        ("expired within leeway", with(&claims, "exp", json!(NOW - 29))),
        ("begins within leeway", with(&claims, "nbf", json!(NOW + 30))),
        ("issued within leeway", with(&claims, "iat", json!(NOW + 30))),
        ("no iat", with(&claims, "iat", Value::Null)),
        ("no groups", with(&claims, "groups", Value::Null)),
        ("groups empty", with(&claims, "groups", json!([]))),
        ("far expiry", with(&claims, "exp", json!(253_402_207_200_i64))),
        ("longest subject", with(&claims, "sub", json!("s".repeat(255)))),
        ("unknown claim", with(&claims, "x", json!({ "a": [1, null] }))),
        ("subject of another script", with(&claims, "sub", json!("ålice ✓"))),
    ];
    for (name, claims) in good {
        rig.check(&P256.token(&header(&P256), &claims)).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT"] {
        rig.check(&P256.token(&with(&header(&P256), "typ", json!(typ)), &claims)).await.unwrap();
    }
    rig.check(&P256.token(&with(&header(&P256), "typ", Value::Null), &claims)).await.unwrap();
    rig.check(&P256.token(&with(&header(&P256), "x5t", json!("abc")), &claims)).await.unwrap();
}

#[tokio::test]
async fn claims_become_facts() {
    let rig = Rig::start().await;
    let claims = json!({
        "iss": rig.server.identifier, "sub": "alice", "aud": [AUDIENCE], "iat": NOW - 5, "exp": NOW + 300,
        "groups": ["sellers", "buyers", "sellers"], "scope": "read  write", "auth_time": NOW - 60, "acr": "gold",
        "amr": ["pwd", "otp"], "tenant": "acme", "clearance": 2, "employed": true, "tier": "pro",
    });
    let identity = rig.check(&P256.token(&header(&P256), &claims)).await.unwrap();
    let (principal, token) = (&identity.principal, identity.token.clone().unwrap());
    assert_eq!(principal.kind, PrincipalKind::User);
    assert_eq!(principal.issuer.as_deref(), Some("corp"));
    assert_eq!(*principal.groups, ["corp/buyers".into(), "corp/sellers".into()]);
    assert_eq!(principal.attributes.tenant.as_deref(), Some("acme"));
    assert_eq!((principal.attributes.clearance, principal.attributes.employed), (Some(2), Some(true)));
    assert_eq!(principal.attributes.tier.as_deref(), Some("pro"));
    let second = |second| Some(Timestamp::from_second(second).unwrap());
    assert_eq!(*token.scopes, ["read".into(), "write".into()]);
    assert_eq!(*token.audiences, [AUDIENCE.into()]);
    assert_eq!((token.issued, token.authenticated), (second(NOW - 5), second(NOW - 60)));
    assert_eq!((token.acr.as_deref(), token.amr.as_deref().map(<[_]>::len)), (Some("gold"), Some(2)));
    assert!(!token.sender_bound);
    assert_eq!(identity.expires, second(NOW + 330));
}

#[tokio::test]
async fn scopes_come_as_scp_too() {
    let rig = Rig::start().await;
    for scp in [json!(["a", "b"]), json!("a b")] {
        let claims = with(&rig.claims(), "scp", scp);
        let identity = rig.check(&P256.token(&header(&P256), &claims)).await.unwrap();
        assert_eq!(*identity.token.clone().unwrap().scopes, ["a".into(), "b".into()]);
    }
}

#[tokio::test]
async fn groups_may_be_deep_inside() {
    let rig = Rig::with(|issuer| issuer.groups.claim = Some("/realm~1access/roles".into())).await;
    let claims = with(&rig.claims(), "realm/access", json!({ "roles": ["sellers"] }));
    let identity = rig.check(&P256.token(&header(&P256), &claims)).await.unwrap();
    assert_eq!(*identity.principal.groups, ["corp/sellers".into()]);
}

#[tokio::test]
async fn a_name_with_dots_is_one_claim() {
    let rig = Rig::with(|issuer| issuer.groups.claim = Some("https://corp.test/roles".into())).await;
    let claims = with(&rig.claims(), "https://corp.test/roles", json!(["sellers"]));
    let identity = rig.check(&P256.token(&header(&P256), &claims)).await.unwrap();
    assert_eq!(*identity.principal.groups, ["corp/sellers".into()]);
}

#[tokio::test]
async fn an_undeclared_group_is_told_apart_and_external_ones_are_taken() {
    let rig = Rig::start().await;
    let token = |rig: &Rig| P256.token(&header(&P256), &with(&rig.claims(), "groups", json!(["buyers", "admins"])));
    let refused = rig.check(&token(&rig)).await;
    assert_eq!(refused, Err(CredentialError::UndeclaredGroup("corp/admins".to_owned())));
    let rig = Rig::with(|issuer| issuer.groups.external = true).await;
    assert_eq!(rig.check(&token(&rig)).await.unwrap().principal.groups.len(), 2);
}

#[tokio::test]
async fn a_workload_is_its_spiffe_id_and_only_a_workload() {
    let rig = Rig::with(|issuer| {
        issuer.principal = PrincipalKind::Workload;
        issuer.trust_domain = Some("corp.test".into());
    })
    .await;
    let token = |rig: &Rig, sub: &str| P256.token(&header(&P256), &with(&rig.claims(), "sub", json!(sub)));
    let id = |identity: std::sync::Arc<crate::identify::Identity>| identity.principal.id.to_string();
    assert_eq!(
        id(rig.check(&token(&rig, "spiffe://corp.test/shop/web")).await.unwrap()),
        "spiffe://corp.test/shop/web"
    );
    for bad in [
        "web",
        "spiffe://corp.test",
        "spiffe://corp.test.evil/a",
        "spiffe://other.test/shop/web",
        "spiffe://",
        "spiffe:///a",
        "spiffe://A/b",
        "spiffe://a/../b",
        "spiffe://a//b",
        "spiffe://a/b?c",
        "spiffe://a/",
    ] {
        assert_eq!(rig.check(&token(&rig, bad)).await, Err(Fault::Subject.into()), "{bad}");
    }
    let rig = Rig::start().await;
    assert_eq!(id(rig.check(&token(&rig, "spiffe://corp.test/web")).await.unwrap()), "corp/spiffe://corp.test/web");
}

#[tokio::test]
async fn a_known_token_expires_all_the_same() {
    let rig = Rig::start().await;
    let token = P256.token(&header(&P256), &rig.claims());
    let first = rig.check(&token).await.unwrap();
    let last = Timestamp::from_second(NOW + 329).unwrap();
    assert_eq!(rig.check_at(&token, last).await.unwrap(), first);
    assert_eq!(rig.identify.stats()[0].cache_hits, 1);
    let over = Timestamp::from_second(NOW + 330).unwrap();
    assert_eq!(rig.check_at(&token, over).await, Err(Fault::Expired.into()));
    assert!(rig.check_at(&token, now()).await.is_ok());
}

#[tokio::test]
async fn what_is_remembered_and_shown_never_holds_the_token() {
    let rig = Rig::start().await;
    let token = P256.token(&header(&P256), &rig.claims());
    let pending = rig.identify.look_up(&super::rig::accepted(), &super::rig::bearer(&token), now());
    let shown = format!("{pending:?} {:?}", rig.identify);
    assert!(token.split('.').all(|part| !shown.contains(part)), "{shown}");
}
