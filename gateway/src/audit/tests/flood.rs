//! Refusals before identification: single records up to a rate, summaries beyond it, few bytes in all.

use super::{disk::Fake, intent, start, until};
use crate::{
    audit::{
        Unrecorded,
        record::{Known, Refused, Stage},
    },
    config::Durability,
};
use jiff::Timestamp;
use std::net::{IpAddr, Ipv6Addr};
use uuid::Uuid;

fn refused() -> Refused {
    Refused::worded("unauthenticated", 401, Stage::Identify)
}

fn from(source: IpAddr) -> Known {
    Known { source: Some(source), ..Known::default() }
}

fn counted(disk: &Fake) -> u64 {
    let records = disk.records();
    let counts = records
        .iter()
        .filter(|r| r["kind"] == "summary")
        .flat_map(|r| r["counts"].as_object().unwrap().values().cloned().collect::<Vec<_>>());
    counts.map(|count| count.as_u64().unwrap()).sum()
}

fn single(disk: &Fake) -> u64 {
    disk.records().iter().filter(|r| r["kind"] == "refused").count() as u64
}

#[tokio::test]
async fn a_flood_of_one_network_is_counted() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Write);
    for i in 0..5_000_u128 {
        // The /64 is what counts, not the address.
        let source = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | i));
        log.refused_early(Uuid::now_v7(), &from(source), &refused()).await.unwrap();
    }
    log.shutdown().await;
    assert_eq!(single(&disk) + counted(&disk), 5_000);
    // A burst of 20, and 20 for each second that the test took.
    assert!((20..500).contains(&single(&disk)), "{}", single(&disk));
    assert_eq!(log.stats().counted, counted(&disk));
    assert!(disk.records().iter().any(|r| r["network"] == "2001:db8::/64"));
    assert!(disk.text().len() < 250_000, "{}", disk.text().len());
}

#[tokio::test]
async fn a_flood_of_many_networks_is_bounded_too() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Write);
    for i in 0..20_000_u128 {
        let source = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | i << 64));
        log.refused_early(Uuid::now_v7(), &from(source), &refused()).await.unwrap();
    }
    log.shutdown().await;
    assert_eq!(single(&disk) + counted(&disk), 20_000);
    assert!(single(&disk) < 8_000, "{}", single(&disk));
    let summaries = disk.records().iter().filter(|r| r["kind"] == "summary").count();
    assert!(summaries <= 17 * 15, "{summaries}");
    assert!(disk.records().iter().any(|r| r["network"] == "other"));
}

#[tokio::test]
async fn a_flood_does_not_stop_others() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Fsync);
    for _ in 0..2_000 {
        let mut guard = log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap();
        guard.known().source = Some("203.0.113.7".parse().unwrap());
        guard.refused_early(&refused()).await.unwrap();
    }
    let mut guard = log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap();
    guard.intent(&intent(None)).await.unwrap();
    guard.closed(&super::completed()).await.unwrap();
    until(|| counted(&disk) + single(&disk) == 2_000).await;
    assert!(disk.records().iter().any(|r| r["network"] == "203.0.113.7" && r["counts"]["unauthenticated"].is_u64()));
    assert_eq!(log.stats().calls_left, crate::audit::queue::Room::ALL.calls);
}

#[tokio::test]
async fn while_the_log_fails_they_are_counted_and_the_caller_is_told() {
    let disk = Fake::new();
    let log = start(&disk, Durability::Fsync);
    let guard = log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap();
    disk.state().read_only = true;
    let known = from("203.0.113.7".parse().unwrap());
    assert_eq!(log.refused_early(Uuid::now_v7(), &known, &refused()).await, Err(Unrecorded::Failing));
    assert_eq!(guard.refused_early(&refused()).await, Err(Unrecorded::Failing));
    disk.state().read_only = false;
    until(|| counted(&disk) == 2).await;
}
