//! Keys that come and go while tokens are checked, issuers that go down, and reloads.

use super::{
    keys::{P256, TestKey, set},
    rig::{Rig, accepted, bearer, header, identify, issuer, now, until, with},
    server::Answer,
};
use crate::identify::{CredentialError, Fault, Identify};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_new_key_counts_with_its_first_token() {
    let rig = Rig::start().await;
    rig.check(&P256.token(&header(&P256), &rig.claims())).await.unwrap();
    for kid in ["second", "third"] {
        let next = TestKey::p256(kid);
        rig.server.answer(Answer::Body(set(&[&P256, &next])));
        rig.check(&next.token(&header(&next), &rig.claims())).await.unwrap();
    }
    assert_eq!(rig.server.keys_asked(), 3);
    assert_eq!(rig.server.discovery_asked(), 1);
}

#[tokio::test]
async fn a_new_key_counts_soon_though_someone_makes_up_key_ids() {
    let rig = Rig::start().await;
    let (stranger, next) = (TestKey::p256("made-up"), TestKey::p256("next"));
    let junk = stranger.token(&header(&stranger), &rig.claims());
    assert_eq!(rig.check(&junk).await, Err(Fault::UnknownKey.into()));
    rig.server.answer(Answer::Body(set(&[&P256, &next])));
    let (token, began) = (next.token(&header(&next), &rig.claims()), Instant::now());
    while rig.check(&token).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(6), "the new key does not count");
        assert_eq!(rig.check(&junk).await, Err(Fault::UnknownKey.into()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(rig.server.keys_asked() <= 4, "{}", rig.server.keys_asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_good_token_is_refused_while_keys_come_and_go() {
    let rig = Rig::with(|issuer| issuer.refresh = SHORT).await;
    let kids = ["k0", "k1", "k2", "k3", "k4", "k5"];
    let keys: Vec<_> = kids.map(TestKey::p256).into();
    for (i, key) in keys.iter().enumerate() {
        // The one before and the one after are published too, as careful issuers do.
        let published: Vec<&TestKey> = keys.iter().skip(i.saturating_sub(1)).take(3).collect();
        rig.server.answer(Answer::Body(set(&published)));
        let asked = rig.server.keys_asked();
        let mut checked = 0;
        // Until the set was fetched anew at least once, by schedule or because of the token.
        while rig.server.keys_asked() < asked + 2 {
            let token = key.token(&header(key), &with(&rig.claims(), "jti", checked.into()));
            let (first, again) = tokio::join!(rig.check(&token), rig.check(&token));
            assert!(first.is_ok() && again.is_ok(), "{i}: {first:?} {again:?}");
            checked += 1;
        }
    }
}

#[tokio::test]
async fn a_removed_key_stops_to_count_within_the_refresh_even_for_known_tokens() {
    let rig = Rig::with(|issuer| issuer.refresh = SHORT).await;
    let token = P256.token(&header(&P256), &rig.claims());
    rig.check(&token).await.unwrap();
    let next = TestKey::p256("next");
    rig.server.answer(Answer::Body(set(&[&next])));
    let removed = Instant::now();
    while rig.check(&token).await.is_ok() {
        assert!(removed.elapsed() < Duration::from_secs(5), "the key still counts");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(rig.check(&token).await, Err(Fault::UnknownKey.into()));
    rig.check(&next.token(&header(&next), &rig.claims())).await.unwrap();
}

#[tokio::test]
async fn the_same_keys_again_keep_known_tokens_known() {
    let rig = Rig::with(|issuer| issuer.refresh = SHORT).await;
    let token = P256.token(&header(&P256), &rig.claims());
    rig.check(&token).await.unwrap();
    until("three refreshes", || rig.server.keys_asked() > 3).await;
    rig.check(&token).await.unwrap();
    let stats = &rig.identify.stats()[0];
    assert_eq!((stats.tokens_verified, stats.cache_hits), (1, 1), "{stats:?}");
}

#[tokio::test]
async fn the_last_good_keys_serve_through_the_grace_and_no_longer() {
    let rig = Rig::with(|issuer| {
        issuer.refresh = SHORT;
        issuer.grace = Duration::from_millis(1500);
    })
    .await;
    let token = P256.token(&header(&P256), &rig.claims());
    rig.check(&token).await.unwrap();
    rig.server.answer(Answer::Status(503));
    let (down, mut served) = (Instant::now(), Duration::ZERO);
    let refused = loop {
        match rig.check(&token).await {
            Ok(_) => served = down.elapsed(),
            Err(refused) => break refused,
        }
        assert!(down.elapsed() < Duration::from_secs(8), "the keys never become too old");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(refused, CredentialError::IssuerUnavailable("corp".into()));
    assert!(served > Duration::from_millis(1200), "{served:?}");
    assert!(!rig.identify.stats()[0].available);
    rig.server.answer(Answer::Body(set(&[&P256])));
    until("recovery", || rig.identify.stats()[0].available).await;
    rig.check(&token).await.unwrap();
}

#[tokio::test]
async fn an_unknown_key_while_the_issuer_is_down_is_not_called_bad() {
    let rig = Rig::start().await;
    let good = P256.token(&header(&P256), &rig.claims());
    rig.check(&good).await.unwrap();
    rig.server.answer(Answer::Status(503));
    let next = TestKey::p256("next");
    let token = next.token(&header(&next), &rig.claims());
    for _ in 0..3 {
        assert_eq!(rig.check(&token).await, Err(CredentialError::IssuerUnavailable("corp".into())));
    }
    rig.check(&good).await.unwrap();
    assert_eq!(rig.server.keys_asked(), 2);
}

#[tokio::test]
async fn a_token_without_kid_needs_a_single_key() {
    let rig = Rig::start().await;
    rig.server.answer(Answer::Body(set(&[&P256])));
    let token = P256.raw(r#"{"alg":"ES256"}"#, &rig.claims().to_string());
    rig.check(&token).await.unwrap();
    let rig = Rig::start().await;
    let token = P256.raw(r#"{"alg":"ES256"}"#, &rig.claims().to_string());
    assert_eq!(rig.check(&token).await, Err(Fault::KeyNotNamed.into()));
}

#[tokio::test]
async fn a_reload_keeps_what_did_not_change() {
    let rig = Rig::start().await;
    let token = P256.token(&header(&P256), &rig.claims());
    rig.check(&token).await.unwrap();
    rig.server.answer(Answer::Status(503));
    let config = issuer(&rig.server.identifier);

    let same = Identify::new(std::slice::from_ref(&config), Some(&rig.identify)).unwrap();
    identify(&same, &accepted(), &bearer(&token), now()).await.unwrap();
    assert_eq!(same.stats()[0].cache_hits, 1);

    let mut fewer_groups = config.clone();
    fewer_groups.groups.declared.clear();
    let changed = Identify::new(&[fewer_groups], Some(&same)).unwrap();
    let refused = identify(&changed, &accepted(), &bearer(&token), now()).await;
    assert_eq!(refused, Err(CredentialError::UndeclaredGroup("corp/buyers".to_owned())));
    assert_eq!(rig.server.keys_asked(), 1, "the keys did not change, only what is made of tokens");

    let mut elsewhere = config.clone();
    elsewhere.issuer = "http://127.0.0.1:1".into();
    let moved = Identify::new(&[elsewhere], Some(&changed)).unwrap();
    assert_eq!(identify(&moved, &accepted(), &bearer(&token), now()).await, Err(Fault::Issuer.into()));

    let back = Identify::new(&[config], Some(&moved)).unwrap();
    assert!(identify(&back, &accepted(), &bearer(&token), now()).await.is_err(), "keys of an earlier life are gone");
}

#[tokio::test]
async fn nothing_runs_on_once_the_last_holder_is_gone() {
    let rig = Rig::with(|issuer| issuer.refresh = SHORT).await;
    rig.identify.warm();
    rig.identify.warm();
    until("the first fetch", || rig.server.keys_asked() > 0).await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let Rig { server, identify } = rig;
    drop(identify);
    until("the end of the task", || tokio::runtime::Handle::current().metrics().num_alive_tasks() < before).await;
    assert!(server.keys_asked() > 0);
}
