//! A disk that refuses: calls are refused, what is owed is kept, and the log recovers by itself.

use super::{completed, disk::Fake, intent, start, until};
use crate::{
    audit::{
        Unrecorded,
        log::Log,
        record::{Refused, Stage},
    },
    config::Durability,
};
use jiff::Timestamp;
use std::time::{Duration, Instant};
use uuid::Uuid;

async fn intent_of(log: &Log) -> Result<crate::audit::guard::Guard, Unrecorded> {
    let mut guard = log.open_call(Uuid::now_v7(), Timestamp::now())?;
    guard.intent(&intent(None)).await?;
    Ok(guard)
}

/// Fills the disk until an intent is refused; returns the calls that are open.
async fn fill(log: &Log) -> Vec<crate::audit::guard::Guard> {
    let mut open = Vec::new();
    loop {
        match intent_of(log).await {
            Ok(guard) => open.push(guard),
            Err(error) => {
                assert_eq!(error, Unrecorded::Failing);
                return open;
            }
        }
    }
}

fn assert_whole(disk: &Fake) {
    for (seq, record) in disk.records().iter().enumerate() {
        assert_eq!(record["seq"], seq as u64);
    }
    assert!(disk.text().ends_with('\n'));
}

#[tokio::test]
async fn on_a_full_disk_every_admitted_call_can_still_be_closed() {
    for durability in [Durability::Fsync, Durability::Write] {
        let disk = Fake::new();
        disk.state().capacity = Some(64 * 1024);
        let log = start(&disk, durability);
        let open = fill(&log).await;
        assert!(open.len() > 5, "{}", open.len());
        assert!(!log.healthy());
        assert_eq!(log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap_err(), Unrecorded::Failing);
        let admitted = open.len();
        for guard in open {
            guard.closed(&completed()).await.unwrap();
        }
        let closed = disk.records().iter().filter(|r| r["kind"] == "closed").count();
        assert_eq!(closed, admitted);
        assert_whole(&disk);
    }
}

#[tokio::test]
async fn it_recovers_by_itself_and_says_so() {
    let disk = Fake::new();
    disk.state().capacity = Some(32 * 1024);
    let log = start(&disk, Durability::Fsync);
    let open = fill(&log).await;
    disk.state().capacity = None;
    until(|| log.healthy()).await;
    drop(intent_of(&log).await.unwrap());
    drop(open);
    until(|| log.stats().calls_left == crate::audit::queue::Room::ALL.calls).await;
    let recovered: Vec<_> = disk.records().into_iter().filter(|r| r["event"] == "log_recovered").collect();
    assert_eq!(recovered.len(), 1);
    assert_eq!(recovered[0]["refused"], 1);
    assert!(log.stats().last_error.is_some());
    assert_whole(&disk);
}

#[tokio::test]
async fn without_reserved_room_a_short_write_leaves_nothing() {
    let disk = Fake::new();
    disk.state().reserves = false;
    disk.state().capacity = Some(16 * 1024 + 100);
    let log = start(&disk, Durability::Fsync);
    let open = fill(&log).await;
    assert_whole(&disk);
    let admitted = open.len();
    drop(open);
    disk.state().capacity = None;
    until(|| disk.records().iter().filter(|r| r["kind"] == "closed").count() == admitted).await;
    assert_whole(&disk);
}

#[tokio::test]
async fn a_failed_sync_abandons_the_segment() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Fsync);
    let guard = intent_of(&log).await.unwrap();
    disk.state().sync_fails = true;
    assert_eq!(intent_of(&log).await.unwrap_err(), Unrecorded::Failing);
    guard.close_later(&completed());
    disk.state().sync_fails = false;
    until(|| log.healthy()).await;
    intent_of(&log).await.unwrap().closed(&completed()).await.unwrap();
    assert!(disk.state().files.len() >= 2);
    assert_whole(&disk);
    assert_eq!(disk.records().iter().filter(|r| r["kind"] == "closed").count(), 2);
}

#[tokio::test]
async fn what_can_not_be_cut_off_is_void() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Fsync);
    {
        let mut state = disk.state();
        state.sync_fails = true;
        state.truncate_fails = true;
    }
    assert_eq!(intent_of(&log).await.unwrap_err(), Unrecorded::Failing);
    {
        let mut state = disk.state();
        state.sync_fails = false;
    }
    until(|| log.healthy()).await;
    disk.state().truncate_fails = false;
    log.shutdown().await;
    // Read back through real files: the abandoned tail is skipped.
    let folder = tempfile::tempdir().unwrap();
    let incarnation = disk.records()[0]["incarnation"].as_str().unwrap().parse().unwrap();
    for (name, contents) in &disk.state().files {
        std::fs::write(folder.path().join(name), &contents.bytes).unwrap();
    }
    let records = crate::audit::query::Records::of_incarnation(incarnation, folder.path()).unwrap();
    let seqs: Vec<_> = records.map(|line| line.unwrap().head.seq).collect();
    assert_eq!(seqs, (0..seqs.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn on_a_read_only_disk_what_is_owed_waits_a_bound_and_is_written_later() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Fsync);
    let (closed, refused) = (intent_of(&log).await.unwrap(), log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap());
    disk.state().read_only = true;
    assert_eq!(intent_of(&log).await.unwrap_err(), Unrecorded::Failing);
    let started = Instant::now();
    let refusal = Refused::worded("denied", 403, Stage::Authorize);
    let completed = completed();
    let (one, two) = tokio::join!(closed.closed(&completed), refused.refused(&refusal));
    assert_eq!((one, two), (Err(Unrecorded::Failing), Err(Unrecorded::Failing)));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    disk.state().read_only = false;
    until(|| log.healthy()).await;
    let kinds: Vec<_> = disk.records().iter().map(|r| r["kind"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.contains(&"closed".to_owned()) && kinds.contains(&"refused".to_owned()), "{kinds:?}");
    assert_whole(&disk);
}

#[tokio::test]
async fn a_removed_segment_is_noticed() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Write);
    intent_of(&log).await.unwrap().closed(&completed()).await.unwrap();
    disk.state().files.clear();
    until(|| log.stats().last_error.is_some()).await;
    until(|| log.healthy()).await;
    intent_of(&log).await.unwrap().closed(&completed()).await.unwrap();
}

#[tokio::test]
async fn it_stops_even_while_the_disk_refuses() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Fsync);
    let guard = intent_of(&log).await.unwrap();
    disk.state().read_only = true;
    assert!(intent_of(&log).await.is_err());
    tokio::time::timeout(Duration::from_secs(5), log.shutdown()).await.unwrap();
    assert_eq!(guard.closed(&completed()).await, Err(Unrecorded::Closed));
    assert_eq!(log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap_err(), Unrecorded::Closed);
}

#[tokio::test]
async fn a_call_that_may_run_late_runs_on_a_failing_disk_and_never_on_a_closed_log() {
    let disk = Fake::new();
    disk.state().capacity = Some(32 * 1024);
    let log = start(&disk, Durability::Write);
    let open = fill(&log).await;
    let refused = log.open_call_unless(Uuid::now_v7(), Timestamp::now(), || false);
    assert_eq!(refused.unwrap_err(), Unrecorded::Failing);
    let opened = || log.open_call_unless(Uuid::now_v7(), Timestamp::now(), || true).unwrap();
    assert_eq!(opened().may_run_late(false), Err(Unrecorded::Failing), "of another function");
    let mut late = opened();
    late.may_run_late(true).unwrap();
    assert_eq!(late.intent(&intent(None)).await, Ok(true));
    let call = late.call().to_string();
    late.closed(&completed()).await.unwrap();
    assert!(!disk.records().iter().any(|record| record["call"] == call.as_str() && record["kind"] == "intent"));
    let mut after = opened();
    after.may_run_late(true).unwrap();
    drop(open);
    disk.state().capacity = None;
    until(|| log.healthy()).await;
    log.shutdown().await;
    assert_eq!(after.intent(&intent(None)).await, Err(Unrecorded::Closed));
    let records = disk.records();
    let of_late: Vec<_> = records.iter().filter(|record| record["call"] == call.as_str()).collect();
    assert_eq!((of_late.len(), &of_late[0]["late"], &of_late[1]["kind"]), (2, &true.into(), &"closed".into()));
    let recovered = records.iter().find(|record| record["event"] == "log_recovered").unwrap();
    assert_eq!(recovered["ran"], 1, "{recovered}");
    assert_whole(&disk);
}
