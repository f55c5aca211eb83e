//! What the tests share: a configured issuer, and the two steps of a look-up as one.

use crate::{
    config::{self, Credential, Groups},
    identify::{CredentialError, Identify, Identity, Lookup},
};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use policy::question::PrincipalKind;
use std::{sync::Arc, time::Duration};

pub(super) const AUDIENCE: &str = "https://api.test";

/// An issuer `corp` whose identifier is `identifier`.
pub(super) fn issuer(identifier: &str) -> config::Issuer {
    config::Issuer {
        alias: "corp".into(),
        issuer: identifier.into(),
        jwks_uri: None,
        audiences: vec![AUDIENCE.into()],
        principal: PrincipalKind::User,
        algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA],
        groups: Groups {
            claim: Some("groups".into()),
            declared: ["corp/buyers".into(), "corp/sellers".into()].into(),
            external: false,
        },
        attributes: vec![],
        ca: None,
        leeway: Duration::from_secs(30),
        refresh: Duration::from_secs(300),
        grace: Duration::from_secs(300),
        development: false,
    }
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
