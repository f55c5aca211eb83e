//! The verifier under attack: every way to tamper with a log, and every fault that is none.

use super::*;
use crate::{
    audit::{
        checkpoint::{Checkpoint, NEWEST},
        log::Log,
        note::Note,
        query::Records,
        signer::{FileKey, Signer},
        tests::{completed, config, copy, intent},
    },
    config::Durability,
};
use std::io::Write;

mod history;
mod tamper;

const NODE: &str = "gw";

/// A folder of logs and the key that signs them.
pub(super) struct Rig {
    folder: tempfile::TempDir,
    key: VerifierKey,
}

impl Rig {
    /// Logs of two incarnations, in several segments.
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = FileKey::create(&folder.path().join("checkpoint.key"), "latchwork/gw").unwrap().verifier_key();
        let rig = Self { folder, key };
        for _ in 0..2 {
            rig.calls(12).await;
        }
        rig
    }

    /// One more incarnation with so many calls.
    pub(super) async fn calls(&self, number: usize) {
        let log = self.open();
        for _ in 0..number {
            call(&log).await;
        }
        log.shutdown().await;
    }

    pub(super) fn open(&self) -> Log {
        let mut small = config(self.folder.path(), Durability::Write);
        small.segment_bytes_max = 4096;
        small.checkpoints.records = 8;
        Log::open(&small, &NODE.into(), Uuid::now_v7()).unwrap()
    }

    pub(super) fn verify(&self) -> Report {
        self.verify_with(&[])
    }

    pub(super) fn verify_with(&self, held: &[Held]) -> Report {
        verify(&[self.folder.path().to_owned()], std::slice::from_ref(&self.key), held).unwrap()
    }

    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let found = query::incarnations(&self.folder.path().join(NODE)).unwrap();
        found.into_iter().map(|(_, directory)| directory).collect()
    }

    /// The segments of an incarnation, by age of both.
    pub(super) fn segments(&self, incarnation: usize) -> Vec<PathBuf> {
        let listed = segment::list(&self.directories()[incarnation]).unwrap();
        listed.into_iter().map(|(_, path)| path).collect()
    }

    /// The newest checkpoint of an incarnation.
    pub(super) fn held(&self, incarnation: usize) -> Held {
        let file = self.directories()[incarnation].join(NEWEST);
        let note = Note::parse(&fs::read_to_string(&file).unwrap()).unwrap();
        let head = Checkpoint::open(&note, std::slice::from_ref(&self.key)).unwrap().head;
        Held { file: "kept".into(), head }
    }

    /// A copy of everything as it is now.
    pub(super) fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        Self { folder, key: self.key.clone() }
    }
}

pub(super) async fn call(log: &Log) {
    let mut guard = log.open_call(Uuid::now_v7(), Timestamp::now()).unwrap();
    guard.intent(&intent(None)).await.unwrap();
    guard.closed(&completed()).await.unwrap();
}

pub(super) fn edit(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_proved_whole() {
    let rig = Rig::new().await;
    let report = rig.verify();
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.logs.len(), report.records, report.proved), (2, 52, 52));
    assert!(report.notes.is_empty() && report.logs.iter().all(|log| log.ended));
    assert!(rig.segments(0).len() > 2);
    assert!(rig.verify_with(&[rig.held(0), rig.held(1)]).ok);
    for directory in rig.directories() {
        assert!(verify(&[directory], std::slice::from_ref(&rig.key), &[]).unwrap().problems.len() <= 1);
    }
    let serialised = serde_json::to_value(&report).unwrap();
    assert_eq!((&serialised["ok"], &serialised["logs"][0]["proved"]), (&true.into(), &26.into()));
}

#[tokio::test]
async fn a_running_log_is_proved_up_to_its_last_checkpoint() {
    let rig = Rig::new().await;
    let log = rig.open();
    for _ in 0..3 {
        call(&log).await;
    }
    let report = rig.verify();
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.logs[2].records, report.logs[2].proved >= 1, report.logs[2].ended), (7, true, false));
    let newest = rig.segments(2).pop().unwrap();
    fs::OpenOptions::new().append(true).open(newest).unwrap().write_all(b"{\"v\":1,").unwrap();
    let report = rig.verify();
    assert!(report.ok && report.notes.iter().any(|note| note.what == What::Torn(7)), "{report:#?}");
    drop(log);
}

#[tokio::test]
async fn what_a_killed_writer_left_is_repaired_cited_and_proved() {
    let rig = Rig::new().await;
    let log = rig.open();
    for _ in 0..3 {
        call(&log).await;
    }
    // A copy is what a kill at this moment leaves: nobody holds its lock.
    let killed = rig.copy();
    log.shutdown().await;
    let newest = killed.segments(2).pop().unwrap();
    fs::OpenOptions::new().append(true).open(newest).unwrap().write_all(b"{\"v\":1,").unwrap();
    assert!(killed.verify().ok);
    killed.calls(1).await;
    let report = killed.verify();
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.logs[2].records, report.logs[2].proved), (7, 7), "the successor vouches for all of it");
    // So what the crash left can't be cut any more.
    edit(&killed.segments(2).pop().unwrap(), |lines| drop(lines.pop()));
    assert!(!killed.verify().ok);
}

#[tokio::test]
async fn a_predecessor_that_is_not_as_it_was_signed_is_reported_and_does_not_stop_the_next() {
    let rig = Rig::new().await;
    edit(&rig.segments(1)[0], |lines| lines[1] = lines[1].replace("dev/alice", "dev/mallory"));
    fs::remove_file(rig.directories()[1].join("tree")).unwrap();
    rig.calls(1).await;
    let first = Records::of_node(&rig.folder.path().join(NODE)).unwrap().map(Result::unwrap);
    let started = first.filter(|line| line.head.seq == 0).last().unwrap().body().unwrap();
    let Body::System(System::Started { predecessor: Some(predecessor), .. }) = started else { panic!("{started:?}") };
    assert!(predecessor.problem.is_some_and(|problem| problem.contains("not those that were signed")));
    assert!(!rig.verify().ok);
}
