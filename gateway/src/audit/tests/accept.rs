//! When a record counts as accepted, and in what order records stand.

use super::{completed, config, disk::Fake, intent, start, until};
use crate::{
    audit::{log::Log, query::Records},
    config::Durability,
};
use jiff::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet};
use uuid::Uuid;

async fn call(log: &Log) -> Uuid {
    let call = Uuid::now_v7();
    let mut guard = log.open_call(call, Timestamp::now()).unwrap();
    guard.intent(&intent(None)).await.unwrap();
    guard.closed(&completed()).await.unwrap();
    call
}

#[tokio::test]
async fn a_slow_disk_is_shared_by_all_who_wait() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Fsync);
    disk.state().sync_takes = Duration::from_millis(100);
    let at_once = Arc::new(Semaphore::new(32));
    let started = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let (log, at_once) = (log.clone(), Arc::clone(&at_once));
        calls.spawn(async move {
            let _turn = at_once.acquire().await.unwrap();
            call(&log).await
        });
    }
    assert_eq!(calls.join_all().await.len(), 64);
    let took = started.elapsed();
    assert!(took <= Duration::from_secs(1), "{took:?}");
    assert!(log.stats().syncs <= 12, "{:?}", log.stats());
}

#[tokio::test]
async fn nothing_is_accepted_before_its_sync_returned() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Fsync);
    disk.state().sync_takes = Duration::from_millis(3);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (log, disk) = (log.clone(), disk.clone());
        calls.spawn(async move {
            let id = Uuid::now_v7();
            let mut guard = log.open_call(id, Timestamp::now()).unwrap();
            guard.intent(&intent(None)).await.unwrap();
            let durable = disk.synced_text();
            assert!(durable.lines().any(|line| line.contains(&id.to_string()) && line.contains("\"intent\"")));
            guard.closed(&completed()).await.unwrap();
            let durable = disk.synced_text();
            assert!(durable.lines().any(|line| line.contains(&id.to_string()) && line.contains("\"closed\"")));
        });
    }
    calls.join_all().await;
}

#[tokio::test]
async fn write_mode_does_not_wait_for_a_sync() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Write);
    disk.state().sync_takes = Duration::from_secs(2);
    let started = Instant::now();
    let id = call(&log).await;
    assert!(started.elapsed() < Duration::from_millis(1500));
    assert_eq!(disk.text().matches(&id.to_string()).count(), 2);
}

#[tokio::test]
async fn in_write_mode_a_sync_follows_soon_and_its_failure_is_noticed() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Write);
    let id = call(&log).await;
    until(|| disk.synced_text().matches(&id.to_string()).count() == 2).await;
    disk.state().sync_fails = true;
    call(&log).await;
    let syncs = disk.state().syncs;
    until(|| disk.state().syncs > syncs).await;
    disk.state().sync_fails = false;
    let mut guard = log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap();
    let _ = guard.intent(&intent(None)).await;
    until(|| log.stats().last_error.is_some()).await;
    until(|| log.healthy()).await;
    call(&log).await;
    assert!(disk.state().files.len() >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_are_contiguous_and_times_never_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = crate::config::Audit { segment_bytes_max: 64 * 1024, ..config(folder.path(), Durability::Write) };
    let log = Log::open(&config, &"gw".into(), Uuid::now_v7()).unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let log = log.clone();
        calls.spawn(async move {
            for _ in 0..100 {
                call(&log).await;
            }
        });
    }
    calls.join_all().await;
    log.shutdown().await;
    let lines: Vec<_> = Records::of_node(&folder.path().join("gw")).unwrap().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 2 + 2 * 1600);
    let mut files = std::collections::BTreeSet::new();
    for (seq, pair) in lines.windows(2).enumerate() {
        assert_eq!(pair[0].head.seq, seq as u64);
        assert!(pair[0].head.at <= pair[1].head.at, "{:?} {:?}", pair[0].head, pair[1].head);
        files.insert(pair[0].file.clone());
    }
    assert!(files.len() > 10, "{} segments", files.len());
    for file in files {
        assert!(file.metadata().unwrap().len() <= 64 * 1024);
    }
}

#[tokio::test]
async fn a_call_that_hung_up_is_recorded_all_the_same() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Fsync);
    let before = Uuid::now_v7();
    drop(log.open_call(before, Timestamp::now()).unwrap());
    let after = Uuid::now_v7();
    let mut guard = log.open_call(after, Timestamp::now()).unwrap();
    guard.intent(&intent(None)).await.unwrap();
    drop(guard);
    // Dropped while the intent is on its way.
    disk.state().sync_takes = Duration::from_millis(50);
    let midway = Uuid::now_v7();
    let mut guard = log.open_call(midway, Timestamp::now()).unwrap();
    tokio::time::timeout(Duration::from_millis(10), guard.intent(&intent(None))).await.unwrap_err();
    drop(guard);
    until(|| log.stats().calls_left == crate::audit::queue::Room::ALL.calls).await;
    let outcomes: Vec<_> = disk
        .records()
        .iter()
        .map(|r| (r["kind"].clone(), r["call"].clone(), r["outcome"].clone(), r["refusal"].clone()))
        .filter(|r| r.0 == "closed" || r.0 == "refused")
        .collect();
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
    assert_eq!((&outcomes[0].1, &outcomes[0].3), (&before.to_string().into(), &"abandoned".into()));
    assert_eq!((&outcomes[1].1, &outcomes[1].2), (&after.to_string().into(), &"abandoned".into()));
    assert_eq!((&outcomes[2].1, &outcomes[2].2), (&midway.to_string().into(), &"abandoned".into()));
}

#[tokio::test]
async fn too_many_open_calls_are_refused_and_room_comes_back() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Write);
    let all = crate::audit::queue::Room::ALL.calls;
    let guards: Vec<_> = (0..all).map(|_| log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap()).collect();
    assert_eq!(log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap_err(), crate::audit::Unrecorded::NoRoom);
    drop(guards);
    until(|| log.stats().calls_left == all).await;
    assert_eq!(log.stats().bytes_left, crate::audit::queue::Room::ALL.bytes);
}
