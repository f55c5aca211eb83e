//! The log as a whole: what is accepted, in which order, and what is read back.

use super::{
    log::{Begin, Log},
    query::Records,
    record::*,
};
use crate::config::{Audit, Checkpoints, Durability, Retention};
use jiff::Timestamp;
use policy::{
    permit::{BundleId, PolicyName, TargetIndex},
    question::*,
};
use std::{fs, io, path::Path, sync::Arc, time::Duration};
use uuid::Uuid;

mod accept;
pub(crate) mod disk;
mod failing;
mod faults;
mod flood;
mod reading;

/// A log on a disk of the test's.
fn start(disk: &disk::Fake, durability: Durability) -> Log {
    let config = config(Path::new("nowhere"), durability);
    Log::start(Box::new(disk.clone()), &config, "gw-1", Uuid::now_v7(), Arc::default(), Begin::default()).unwrap()
}

/// Waits for a condition, up to ten seconds.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the condition did not come true in time");
}

/// Copies a log's folder as it is, even while it is written.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if let Err(error) = fs::copy(entry.path(), target) {
            // A checkpoint that was on its way has its name now.
            let unfinished = entry.path().extension().is_some_and(|extension| extension == "new");
            assert!(unfinished && error.kind() == io::ErrorKind::NotFound, "{}: {error}", entry.path().display());
        }
    }
}

pub(crate) fn config(path: &Path, durability: Durability) -> Audit {
    let checkpoints = Checkpoints::with_own_key(path.join("checkpoint.key"));
    let retention = Retention { pack_after: Duration::from_secs(86_400), ..Retention::default() };
    Audit {
        path: path.to_owned(),
        durability,
        segment_bytes_max: 1 << 20,
        retention,
        checkpoints,
        privacy: Default::default(),
        detect: Default::default(),
        ship: Vec::new(),
    }
}

pub(crate) fn question(input: Option<serde_json::Value>) -> Question {
    let principal = Principal {
        kind: PrincipalKind::User,
        id: "dev/alice".into(),
        issuer: Some("dev".into()),
        groups: Arc::new(["dev/staff".into()]),
        attributes: PrincipalAttributes::default(),
    };
    Question {
        principal,
        verb: Verb::Call,
        function: FunctionName::parse("hello.greet").unwrap(),
        facts: Facts {
            call: CallKind::Sync,
            network: Network { source: "127.0.0.1".parse().ok(), provenance: Provenance::Socket, zone: "other".into() },
            transport: Transport { mtls: false, tls: 0, sealed: false },
            token: None,
            clock: Clock {
                now: "2026-11-23T21:04:05.123456Z".parse().unwrap(),
                weekday: 1,
                minute: 1264,
                business_day: None,
                frozen: None,
            },
            via: Via::default(),
            approval: None,
        },
        path: Default::default(),
        query: Default::default(),
        input: input.map(Arc::new),
    }
}

pub(crate) fn intent(input: Option<serde_json::Value>) -> Intent {
    Intent {
        question: Arc::new(question(input)),
        looks: policy::engine::looks::Looks::everything(),
        bundle: BundleId("sha256:00".into()),
        determining: Arc::new([PolicyName("staff-may-greet".into())]),
        targets: Arc::new([TargetIndex(0)]),
        target: TargetIndex(0),
        chosen: None,
        resting: Vec::new(),
        observed: None,
    }
}

pub(crate) fn completed() -> Closed {
    Closed { outcome: Outcome::Completed, status: Some(200), bytes_in: 2, bytes_out: 5, error: None, run: None }
}

#[tokio::test]
async fn a_call_leaves_its_records_in_order() {
    for durability in [Durability::Fsync, Durability::Write] {
        let folder = tempfile::tempdir().unwrap();
        let incarnation = Uuid::now_v7();
        let log = Log::open(&config(folder.path(), durability), &"gw-1".into(), incarnation).unwrap();
        let call = Uuid::now_v7();
        let mut guard = log.open_call(call, Timestamp::now()).unwrap();
        guard.intent(&intent(Some(serde_json::json!({"name": "x", "password": "p"})))).await.unwrap();
        guard.closed(&completed()).await.unwrap();
        log.shutdown().await;
        let lines: Vec<_> = Records::of_node(&folder.path().join("gw-1")).unwrap().map(Result::unwrap).collect();
        let kinds: Vec<_> = lines.iter().map(|line| line.head.kind).collect();
        assert_eq!(kinds, [Kind::System, Kind::Intent, Kind::Closed, Kind::System]);
        for (seq, line) in lines.iter().enumerate() {
            assert_eq!((line.head.seq, line.head.incarnation), (seq as u64, incarnation));
            println!("{}", String::from_utf8_lossy(&line.bytes));
            line.body().unwrap();
        }
    }
}
