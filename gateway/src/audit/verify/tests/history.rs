//! Any sequence of appends, crashes and truncations: given a checkpoint that covers the last acknowledged record, the
//! verification passes exactly when nothing acknowledged was lost.

use super::*;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngSeed, TestRunner},
};

/// Random histories.
const HISTORIES: u64 = 24;

#[derive(Clone, Debug)]
enum Step {
    /// So many calls.
    Calls(usize),
    /// The process is killed, and started again. So many bytes of a record that nobody acknowledged are there.
    Crash(usize),
    /// It is stopped and started again.
    Stop,
    /// So many bytes are cut off the end of a segment of an incarnation.
    Cut { incarnation: prop::sample::Index, segment: prop::sample::Index, bytes: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cut = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..3000_u64);
    let step = prop_oneof![
        4 => (0..8_usize).prop_map(Step::Calls),
        2 => (0..60_usize).prop_map(Step::Crash),
        1 => Just(Step::Stop),
    ];
    let cut = cut.prop_map(|(incarnation, segment, bytes)| Step::Cut { incarnation, segment, bytes });
    (prop::collection::vec(step, 1..10), prop::option::of(cut)).prop_map(|(mut steps, cut)| {
        steps.extend(cut);
        steps
    })
}

/// Every whole record, by incarnation.
fn records(rig: &Rig) -> Vec<(Uuid, u64)> {
    let node = rig.folder.path().join(NODE);
    Records::of_node(&node).unwrap().filter_map(Result::ok).map(|line| (line.head.incarnation, line.head.seq)).collect()
}

async fn run(steps: Vec<Step>) {
    let mut rig =
        Rig { folder: tempfile::tempdir().unwrap(), key: FileKey::generate("unused").unwrap().verifier_key() };
    rig.key = FileKey::create(&rig.folder.path().join("checkpoint.key"), "latchwork/gw").unwrap().verifier_key();
    let mut log = rig.open();
    let mut cut = None;
    for step in &steps {
        match step {
            Step::Calls(number) => {
                for _ in 0..*number {
                    call(&log).await;
                }
            }
            Step::Crash(torn) => {
                // A copy is what a kill at this moment leaves.
                let killed = rig.copy();
                log.shutdown().await;
                let newest = killed.segments(killed.directories().len() - 1).pop().unwrap();
                let mut file = fs::OpenOptions::new().append(true).open(newest).unwrap();
                file.write_all(
                    &b"{\"v\":1,\"kind\":\"intent\",\"seq\":3,\"at\":\"2026-11-23T21:04:05.100000Z\""[..*torn],
                )
                .unwrap();
                rig = killed;
                let report = rig.verify();
                assert!(report.ok, "after a crash: {steps:?} {report:#?}");
                log = rig.open();
            }
            Step::Stop => {
                log.shutdown().await;
                log = rig.open();
            }
            Step::Cut { incarnation, segment, bytes } => cut = Some((*incarnation, *segment, *bytes)),
        }
    }
    log.shutdown().await;
    let acknowledged = records(&rig);
    let held = rig.held(rig.directories().len() - 1);
    assert!(rig.verify_with(std::slice::from_ref(&held)).ok, "{steps:?}");
    if let Some((incarnation, segment, bytes)) = cut {
        let segments = rig.segments(incarnation.index(rig.directories().len()));
        let path = &segments[segment.index(segments.len())];
        let length = fs::metadata(path).unwrap().len();
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length.saturating_sub(bytes)).unwrap();
    }
    let lost = records(&rig) != acknowledged;
    let report = rig.verify_with(&[held]);
    assert_eq!(report.ok, !lost, "{steps:?} {report:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_passes_exactly_when_nothing_acknowledged_was_lost() {
    let mut runs = tokio::task::JoinSet::new();
    for seed in 0..HISTORIES {
        let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() });
        let steps = steps().new_tree(&mut runner).unwrap().current();
        runs.spawn(run(steps));
    }
    runs.join_all().await;
}
