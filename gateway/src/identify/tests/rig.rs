//! What the tests share: a configured issuer, tokens for it, and the two steps of a look-up as one.

use super::{
    keys::{ED25519, P256, P384, RSA, TestKey, set},
    server::{Answer, FakeIssuer},
};
use crate::{
    config::{self, Credential, Groups},
    identify::{CredentialError, Identify, Identity, Lookup},
};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use policy::question::PrincipalKind;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub(super) const AUDIENCE: &str = "https://api.test";
/// The moment at which most tests are.
pub(super) const NOW: i64 = 1_800_000_000;

/// A gateway with one issuer, `corp`, whose server has a key of each kind.
pub(super) struct Rig {
    pub(super) server: FakeIssuer,
    pub(super) identify: Arc<Identify>,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// The same with another configuration.
    pub(super) async fn with(change: impl FnOnce(&mut config::Issuer)) -> Self {
        let server = FakeIssuer::start(Answer::Body(set(&[&RSA, &P256, &P384, &ED25519]))).await;
        let mut issuer = issuer(&server.identifier);
        change(&mut issuer);
        Self { server, identify: Arc::new(Identify::new(&[issuer], None).unwrap()) }
    }

    /// The claims of a good token.
    pub(super) fn claims(&self) -> Value {
        claims(&self.server.identifier)
    }

    pub(super) async fn check(&self, token: &str) -> Result<Arc<Identity>, CredentialError> {
        self.check_at(token, now()).await
    }

    pub(super) async fn check_at(&self, token: &str, now: Timestamp) -> Result<Arc<Identity>, CredentialError> {
        identify(&self.identify, &accepted(), &bearer(token), now).await
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// An issuer `corp` whose identifier is `identifier`.
pub(super) fn issuer(identifier: &str) -> config::Issuer {
    config::Issuer {
        alias: "corp".into(),
        issuer: identifier.into(),
        jwks_uri: None,
        audiences: vec![AUDIENCE.into()],
        principal: PrincipalKind::User,
        trust_domain: None,
        algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA],
        groups: Groups {
            claim: Some("groups".into()),
            declared: ["corp/buyers".into(), "corp/sellers".into()].into(),
            external: false,
        },
        attributes: ["tenant", "clearance", "employed", "tier"].map(|a| (a.into(), a.into())).into(),
        ca: None,
        leeway: Duration::from_secs(30),
        refresh: Duration::from_secs(300),
        grace: Duration::from_secs(300),
        development: false,
    }
}

/// The claims of a good token.
pub(super) fn claims(identifier: &str) -> Value {
    json!({ "iss": identifier, "sub": "alice", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300, "groups": ["buyers"] })
}

/// The header of a good token.
pub(super) fn header(key: &TestKey) -> Value {
    json!({ "alg": key.alg(), "kid": key.kid, "typ": "at+jwt" })
}

/// `object` with a member set; or taken away, with `Value::Null`.
pub(super) fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    match value {
        Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
        value => object[name] = value,
    }
    object
}

pub(super) fn accepted() -> Vec<Credential> {
    vec![Credential::Issuer("corp".into())]
}

pub(super) fn bearer(token: &str) -> HeaderMap {
    [(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap())].into_iter().collect()
}

pub(super) async fn identify(
    identify: &Identify,
    accepted: &[Credential],
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Arc<Identity>, CredentialError> {
    match identify.look_up(accepted, headers, now) {
        Lookup::Known(identity) => Ok(identity),
        Lookup::Refused(error) => Err(error),
        Lookup::Wait(pending) => identify.verify(pending, now).await,
    }
}

/// Waits until `condition` holds, for ten seconds at most.
pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not happen");
}
