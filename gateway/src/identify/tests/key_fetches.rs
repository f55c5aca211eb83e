//! How keys are fetched: once for many, in bounds, and never where they should not be.

use super::{
    keys::{P256, TestKey, set},
    rig::{Rig, accepted, bearer, claims, header, identify, issuer, now, until, with},
    server::{Answer, FakeIssuer},
};
use crate::{
    config::{self, Credential},
    identify::{CredentialError, Fault, Identify},
};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet};

fn unavailable<T>() -> Result<T, CredentialError> {
    Err(CredentialError::IssuerUnavailable("corp".into()))
}

async fn storm(identify: &Arc<Identify>, tokens: Vec<String>) -> Vec<Result<(), CredentialError>> {
    let mut tasks = JoinSet::new();
    for token in tokens {
        let gateway = identify.clone();
        tasks.spawn(async move { super::rig::identify(&gateway, &accepted(), &bearer(&token), now()).await.map(drop) });
    }
    tasks.join_all().await
}

fn strangers(rig: &Rig) -> Vec<String> {
    let stranger = TestKey::p256("stranger");
    let head = |i: usize| with(&header(&stranger), "kid", json!(format!("unknown-{i}")));
    (0..2000).map(|i| stranger.token(&head(i), &rig.claims())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_unknown_keys_cost_two_fetches() {
    for warm in [false, true] {
        let rig = Rig::start().await;
        if warm {
            rig.check(&P256.token(&header(&P256), &rig.claims())).await.unwrap();
        }
        let answers = storm(&rig.identify, strangers(&rig)).await;
        assert_eq!(answers.len(), 2000);
        assert!(answers.iter().all(|a| *a == Err(Fault::UnknownKey.into())));
        assert!(rig.server.keys_asked() <= 2, "{}", rig.server.keys_asked());
        assert!(rig.server.discovery_asked() <= 1, "{}", rig.server.discovery_asked());
        // Those who know a good key are served all the while.
        rig.check(&P256.token(&header(&P256), &rig.claims())).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_first_callers_share_one_fetch() {
    let rig = Rig::start().await;
    let gate = Arc::new(Semaphore::new(0));
    rig.server.answer(Answer::Late(gate.clone(), set(&[&P256])));
    let tokens = (0..200).map(|i| P256.token(&header(&P256), &with(&rig.claims(), "jti", json!(i)))).collect();
    let opener = async {
        until("the fetch", || rig.server.keys_asked() > 0).await;
        gate.add_permits(1000);
    };
    let (answers, ()) = tokio::join!(storm(&rig.identify, tokens), opener);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(rig.server.keys_asked(), 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_take_the_fetch_along() {
    let rig = Rig::start().await;
    let gate = Arc::new(Semaphore::new(0));
    rig.server.answer(Answer::Late(gate.clone(), set(&[&P256])));
    let token = P256.token(&header(&P256), &rig.claims());
    for _ in 0..20 {
        let (gateway, token) = (rig.identify.clone(), token.clone());
        let caller =
            tokio::spawn(async move { identify(&gateway, &accepted(), &bearer(&token), now()).await.map(drop) });
        until("the fetch", || rig.server.keys_asked() > 0).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    gate.add_permits(1);
    rig.check(&token).await.unwrap();
    assert_eq!(rig.server.keys_asked(), 1);
}

#[tokio::test]
async fn a_bad_answer_is_no_key_set() {
    let other = FakeIssuer::start(Answer::Body(set(&[&P256]))).await;
    let answers = [
        Answer::Status(500),
        Answer::Status(404),
        Answer::Status(204),
        Answer::Redirect,
        Answer::Body("<html>".to_owned()),
        Answer::Body(format!("{}{}", set(&[&P256]), " ".repeat(512 * 1024))),
    ];
    for answer in answers {
        let rig = Rig::start().await;
        rig.server.answer(answer.clone());
        let token = P256.token(&header(&P256), &rig.claims());
        assert_eq!(rig.check(&token).await, unavailable(), "{answer:?}");
        let stats = &rig.identify.stats()[0];
        assert!(stats.fetches_failed >= 1 && !stats.available && stats.problem.is_some(), "{stats:?}");
    }
    let discoveries = [
        format!(r#"{{"issuer":"{0}","jwks_uri":"{0}/jwks"}}"#, other.identifier),
        r#"{"issuer":"ISSUER/","jwks_uri":"ISSUER/jwks"}"#.to_owned(),
        r#"{"issuer":"ISSUER","jwks_uri":"http://192.0.2.1/jwks"}"#.to_owned(),
        r#"{"issuer":"ISSUER","jwks_uri":"file:///etc/passwd"}"#.to_owned(),
        r#"{"issuer":"ISSUER","jwks_uri":"http://user@127.0.0.1/jwks"}"#.to_owned(),
        r#"{"issuer":"ISSUER"}"#.to_owned(),
        r#"{"issuer":"x","issuer":"ISSUER","jwks_uri":"ISSUER/jwks"}"#.to_owned(),
    ];
    for discovery in discoveries {
        let rig = Rig::start().await;
        rig.server.discovery(discovery.replace("ISSUER", &rig.server.identifier));
        assert_eq!(rig.check(&P256.token(&header(&P256), &rig.claims())).await, unavailable(), "{discovery}");
        assert_eq!(rig.server.keys_asked(), 0, "{discovery}");
    }
    assert_eq!(other.keys_asked() + other.discovery_asked(), 0);
}

#[tokio::test]
async fn a_silent_issuer_costs_a_bounded_wait_and_only_its_own_callers() {
    let (silent, well) =
        (FakeIssuer::start(Answer::Silence).await, FakeIssuer::start(Answer::Body(set(&[&P256]))).await);
    let mut other = issuer(&silent.identifier);
    other.alias = "silent".into();
    let gateway = Arc::new(Identify::new(&[issuer(&well.identifier), other], None).unwrap());
    gateway.warm();
    let both = [Credential::Issuer("silent".into()), Credential::Issuer("corp".into())];
    let began = Instant::now();
    let waiting = {
        let (gateway, both) = (gateway.clone(), both.clone());
        let token = P256.token(&header(&P256), &claims(&silent.identifier));
        tokio::spawn(async move { identify(&gateway, &both, &bearer(&token), now()).await })
    };
    until("the silent fetch", || silent.keys_asked() > 0).await;
    let token = P256.token(&header(&P256), &claims(&well.identifier));
    identify(&gateway, &both, &bearer(&token), now()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(!waiting.is_finished());
    let silent_answer = waiting.await.unwrap();
    assert_eq!(silent_answer, Err(CredentialError::IssuerUnavailable("silent".into())));
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[test]
fn an_issuer_that_can_not_be_trusted_is_not_configured() {
    let with = |change: fn(&mut config::Issuer)| {
        let mut issuer = issuer("https://login.test");
        issuer.ca = None;
        change(&mut issuer);
        Identify::new(&[issuer], None).map(drop).is_ok()
    };
    let bad: [fn(&mut config::Issuer); 15] = [
        |i| i.issuer = "http://login.test".into(),
        |i| i.issuer = "http://192.0.2.1".into(),
        |i| i.issuer = "http://localhost.evil.test".into(),
        |i| i.issuer = "http://127.0.0.1.evil.test".into(),
        |i| i.issuer = "ftp://127.0.0.1".into(),
        |i| i.issuer = "login".into(),
        |i| i.issuer = "https://user:secret@login.test".into(),
        |i| i.issuer = "https://login.test?a=b".into(),
        |i| i.jwks_uri = Some("http://login.test/jwks".into()),
        |i| i.ca = Some("/nonexistent/ca.pem".into()),
        |i| i.audiences.clear(),
        |i| i.algorithms.clear(),
        |i| i.algorithms.push(jsonwebtoken::Algorithm::HS256),
        |i| i.principal = policy::question::PrincipalKind::Anonymous,
        |i| i.attributes.push(("admin".into(), "admin".into())),
    ];
    for (i, change) in bad.into_iter().enumerate() {
        assert!(!with(change), "{i}");
    }
    let good: [fn(&mut config::Issuer); 3] = [
        |i| i.issuer = "http://127.0.0.1:4000".into(),
        |i| i.issuer = "http://[::1]:4000".into(),
        |i| i.issuer = "http://localhost:4000/".into(),
    ];
    for (i, change) in good.into_iter().enumerate() {
        assert!(with(change), "{i}");
    }
}
