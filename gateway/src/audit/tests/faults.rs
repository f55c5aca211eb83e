//! Whatever the disk does, in whatever order: what was accepted is in the log once, in order, and every call has an end.

use super::{completed, disk::Fake, intent, start, until};
use crate::{
    audit::{
        log::Log,
        query::{Records, What},
        record::{Kind, Refused, Stage},
    },
    config::Durability,
};
use jiff::Timestamp;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngSeed, TestRunner},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Runs of random faults, all at once since they mostly wait.
const RUNS: u64 = 48;

#[derive(Clone, Debug)]
enum Step {
    Call {
        input_bytes: usize,
        answers: bool,
        ends: End,
    },
    /// So many bytes more than are used.
    Capacity(Option<u64>),
    ReadOnly(bool),
    SyncFails(bool),
    TruncateFails(bool),
    Turns(u8),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Closed,
    Dropped,
    Refused,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![Just(End::Closed), Just(End::Dropped), Just(End::Refused)];
    let step = prop_oneof![
        8 => (0..3000_usize, any::<bool>(), end)
            .prop_map(|(input_bytes, answers, ends)| Step::Call { input_bytes, answers, ends }),
        1 => prop_oneof![Just(None), (0..8_000_u64).prop_map(Some)].prop_map(Step::Capacity),
        1 => any::<bool>().prop_map(Step::ReadOnly),
        1 => any::<bool>().prop_map(Step::SyncFails),
        1 => any::<bool>().prop_map(Step::TruncateFails),
        3 => (0..20_u8).prop_map(Step::Turns),
    ];
    prop::collection::vec(step, 20..120)
}

/// What the log said yes to, by call.
type Accepted = Arc<Mutex<BTreeMap<Uuid, Vec<Kind>>>>;

async fn call(log: Log, accepted: Accepted, input_bytes: usize, answers: bool, end: End) {
    let id = Uuid::now_v7();
    let Ok(mut guard) = log.open_call(id, Timestamp::now()) else { return };
    accepted.lock().unwrap().insert(id, Vec::new());
    let note = |kind| accepted.lock().unwrap().get_mut(&id).unwrap().push(kind);
    if matches!(end, End::Refused) {
        if guard.refused(&Refused::worded("denied", 403, Stage::Authorize)).await.is_ok() {
            note(Kind::Refused);
        }
        return;
    }
    let input = serde_json::Value::String("x".repeat(input_bytes));
    if guard.intent(&intent(Some(input))).await.is_err() {
        return guard.refuse_later(&Refused::worded("unrecorded", 503, Stage::Invoke));
    }
    note(Kind::Intent);
    let answered = crate::audit::record::Answered { status: 200, target: policy::permit::TargetIndex(0) };
    if answers && guard.answered(answered).await.is_ok() {
        note(Kind::Answered);
    }
    match end {
        End::Dropped => drop(guard),
        End::Closed | End::Refused => {
            if guard.closed(&completed()).await.is_ok() {
                note(Kind::Closed);
            }
        }
    }
}

async fn run(steps: Vec<Step>, durability: Durability, reserves: bool) {
    let disk = Fake::new();
    disk.state().reserves = reserves;
    let log = start(&disk, durability);
    let accepted = Accepted::default();
    let mut calls = JoinSet::new();
    for step in steps.clone() {
        match step {
            Step::Call { input_bytes, answers, ends } => {
                calls.spawn(call(log.clone(), Arc::clone(&accepted), input_bytes, answers, ends));
            }
            Step::Capacity(free) => {
                let mut state = disk.state();
                state.capacity = free.map(|free| free + state.used());
            }
            Step::ReadOnly(is) => disk.state().read_only = is,
            Step::SyncFails(fails) => disk.state().sync_fails = fails,
            Step::TruncateFails(fails) => disk.state().truncate_fails = fails,
            Step::Turns(number) => {
                for _ in 0..number {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        }
    }
    {
        let mut state = disk.state();
        state.capacity = None;
        (state.read_only, state.sync_fails, state.truncate_fails) = (false, false, false);
    }
    calls.join_all().await;
    until(|| log.healthy()).await;
    log.shutdown().await;
    check(&disk, &accepted, durability, &steps);
}

fn check(disk: &Fake, accepted: &Accepted, durability: Durability, steps: &[Step]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, contents) in &disk.state().files {
        let end = if durability == Durability::Fsync { contents.synced } else { contents.bytes.len() };
        std::fs::write(folder.path().join(name), &contents.bytes[..end]).unwrap();
    }
    let first: serde_json::Value = serde_json::from_str(disk.text().lines().next().unwrap()).unwrap();
    let incarnation = first["incarnation"].as_str().unwrap().parse().unwrap();
    let mut found: BTreeMap<Uuid, Vec<Kind>> = BTreeMap::new();
    let mut expected = 0;
    for line in Records::of_incarnation(incarnation, folder.path()).unwrap() {
        let line = match line {
            Ok(line) => line,
            // What could neither be written whole nor cut off again is void, and is seen to be torn.
            Err(problem) if matches!(problem.what, What::Torn(_)) => continue,
            Err(problem) => panic!("{problem} {steps:?}"),
        };
        assert_eq!(line.head.seq, expected, "{steps:?}");
        expected += 1;
        if let Some(call) = line.head.call {
            found.entry(call).or_default().push(line.head.kind);
        }
    }
    for (call, accepted) in accepted.lock().unwrap().iter() {
        let found = found.remove(call).unwrap_or_default();
        for kind in accepted {
            assert_eq!(found.iter().filter(|f| *f == kind).count(), 1, "{accepted:?} {found:?} {steps:?}");
        }
        let ends = found.iter().filter(|kind| matches!(kind, Kind::Closed | Kind::Refused)).count();
        assert_eq!(ends, 1, "{accepted:?} {found:?} {steps:?}");
        assert_eq!(found.contains(&Kind::Intent), found.contains(&Kind::Closed), "{found:?} {steps:?}");
    }
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_loses_what_was_accepted() {
    let mut runs = JoinSet::new();
    for seed in 0..RUNS {
        let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() });
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let durability = if seed % 2 == 0 { Durability::Fsync } else { Durability::Write };
        runs.spawn(run(steps, durability, seed % 3 != 0));
    }
    runs.join_all().await;
}
