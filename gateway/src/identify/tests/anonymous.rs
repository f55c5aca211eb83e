//! Callers without a credential, with one of another kind, and with one that does not count on the listener.

use super::{
    keys::P256,
    rig::{Rig, accepted, bearer, claims, header, identify, issuer, now, with},
    server::{Answer, FakeIssuer},
};
use crate::{
    config::Credential,
    identify::{CredentialError, Fault, Identify},
    refusal::{Challenge, Refusal},
};
use http::HeaderMap;
use serde_json::json;

#[tokio::test]
async fn nobody_is_anonymous_only_where_that_counts() {
    let rig = Rig::start().await;
    let none = HeaderMap::new();
    let both = [Credential::Anonymous, Credential::Issuer("corp".into())];
    let nobody = identify(&rig.identify, &both, &none, now()).await.unwrap();
    assert_eq!((&*nobody.principal.id, nobody.token.is_none()), ("anonymous", true));
    assert_eq!(identify(&rig.identify, &accepted(), &none, now()).await, Err(CredentialError::Missing));
    assert_eq!(identify(&rig.identify, &[], &none, now()).await, Err(CredentialError::Missing));
    let bad = identify(&rig.identify, &both, &bearer("a.b.c"), now()).await;
    assert!(matches!(bad, Err(CredentialError::Invalid(_))), "{bad:?}");
    let good = P256.token(&header(&P256), &rig.claims());
    let elsewhere = identify(&rig.identify, &[Credential::Anonymous], &bearer(&good), now()).await;
    assert_eq!(elsewhere, Err(Fault::Issuer.into()));
}

#[tokio::test]
async fn a_token_known_on_one_listener_is_not_known_on_another() {
    let rig = Rig::start().await;
    let token = P256.token(&header(&P256), &rig.claims());
    rig.check(&token).await.unwrap();
    let other = [Credential::Issuer("other".into()), Credential::Anonymous];
    assert_eq!(identify(&rig.identify, &other, &bearer(&token), now()).await, Err(Fault::Issuer.into()));
}

#[tokio::test]
async fn of_two_aliases_with_one_identifier_the_audience_decides() {
    let server = FakeIssuer::start(Answer::Body(super::keys::set(&[&P256]))).await;
    let first = issuer(&server.identifier);
    let mut second = first.clone();
    second.alias = "jobs".into();
    second.audiences = vec!["https://jobs.test".into()];
    second.groups.external = true;
    let gateway = Identify::new(&[first, second], None).unwrap();
    let both = [Credential::Issuer("corp".into()), Credential::Issuer("jobs".into())];
    for (audience, id) in [("https://api.test", "corp/alice"), ("https://jobs.test", "jobs/alice")] {
        let token = P256.token(&header(&P256), &with(&claims(&server.identifier), "aud", json!(audience)));
        let identity = identify(&gateway, &both, &bearer(&token), now()).await.unwrap();
        assert_eq!(&*identity.principal.id, id);
    }
}

#[test]
fn every_error_has_its_refusal() {
    let challenge = |error: CredentialError| match Refusal::from(error) {
        Refusal::Unauthenticated(challenge) => challenge,
        other => panic!("{other:?}"),
    };
    assert_eq!(challenge(CredentialError::Missing), Challenge::default());
    assert_eq!(challenge(Fault::OtherScheme.into()), Challenge::default());
    assert_eq!(challenge(Fault::Expired.into()).error, Some("invalid_token"));
    assert!(matches!(Refusal::from(CredentialError::UndeclaredGroup("a/b".into())), Refusal::UndeclaredGroup(_)));
    assert!(matches!(Refusal::from(CredentialError::IssuerUnavailable("a".into())), Refusal::IdentityUnavailable));
    for fault in Fault::ALL {
        // RFC 6750 allows no other characters in `error_description`.
        let allowed = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(fault.words().bytes().all(allowed), "{fault:?}");
    }
}
