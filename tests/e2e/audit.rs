//! The log holds: nothing acknowledged is missing, nothing happens unrecorded, and a full disk stops calls, not the log.

use crate::world::World;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tests::{
    client::{Client, Request},
    disk::{OUTLIVES_LIMIT, SmallDisk, limit_files},
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    records, skip, wait,
};

mod durability;
mod evidence;
mod export;
mod flood;
#[cfg(feature = "parquet")]
mod parquet;
mod query;
mod retention;
mod unrecorded;

/// Callers at once under load.
const CALLERS: usize = 16;

/// Answers after which the gateway is killed.
const ANSWERS: usize = 200;

/// How often it is killed, unless [`ROUNDS_VARIABLE`] says otherwise.
const ROUNDS: usize = 5;

/// The variable for long runs, such as 100 rounds.
const ROUNDS_VARIABLE: &str = "LATCHWORK_KILL_ROUNDS";

/// Size of the disk that is filled.
const DISK_MIB: u32 = 4;

/// Largest file where no disk can be mounted: the log has reached it already.
const LIMIT_BYTES: u64 = 1;

/// Calls that a full disk may still take, because space was reserved for them.
const RESERVED_MAX: usize = 5_000;

#[tokio::test]
async fn a_call_is_recorded_before_and_after() {
    let (project, origin, gateway) = open_shop("").await;
    let answer = gateway.client().send(Request::post("/orders", "six bytes")).await;
    assert_eq!(answer.status, 200);
    let records = records::of_call(&project.audit(), &answer.call_id());
    assert_eq!(records::kinds(&records), ["intent", "closed"], "{records:?}");
    assert_eq!(records[0]["function"], "shop.order");
    assert_eq!(records[0]["determining"], serde_json::json!(["everyone"]));
    assert_eq!((&records[1]["outcome"], &records[1]["status"]), (&"completed".into(), &200.into()));
    assert_eq!((&records[1]["bytes_in"], &records[1]["bytes_out"]), (&9.into(), &9.into()));
    assert_eq!(origin.seen().len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn a_denied_call_leaves_a_record_and_reaches_nobody() {
    let Some(world) = World::start("").await else { return };
    let secret = "a-body-that-nobody-should-see";
    let token = world.issuer.token(None).await;
    let request = Request::post("/orders", secret).bearer(&token).header("cookie", "session=a-cookie-of-tests");
    let answer = world.gateway.client().send(request).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    let records = records::of_call(&world.project.audit(), &answer.call_id());
    assert_eq!(records::kinds(&records), ["refused"]);
    assert_eq!(records[0]["principal"]["id"], format!("corp/{}", tests::oidc::CLIENT));
    assert_eq!(records[0]["reason"], "not_permitted");
    assert!(world.origin.seen().is_empty());
    let log = String::from_utf8(records::bytes(&world.project.audit())).unwrap() + &world.gateway.stderr();
    for hidden in [secret, &token, "a-cookie-of-tests"] {
        assert!(!log.contains(hidden), "`{hidden}` was written down");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_a_record() {
    let (project, origin, gateway) = open_shop("").await;
    for client in [gateway.client(), gateway.client().http2()] {
        let before = origin.seen().len();
        let hanging = tokio::spawn(async move { client.try_send(Request::post("/slow", "x")).await });
        wait::until("the call reaches the service", wait::LONG, || async {
            (origin.seen().len() > before).then_some(())
        })
        .await;
        hanging.abort();
        let call = call_id(&origin.seen()[before].headers);
        let closed = wait::until("the record of the end", wait::LONG, || async {
            records::of_call(&project.audit(), &call).into_iter().find(|record| record["kind"] == "closed")
        })
        .await;
        assert_eq!(closed["outcome"], "abandoned", "{closed}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_killed_gateway_has_lost_no_acknowledged_call() {
    let (project, origin, mut gateway) = open_shop("durability = \"fsync\"").await;
    let config = project.config();
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let rounds = std::env::var(ROUNDS_VARIABLE).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    for round in 1..=rounds {
        let callers: Vec<_> =
            (0..CALLERS).map(|_| tokio::spawn(call_until_lost(gateway.client(), acknowledged.clone()))).collect();
        wait::until("answers under load", wait::LONG, || async {
            (acknowledged.lock().unwrap().len() >= round * ANSWERS).then_some(())
        })
        .await;
        gateway.kill().await;
        for caller in callers {
            caller.await.unwrap();
        }
        let kinds = kinds_by_call(&project);
        for call in acknowledged.lock().unwrap().iter() {
            let kinds = kinds.get(call).unwrap_or_else(|| panic!("round {round}: call {call} has no record"));
            assert_eq!(kinds, &["intent", "closed"], "round {round}: call {call}");
        }
        for seen in origin.seen() {
            let call = call_id(&seen.headers);
            assert!(kinds.contains_key(&call), "round {round}: call {call} had an effect and has no record");
        }
        gateway = latchwork::run(&config, &project.ca()).await;
        let started = records::read(&project.audit()).into_iter().rfind(|r| r["event"] == "started").unwrap();
        assert!(started["predecessor"]["last_seq"].is_u64(), "the new log cites the old one: {started}");
        assert!(started["predecessor"]["tree"]["root"].is_string(), "and vouches for it: {started}");
        let (exit, text) = evidence::verify(&project, &[]);
        assert_eq!(exit, 0, "round {round}: {text}");
    }
    assert_eq!(gateway.client().send(Request::post("/orders", "x")).await.status, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn a_full_disk_refuses_calls_and_recovers_by_itself() {
    let project = Project::new();
    std::fs::create_dir(project.audit()).unwrap();
    let disk = SmallDisk::mount(&project.audit(), DISK_MIB);
    let (project, origin) = shop(project, "segment_bytes_max = 1048576").await;
    let gateway = latchwork::run_under(&OUTLIVES_LIMIT, &project.config(), &project.ca()).await;
    let client = gateway.client();
    assert_eq!(client.send(Request::post("/orders", "x")).await.status, 200);

    fill(&disk, &gateway);
    let mut session = client.open().await.unwrap();
    let mut taken = BTreeSet::new();
    let refused = loop {
        let answer = session.send(Request::post("/orders", "x")).await.unwrap();
        if answer.status != 200 {
            break answer;
        }
        taken.insert(answer.call_id());
        assert!(taken.len() < RESERVED_MAX, "{} calls were taken on a full disk", taken.len());
    };
    let kinds = kinds_by_call(&project);
    let unrecorded: Vec<_> = taken.iter().filter(|call| kinds[*call] != ["intent", "closed"]).collect();
    assert!(unrecorded.is_empty(), "taken and not recorded: {unrecorded:?}");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.headers.contains_key("retry-after"));
    assert!(refused.json()["type"].as_str().unwrap_or_default().ends_with("unrecorded"), "{}", refused.text());
    let reached = origin.seen().len();
    for _ in 0..CALLERS {
        assert_eq!(client.send(Request::post("/orders", "x")).await.status, 503);
    }
    assert_eq!(origin.seen().len(), reached, "an unrecorded call reached the service");

    free(&disk, &gateway);
    wait::until("recovery", Duration::from_secs(10), || async {
        (client.send(Request::post("/orders", "x")).await.status == 200).then_some(())
    })
    .await;
    // More than one gap is possible: a disk that is nearly full may take one more record.
    wait::until("the records of the gap", wait::LONG, || async {
        let records = records::read(&project.audit());
        let gaps = records.iter().filter(|record| record["event"] == "log_recovered");
        (gaps.filter_map(|gap| gap["refused"].as_u64()).sum::<u64>() >= 1).then_some(())
    })
    .await;
    gateway.stop().await;
    drop(disk);
}

/// From here on the log's disk is full.
fn fill(disk: &Result<SmallDisk, String>, gateway: &Running) {
    match disk {
        Ok(disk) => disk.fill(),
        Err(why) => {
            skip::say(&format!("\nno disk can be mounted ({why}): a limit on file sizes stands in for a full one\n"));
            limit_files(gateway.id(), Some(LIMIT_BYTES));
        }
    }
}

fn free(disk: &Result<SmallDisk, String>, gateway: &Running) {
    match disk {
        Ok(disk) => disk.free(),
        Err(_) => limit_files(gateway.id(), None),
    }
}

/// A gateway where everybody may call everything, in front of a service that remembers.
async fn open_shop(audited: &str) -> (Project, Origin, Running) {
    let (project, origin) = shop(Project::new(), audited).await;
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    (project, origin, gateway)
}

async fn shop(project: Project, audited: &str) -> (Project, Origin) {
    let origin = Origin::start().await;
    let unlimited = "[limits]\ncaller_rate = { per_second = 100000 }\nnetwork_rate = { per_second = 100000 }";
    let project = project
        .anonymous()
        .audited(audited)
        .tables(unlimited)
        .http("shop.order", "POST /orders", &origin.url, "")
        .http("shop.slow", "POST /slow", &origin.url, "")
        .permit_all();
    (project, origin)
}

/// Calls on one connection until it breaks, remembering every call that was answered whole.
async fn call_until_lost(client: Client, acknowledged: Arc<Mutex<BTreeSet<String>>>) {
    let Ok(mut session) = client.open().await else { return };
    while let Ok(answer) = session.send(Request::post("/orders", "x")).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
        acknowledged.lock().unwrap().insert(answer.call_id());
    }
}

fn kinds_by_call(project: &Project) -> BTreeMap<String, Vec<String>> {
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in records::read(&project.audit()) {
        if let (Some(call), Some(kind)) = (record["call"].as_str(), record["kind"].as_str()) {
            kinds.entry(call.to_owned()).or_default().push(kind.to_owned());
        }
    }
    kinds
}

fn call_id(headers: &http::HeaderMap) -> String {
    headers.get("latchwork-call-id").expect("the backend is told the call id").to_str().unwrap().to_owned()
}
