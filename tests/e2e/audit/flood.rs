//! A flood of bad credentials on connections that stay open: it takes little of the disk, all of it is counted, and
//! others are served meanwhile.

use crate::{keys::key, tokens::refusals};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tests::{
    client::{Client, Request},
    latchwork,
    origin::Origin,
    project::Project,
    records,
};

/// Who floods at once: more than the gateway has cores.
const FLOODERS: usize = 8;
/// Calls of a client that is known, one after another, during the flood.
const CALLS: usize = 100;
/// Refusals after which the flood may end: many more than are recorded one by one.
const REFUSED_MIN: u64 = 1000;
/// What a network may have recorded one by one: so many at once, and so many each second.
const SINGLE: u64 = 20;

async fn flood(client: Client, ended: Arc<AtomicBool>, refused: Arc<AtomicU64>) {
    let mut session = client.open().await.unwrap();
    while !ended.load(Ordering::Relaxed) {
        let answer = session.send(Request::post("/orders", "x").header("x-api-key", "lw_partners_no_such_key")).await;
        assert_eq!(answer.expect("the connection stays open").status, 401);
        refused.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_flood_of_bad_keys_fills_no_disk_and_stops_nobody() {
    let origin = Origin::start().await;
    let tables = "[identity.api_keys.partners]\nfile = \"keys.toml\"\nprincipal = \"Client\"\n\
        [limits]\ncaller_rate = { per_second = 100000 }\nnetwork_rate = { per_second = 100000 }";
    let project = Project::new()
        .tables(tables)
        .identify("\"partners\"")
        .http("shop.order", "POST /orders", &origin.url, "")
        .listener("")
        .permit_all();
    let config = project.config();
    let good = key(&project, "acme --alias partners");
    let gateway = latchwork::run(&config, &project.ca()).await;
    let (ended, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let flooders: Vec<_> =
        (0..FLOODERS).map(|_| tokio::spawn(flood(gateway.client(), ended.clone(), refused.clone()))).collect();
    let mut session = gateway.client().open().await.unwrap();
    let mut calls = 0;
    while calls < CALLS || refused.load(Ordering::Relaxed) < REFUSED_MIN {
        let answer = session.send(Request::post("/orders", "x").header("x-api-key", &good)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        calls += 1;
    }
    ended.store(true, Ordering::Relaxed);
    for flooder in flooders {
        flooder.await.unwrap();
    }
    let took = begun.elapsed() + Duration::from_secs(1);
    gateway.stop().await;

    let all = records::read(&project.audit());
    assert_eq!(all.iter().filter(|record| record["kind"] == "closed").count(), calls);
    assert_eq!(refusals(&project.audit()), refused.load(Ordering::Relaxed), "every refusal is recorded or counted");
    let single = all.iter().filter(|record| record["kind"] == "refused").count() as u64;
    assert!((1..=SINGLE * (1 + took.as_secs())).contains(&single), "{single} in {took:?}");
    let others = all.iter().filter(|record| record["kind"] == "refused" || record["kind"] == "summary");
    let bytes: usize = others.map(|record| record.to_string().len()).sum();
    assert!(bytes < 1024 * (SINGLE as usize * 2) * (1 + took.as_secs() as usize), "{bytes} bytes in {took:?}");
}
