//! Tokens of an issuer that we did not write: taken when they are right, refused when anything about them is not.

use crate::world::World;
use aws_lc_rs::{hmac, rand::SystemRandom, rsa, signature};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tests::{
    client::Request,
    oidc::{AUDIENCE, CLIENT},
    records, wait,
};

/// Longest time for a new key to be found: the gateway holds back repeated fetches for a while.
const KEY_FOUND: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_client_with_a_token_is_let_in_under_its_own_name() {
    let Some(world) = World::start(EVERYBODY).await else { return };
    let token = world.issuer.token(None).await;
    let answer = world.get("/stock/7", &token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.origin.seen();
    let caller = seen[0].headers.get_all("latchwork-caller").iter().next().expect("the backend is told who calls");
    assert!(caller.to_str().unwrap().contains(&format!("corp/{CLIENT}")), "{caller:?}");
    assert!(!seen[0].headers.contains_key("authorization"), "the caller's credential reached the backend");
    world.stop().await;
}

#[tokio::test]
async fn keys_rotate_while_it_runs() {
    let Some(world) = World::start(EVERYBODY).await else { return };
    let first = world.issuer.token(None).await;
    assert_eq!(world.get("/stock/7", &first).await.status, 200);

    world.issuer.rotate("ES256", true).await;
    let second = world.issuer.token(None).await;
    world.until_status(&second, 200).await;
    assert_eq!(world.get("/stock/7", &first).await.status, 200, "the first key is still published");

    world.issuer.rotate("RS256", false).await;
    let third = world.issuer.token(None).await;
    world.until_status(&third, 200).await;
    for old in [&first, &second] {
        assert_eq!(world.get("/stock/7", old).await.status, 401, "its key is published no more");
    }
    world.stop().await;
}

#[tokio::test]
async fn known_keys_serve_while_the_issuer_is_down() {
    let Some(world) = World::start(EVERYBODY).await else { return };
    let token = world.issuer.token(None).await;
    assert_eq!(world.get("/stock/7", &token).await.status, 200);
    world.issuer.outage(true).await;
    let fresh = world.issuer.token(None).await;
    assert_eq!(world.get("/stock/7", &fresh).await.status, 200, "its key is known");
    let before = world.issuer.keys_requests().await;
    for number in 0..40 {
        let strange = world.issuer.signed(json!({ "kid": format!("strange-{number}") }), world.claims()).await;
        let status = world.get("/stock/7", &strange).await.status;
        assert!(matches!(status, 401 | 503), "{status} for an unknown key");
    }
    let fetched = world.issuer.keys_requests().await - before;
    assert!(fetched <= 4, "{fetched} fetches for 40 tokens of unknown keys");
    world.issuer.outage(false).await;
    world.issuer.rotate("ES256", false).await;
    let new = world.issuer.token(None).await;
    world.until_status(&new, 200).await;
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_is_not_right_is_refused() {
    let Some(world) = World::start(EVERYBODY).await else { return };
    let good = world.issuer.signed(json!({}), world.claims()).await;
    assert_eq!(world.get("/stock/7", &good).await.status, 200, "the claims that the others are made from are right");
    let reached = world.origin.seen().len();

    let wrong = wrong(&world, &good).await;
    for (what, token) in &wrong {
        let answer = world.get("/stock/7", token).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with("Bearer") && challenge.contains("invalid_"), "{what}: `{challenge}`");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
        let signature = token.rsplit('.').next().unwrap_or_default();
        if signature.len() > 16 {
            let log = String::from_utf8(records::bytes(&world.project.audit())).unwrap();
            assert!(!log.contains(signature), "{what}: the token is in the audit log");
            assert!(!world.gateway.stderr().contains(signature), "{what}: the token is in the log");
        }
    }
    assert_eq!(world.origin.seen().len(), reached, "a refused call reached the backend");
    let audit = world.project.audit();
    world.gateway.stop().await;
    assert_eq!(refusals(&audit), wrong.len() as u64, "every refusal is recorded, one by one or counted");
}

#[tokio::test]
async fn a_credential_in_a_wrong_shape_is_refused() {
    let Some(world) = World::start(EVERYBODY).await else { return };
    let token = world.issuer.token(None).await;
    let shapes = [
        ("no scheme", token.clone()),
        ("another scheme", format!("Basic {token}")),
        ("nothing after the scheme", "Bearer".to_owned()),
        ("two tokens", format!("Bearer {token} {token}")),
        ("a list", format!("Bearer {token}, Bearer {token}")),
        ("quotes", format!("Bearer \"{token}\"")),
        ("padding", format!("Bearer {token}==")),
        ("no dots", "Bearer abcdef".to_owned()),
        ("five parts", format!("Bearer {token}.x.y")),
        ("far too long", format!("Bearer {}", "a".repeat(20_000))),
    ];
    for (what, value) in shapes {
        let answer = world.gateway.client().send(Request::get("/stock/7").header("authorization", &value)).await;
        assert!(matches!(answer.status, 400 | 401), "{what}: {} {}", answer.status, answer.text());
    }
    let twice = Request::get("/stock/7").bearer(&token).bearer(&token);
    assert!(matches!(world.gateway.client().send(twice).await.status, 400 | 401), "two credentials");
    assert_eq!(world.origin.seen().len(), 0);
    world.stop().await;
}

/// Every caller may call everything: what is refused is refused for its token.
const EVERYBODY: &str = "@id(\"everyone\")\npermit (principal, action in Action::\"call\", resource);";

/// How many calls were refused for their credential: a flood is counted instead of recorded one by one.
pub fn refusals(audit: &Path) -> u64 {
    let word = "unauthenticated";
    let records = records::read(audit);
    let single = records.iter().filter(|record| record["refusal"] == word).count() as u64;
    single + records.iter().filter_map(|record| record["counts"][word].as_u64()).sum::<u64>()
}

impl World {
    fn claims(&self) -> Value {
        let now = now();
        json!({
            "iss": self.issuer.url, "sub": CLIENT, "client_id": CLIENT, "aud": AUDIENCE, "jti": "1",
            "iat": now, "exp": now + 300, "scope": "invoke",
        })
    }

    async fn until_status(&self, token: &str, status: u16) {
        wait::until("the new key", KEY_FOUND, || async {
            (self.get("/stock/7", token).await.status == status).then_some(())
        })
        .await;
    }
}

/// Tokens that are wrong in one way each.
async fn wrong(world: &World, good: &str) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    for (what, change) in claims_gone_wrong() {
        let mut claims = world.claims();
        for (name, value) in change.as_object().expect("an object of claims") {
            match value {
                Value::Null => claims.as_object_mut().expect("claims").remove(name),
                value => claims.as_object_mut().expect("claims").insert(name.clone(), value.clone()),
            };
        }
        wrong.push((what, world.issuer.signed(json!({}), claims).await));
    }
    wrong.push(("another audience, asked for properly", world.issuer.token(Some("https://other.example")).await));
    for (what, header) in [
        ("an unknown key", json!({ "kid": "no-such-key" })),
        ("an unencoded payload", json!({ "crit": ["b64"], "b64": true })),
        ("a key of its own", json!({ "jwk": { "kty": "oct", "k": "AAAA" } })),
        ("keys from elsewhere", json!({ "jku": "http://127.0.0.1:1/jwks" })),
        ("a type that is no access token", json!({ "typ": "logout+jwt" })),
    ] {
        wrong.push((what, world.issuer.signed(header, world.claims()).await));
    }
    wrong.extend(forged(world, good).await);
    wrong
}

fn claims_gone_wrong() -> Vec<(&'static str, Value)> {
    let now = now();
    vec![
        ("another audience", json!({ "aud": "https://other.example" })),
        ("an audience that only begins alike", json!({ "aud": format!("{AUDIENCE}.evil") })),
        ("no audience", json!({ "aud": null })),
        ("expired", json!({ "exp": now - 120, "iat": now - 600 })),
        ("no expiry", json!({ "exp": null })),
        ("an expiry that is text", json!({ "exp": "never" })),
        ("not valid yet", json!({ "nbf": now + 3600 })),
        ("another issuer", json!({ "iss": "https://issuer.example" })),
        ("the issuer with a slash", json!({ "iss": "http://127.0.0.1/" })),
        ("no issuer", json!({ "iss": null })),
        ("no subject", json!({ "sub": null })),
        ("a subject that is empty", json!({ "sub": "" })),
        ("a subject that is a number", json!({ "sub": 7 })),
    ]
}

/// Tokens that the issuer did not sign.
async fn forged(world: &World, good: &str) -> Vec<(&'static str, String)> {
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signed) = (parts[0], parts[1], parts[2]);
    let mut richer = world.claims();
    richer["sub"] = "root".into();
    let kid = decoded(header)["kid"].clone();
    let pem = world.issuer.public_pem().await;
    let keys = world.issuer.keys().await;
    let modulus = URL_SAFE_NO_PAD.decode(keys["keys"][0]["n"].as_str().expect("an RSA key")).expect("base64url");
    let hs256 = |secret: &[u8]| {
        let body = format!("{}.{claims}", encoded(&json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid })));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body.as_bytes());
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let none = |alg: &str| format!("{}.{claims}.", encoded(&json!({ "alg": alg, "typ": "at+jwt", "kid": kid })));
    let mut flipped = URL_SAFE_NO_PAD.decode(signed).expect("base64url");
    flipped[10] ^= 1;
    vec![
        ("other claims under a good signature", format!("{header}.{}.{signed}", encoded(&richer))),
        ("a changed signature", format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(flipped))),
        ("no signature", format!("{header}.{claims}.")),
        ("a cut signature", format!("{header}.{claims}.{}", &signed[..signed.len() / 2])),
        ("`none`", none("none")),
        ("`none` in capitals", none("NONE")),
        ("`none` with the old signature", format!("{}{signed}", none("none"))),
        ("HS256 with the public key as PEM", hs256(pem.as_bytes())),
        ("HS256 with the trimmed PEM", hs256(pem.trim().as_bytes())),
        ("HS256 with the modulus", hs256(&modulus)),
        ("HS256 with nothing", hs256(b"")),
        ("signed by a stranger with the same key id", stranger(&format!("{header}.{claims}"))),
        ("a second `sub`", world.issuer.signed_text(&twice(&world.claims())).await),
    ]
}

/// RS256 by a key that the issuer does not have.
fn stranger(body: &str) -> String {
    let key = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("a key");
    let mut signed = vec![0; key.public_modulus_len()];
    key.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), body.as_bytes(), &mut signed).expect("a signature");
    format!("{body}.{}", URL_SAFE_NO_PAD.encode(signed))
}

/// Claims with two subjects, as text: no JSON library would write them.
fn twice(claims: &Value) -> String {
    let text = claims.to_string();
    format!("{},\"sub\":\"root\"}}", text.strip_suffix('}').expect("an object"))
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
