//! Whatever is retired, in whatever order: what is left verifies, every record of it can be proved, and every checkpoint
//! is proved, or known as one that can't be checked, and never a failure.

use super::*;
use crate::audit::prove;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngSeed, TestRunner},
};

/// Random histories.
const HISTORIES: u64 = 12;

async fn run(calls: Vec<usize>, choices: Vec<u64>) {
    let rig = Rig::new(&calls).await;
    let log = rig.open();
    rig.calls(&log, 6).await;
    let held = rig.held();
    let all: Vec<_> = Records::of_node(&rig.node()).unwrap().map(Result::unwrap).collect();
    for choice in choices {
        // Which segments may go this time.
        let chosen: MayGo = Arc::new(move |_, records: &Range<u64>| {
            (records.start.wrapping_mul(2_654_435_761) ^ choice).is_multiple_of(3)
        });
        rig.pass(Worker { now: in_a_year, may_go: chosen, ..rig.worker(&log) }).await.1.unwrap();
        let report = rig.verify(&held);
        assert!(report.ok, "{report:#?}");
        let left = rig.records();
        let of_before = left.iter().filter(|found| all.iter().any(|l| (l.head.incarnation, l.head.seq) == **found));
        assert_eq!(of_before.count() as u64 + report.retired, all.len() as u64, "{report:#?}");
        for line in &all {
            let Some(call) = line.head.call else { continue };
            let there = |line: &query::Line| left.contains(&(line.head.incarnation, line.head.seq));
            let expected = all.iter().filter(|other| other.head.call == Some(call) && there(other)).count();
            match prove::call(&rig.node(), call) {
                Ok(proofs) => {
                    assert_eq!(proofs.len(), expected);
                    proofs.iter().for_each(|proof| drop(proof.verify(std::slice::from_ref(&rig.key)).unwrap()));
                }
                Err(prove::ProveError::Unsigned { .. }) => {}
                Err(error) => assert!(expected == 0, "{error}"),
            }
        }
    }
    log.shutdown().await;
    let log = rig.open();
    log.shutdown().await;
    assert!(rig.verify(&held).ok && rig.verify(&rig.held()).ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_retired_the_rest_is_proved() {
    for seed in 0..HISTORIES {
        let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() });
        let input = (prop::collection::vec(0..14_usize, 1..3), prop::collection::vec(any::<u64>(), 1..4));
        let (calls, choices) = input.new_tree(&mut runner).unwrap().current();
        run(calls, choices).await;
    }
}
