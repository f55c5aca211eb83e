//! Joining, filtering and forms, on records of every kind.

use super::{calls::BYTES_MAX, cloud_event::CloudEvents, ocsf::Ocsf, place::Unfinished, *};
use crate::audit::query::Source;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use std::{fs, io::Write, sync::Arc};
use uuid::Uuid;

/// One record of every kind, as in the contract.
fn golden() -> Vec<Line> {
    let text = include_str!("../record/golden.jsonl");
    text.lines().map(|line| read(line.as_bytes())).collect()
}

fn read(bytes: &[u8]) -> Line {
    let head = serde_json::from_slice(bytes).unwrap();
    Line { head, bytes: bytes.to_vec(), file: Arc::from(std::path::Path::new("a")), line: 1 }
}

/// A record of a call, with so much in it.
fn record(seq: u64, kind: &str, call: u128, more: &str) -> Line {
    let (call, incarnation) = (Uuid::from_u128(call), Uuid::nil());
    read(
        format!(
            "{{\"v\":1,\"kind\":\"{kind}\",\"seq\":{seq},\"at\":\"2026-11-23T21:04:05.1Z\",\"node\":\"gw\",\
             \"incarnation\":\"{incarnation}\",\"call\":\"{call}\"{more}}}"
        )
        .as_bytes(),
    )
}

fn events(lines: &[Line]) -> Vec<Value> {
    let mut form = Ocsf(Vec::new());
    for line in lines {
        form.write(std::slice::from_ref(line)).unwrap();
    }
    form.0.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect()
}

proptest! {
    #[test]
    fn every_record_of_a_call_leaves_once_and_in_order(calls in prop::collection::vec(0..20_u128, 1..200)) {
        let mut joined = Calls::default();
        let mut left: Vec<Line> = Vec::new();
        let mut take = |item: Item| match item {
            Item::Call(records) => {
                assert!(records.iter().all(|r| r.head.call == records[0].head.call), "of one call");
                assert!(records.windows(2).all(|two| two[0].head.seq < two[1].head.seq), "in order");
                left.extend(records);
            }
            Item::Other(record) => left.push(record),
        };
        for (seq, call) in calls.iter().enumerate() {
            let kind = ["intent", "attempt", "closed", "shadow", "refused"][seq % 5];
            joined.take(record(seq as u64, kind, *call, "")).into_iter().for_each(&mut take);
        }
        joined.rest().into_iter().for_each(&mut take);
        let mut seen: Vec<_> = left.iter().map(|line| line.head.seq).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..calls.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn calls_that_do_not_end_take_no_more_than_the_limit() {
    let mut calls = Calls::default();
    let large = format!(",\"x\":\"{}\"", "x".repeat(60_000));
    let (mut left, number) = (0, 3 * BYTES_MAX / 60_000);
    for call in 0..number {
        left += calls.take(record(call as u64, "intent", call as u128, &large)).len();
    }
    assert!(left > number / 2, "{left} of {number} had to go");
    assert_eq!(left + calls.rest().len(), number);
}

#[test]
fn every_kind_has_its_place_in_ocsf_or_none() {
    let events = events(&golden());
    let kinds: Vec<_> = events.iter().map(|event| event["unmapped"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["call", "refused", "refused", "summary", "admin"]);
    let statuses: Vec<_> = events.iter().map(|event| event["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["Unknown", "Failure", "Failure", "Failure", "Success"]);
    assert_eq!((&events[3]["count"], &events[3]["src_endpoint"]["name"]), (&515.into(), &"2001:db8::/64".into()));
    for event in &events {
        assert_eq!(event["type_uid"].as_u64(), Some(600_300 + event["activity_id"].as_u64().unwrap()));
        assert!(!event.to_string().contains("null"), "{event}");
    }
}

#[test]
fn a_cloud_event_has_the_record_byte_by_byte() {
    let lines = golden();
    let mut form = CloudEvents(Vec::new());
    assert!(form.write(&lines).unwrap());
    let text = String::from_utf8(form.0).unwrap();
    for (event, line) in text.lines().zip(&lines) {
        let data = event.split_once(",\"data\":").unwrap().1.strip_suffix('}').unwrap();
        assert_eq!(data.as_bytes(), line.bytes);
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(event["id"], format!("{}/{}", line.head.incarnation, line.head.seq));
    }
    assert_eq!(text.lines().count(), lines.len());
}

#[test]
fn times_are_read_in_three_ways() {
    let ago = |text| Timestamp::now().duration_since(filter::time(text).unwrap()).as_secs();
    assert_eq!(filter::time("2026-11-28T08:00:00Z").unwrap(), "2026-11-28T08:00:00Z".parse().unwrap());
    assert_eq!(filter::time("2026-11-28").unwrap(), "2026-11-28T00:00:00Z".parse().unwrap());
    assert!((86_390..86_410).contains(&ago("24h")) && (604_790..604_810).contains(&ago("7d")));
    for wrong in ["", "yesterday", "-1h", "24", "2026-13-01"] {
        assert!(filter::time(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_file_has_its_name_once_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("all.jsonl");
    let mut file = Unfinished::begin(&name).unwrap();
    file.write_all(b"part").unwrap();
    assert!(!name.exists());
    drop(file);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let mut file = Unfinished::begin(&name).unwrap();
    file.write_all(b"all").unwrap();
    file.keep().unwrap();
    assert_eq!(fs::read(&name).unwrap(), b"all");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(Unfinished::begin(&folder.path().join("no/such/folder/all")).is_err());
}

#[test]
fn a_damaged_record_ends_an_export_or_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("000000000000-000000000002.jsonl");
    let lines = [
        record(0, "admin", 1, ",\"verb\":\"x\",\"who\":\"y\""),
        record(2, "admin", 2, ",\"verb\":\"x\",\"who\":\"y\""),
    ];
    let text = [&lines[0].bytes[..], b"\nnonsense\n", &lines[1].bytes, b"\n"].concat();
    fs::write(&path, text).unwrap();
    let source = Source {
        incarnation: Uuid::nil(),
        path,
        first: 0,
        again: 0,
        last: Some(2),
        void_from: None,
        after_retired: false,
        home: Arc::from(folder.path()),
    };
    let records = || Records::of_sources(vec![source.clone()]);
    let filter = Filter::default();
    let mut out = Vec::new();
    let stop = &mut |problem: Problem| Err(io::Error::other(problem.to_string()));
    assert!(export(records(), &filter, &mut Lines(&mut out), stop).unwrap_err().to_string().contains(".jsonl:2: "));
    let (mut out, mut told) = (Vec::new(), 0);
    let tell = &mut |_: Problem| {
        told += 1;
        Ok(())
    };
    let exported = export(records(), &filter, &mut Lines(&mut out), tell).unwrap();
    assert_eq!((exported.written, told), (2, 1));
}
