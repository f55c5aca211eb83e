//! Retention on real logs: whatever goes, what is left is proved, and what is not allowed to go stays.

use super::*;
use crate::{
    audit::{
        checkpoint::{ALL, Checkpoint},
        log::Log,
        note::{Note, VerifierKey},
        query::{self, Records},
        signer::FileKey,
        subject::hold::{Change, Hold},
        tests::{completed, config, copy, intent},
        tombstone,
        verify::{Held as Kept, report::Report, verify},
    },
    config::Durability,
};
use std::{fs, sync::atomic::AtomicUsize};

mod crashes;
mod limits;
mod random;
mod tampering;

const NODE: &str = "gw";

/// Where a keeper is killed: at the step with this number, counted down.
#[derive(Debug)]
pub(crate) struct Crash(AtomicUsize);

impl Crash {
    pub(super) fn at(&self, step: &'static str) -> io::Result<()> {
        let left = self.0.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other(format!("killed at `{step}`")));
        }
        self.0.store(left - 1, Ordering::Relaxed);
        Ok(())
    }
}

/// A folder of logs, and the key that signs them.
struct Rig {
    folder: tempfile::TempDir,
    key: VerifierKey,
    config: config::Audit,
}

impl Rig {
    /// Logs of some incarnations that ended, each of several segments.
    async fn new(calls: &[usize]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = FileKey::create(&folder.path().join("checkpoint.key"), "latchwork/gw").unwrap().verifier_key();
        let mut config = config(&folder.path().join("audit"), Durability::Write);
        config.segment_bytes_max = 4096;
        config.checkpoints.key = folder.path().join("checkpoint.key");
        config.checkpoints.records = 8;
        let rig = Self { folder, key, config };
        for calls in calls {
            let log = rig.open();
            rig.calls(&log, *calls).await;
            log.shutdown().await;
        }
        rig
    }

    fn open(&self) -> Log {
        Log::open(&self.config, &NODE.into(), Uuid::now_v7()).unwrap()
    }

    async fn calls(&self, log: &Log, calls: usize) {
        for number in 0..calls {
            self.call(log, &format!("dev/user-{number}")).await;
        }
    }

    async fn call(&self, log: &Log, who: &str) -> Uuid {
        let call = Uuid::now_v7();
        let mut guard = log.open_call(call, Timestamp::now()).unwrap();
        let mut asked = intent(None);
        let mut question = (*asked.question).clone();
        question.principal.id = who.into();
        asked.question = Arc::new(question);
        guard.intent(&asked).await.unwrap();
        guard.closed(&completed()).await.unwrap();
        call
    }

    fn node(&self) -> PathBuf {
        self.config.path.join(NODE)
    }

    fn worker(&self, log: &Log) -> Worker {
        let anything: MayGo = Arc::new(|_, _| true);
        Worker::new(&self.config, &NODE.into(), log, anything, Arc::default()).unwrap()
    }

    /// One pass beside the runtime, as the log's writer answers there.
    async fn pass(&self, mut worker: Worker) -> (Worker, io::Result<()>) {
        tokio::task::spawn_blocking(move || {
            let done = worker.pass();
            (worker, done)
        })
        .await
        .unwrap()
    }

    fn verify(&self, held: &[Kept]) -> Report {
        verify(std::slice::from_ref(&self.config.path), std::slice::from_ref(&self.key), held).unwrap()
    }

    fn directories(&self) -> Vec<PathBuf> {
        query::incarnations(&self.node()).unwrap().into_iter().map(|(_, directory)| directory).collect()
    }

    /// Every checkpoint that was ever signed, as somebody outside may hold it.
    fn held(&self) -> Vec<Kept> {
        let mut held = Vec::new();
        for directory in self.directories() {
            let file = File::open(directory.join(ALL)).unwrap();
            for found in crate::audit::checkpoint::Notes::new(io::BufReader::new(file)) {
                let head =
                    Checkpoint::open(&found.unwrap().note.unwrap(), std::slice::from_ref(&self.key)).unwrap().head;
                held.push(Kept { file: "kept".into(), head });
            }
        }
        held
    }

    fn segments(&self) -> Vec<PathBuf> {
        query::sources(&self.node()).unwrap().into_iter().map(|source| source.path).collect()
    }

    fn tombstones(&self) -> Vec<PathBuf> {
        let list = |directory: PathBuf| tombstone::list(&directory).unwrap().into_iter().map(|(_, _, path)| path);
        self.directories().into_iter().flat_map(list).collect()
    }

    /// Every record that can be read; that there is a gap is no problem where it is explained.
    fn records(&self) -> Vec<(Uuid, u64)> {
        let records = Records::of_node(&self.node()).unwrap().map(Result::unwrap);
        records.map(|line| (line.head.incarnation, line.head.seq)).collect()
    }
}

fn in_a_year() -> Timestamp {
    Timestamp::now() + Duration::from_secs(366 * 86_400)
}

fn tomorrow() -> Timestamp {
    Timestamp::now() + Duration::from_secs(86_400 + 60)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_go_and_what_is_left_is_proved() {
    let mut rig = Rig::new(&[20, 20]).await;
    let log = rig.open();
    rig.calls(&log, 20).await;
    let (before, held) = (rig.records(), rig.held());
    rig.config.retention.bytes_max = Some(8 * 1024);
    let (worker, done) = rig.pass(rig.worker(&log)).await;
    done.unwrap();
    assert!(worker.shared.counters.stored.load(Ordering::Relaxed) <= 8 * 1024);
    let (records, tombstones) = (rig.records(), rig.tombstones());
    assert!(records.len() < before.len() && tombstones.len() > 3, "{} tombstones", tombstones.len());
    assert!(rig.segments().iter().any(|path| path.extension().unwrap() == "zst"), "what is closed is packed first");
    let report = rig.verify(&held);
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.records, report.retired > 0), (records.len() as u64, true));
    assert_eq!(report.logs[0].retired.last().unwrap().last + 1, report.logs[0].size, "the whole first one is gone");
    assert!(report.logs[0].retired[0].rule.starts_with("bytes_max"), "{report:#?}");
    let unchecked = |what: &crate::audit::verify::report::What| what.to_string().contains("can't be checked any more");
    assert!(report.notes.iter().any(|note| unchecked(&note.what)), "{report:#?}");
    assert!(report.problems.is_empty());
    log.shutdown().await;
    let log = rig.open();
    let report = rig.verify(&held);
    assert!(report.ok && report.logs.len() == 4, "{report:#?}");
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_incarnations_go_and_the_chain_holds() {
    let rig = Rig::new(&[6, 0, 9]).await;
    let log = rig.open();
    let mut worker = rig.worker(&log);
    worker.now = in_a_year;
    rig.pass(worker).await.1.unwrap();
    assert_eq!(rig.segments().len(), 1, "only the one that is written is left");
    let report = rig.verify(&rig.held());
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.logs.len(), report.logs[0].records, report.logs[2].retired.len() > 1), (4, 0, true));
    log.shutdown().await;
    // Those that come after cite what is left, and nothing is missing.
    let again = rig.open();
    again.shutdown().await;
    let report = rig.verify(&rig.held());
    assert!(report.ok, "{report:#?}");
    // An incarnation that is gone with its tombstones is missed, though it was retired as a whole.
    fs::remove_dir_all(&rig.directories()[1]).unwrap();
    let report = rig.verify(&[]);
    assert!(report.problems.iter().any(|problem| problem.to_string().contains("is missing")), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_finds_only_tombstones_begins_all_the_same() {
    let rig = Rig::new(&[6]).await;
    let log = rig.open();
    let mut worker = rig.worker(&log);
    worker.now = in_a_year;
    rig.pass(worker).await.1.unwrap();
    log.shutdown().await;
    // Another gateway of this node retires the one before it, then is gone without a trace; its successor cites both.
    let directories = rig.directories();
    fs::remove_file(directories[0].join("tree")).unwrap();
    fs::remove_dir_all(&directories[1]).unwrap();
    let log = rig.open();
    let line = Records::of_node(&rig.node()).unwrap().map(Result::unwrap).next().unwrap();
    let text = String::from_utf8(line.bytes).unwrap();
    assert!(text.contains("\"tree\":{\"size\":14,") && !text.contains("problem"), "{text}");
    assert!(rig.verify(&rig.held()).ok);
    log.shutdown().await;
}
