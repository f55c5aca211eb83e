//! What deciding and loading cost, and Cedar's own `is_authorized` beside it: `cargo bench -p policy --bench decide`.
//!
//! Times are processor time of this thread, medians of paired runs. A missed bar ends it with a failure.
#![expect(clippy::indexing_slicing, reason = "the world is as large as it says")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::expect_used, reason = "a world that can't be made is a fault of the benchmark")]

mod world;

use cpu_time::ThreadTime;
use policy::{
    bundle::{load, reload},
    engine::Snapshot,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::{alloc::System, hint::black_box, process::ExitCode, time::Duration, time::Instant};
use world::World;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Pairs of runs, of which the median counts.
const PAIRS: usize = 31;
/// Decisions of one run.
const DECISIONS: usize = 2_000;
/// Functions that are asked of in turn.
const ASKED: usize = 10;
/// Functions of the load, each with an input and a policy of its own.
const LOADED: usize = 10_000;

const DECISION_MAX: Duration = Duration::from_micros(5);
const ALLOCATIONS_MAX: usize = 60;
const FLAT_MAX: f64 = 1.15;
const LOAD_MAX: Duration = Duration::from_secs(5);
const CHANGE_MAX: Duration = Duration::from_millis(100);
const BYTES_MAX: usize = 150_000_000;

fn main() -> ExitCode {
    let loaded = loading();
    let decided = deciding();
    if loaded && decided { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says what was seen and whether it is within the bar.
fn bar(what: &str, seen: String, within: bool) -> bool {
    println!("{} {what}: {seen}", if within { "ok    " } else { "MISSED" });
    within
}

fn loading() -> bool {
    let world = World::new(LOADED, 20);
    let region = Region::new(ALLOCATOR);
    let (cpu, wall) = (ThreadTime::now(), Instant::now());
    let (snapshot, _) = load(&world.sources, world.declared.clone(), world::now()).expect("the world loads");
    let (cpu, wall) = (cpu.elapsed(), wall.elapsed());
    let change = region.change();
    let held = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    let mut changes: Vec<_> = (0..5).map(|round| changed(&world, &snapshot, round)).collect();
    changes.sort_unstable();
    let changed = changes.get(changes.len() / 2).copied().unwrap_or_default();
    let peak = peak_kib();
    let what = format!("load of {LOADED} functions with an input and a policy each, and 20 policies over groups");
    let fast = bar(&what, format!("{cpu:.2?} of processor, {wall:.2?} in all"), cpu <= LOAD_MAX);
    let small = bar(
        "bytes held by the snapshot",
        format!("{:.1} MB (peak of the process with its sources {} MB)", mega(held), peak / 1024),
        held <= BYTES_MAX,
    );
    let soon =
        bar("load after a change of one policy of them", format!("{changed:.2?} of processor"), changed <= CHANGE_MAX);
    fast && small && soon
}

/// Loads again with one policy changed.
fn changed(world: &World, before: &Snapshot, round: usize) -> Duration {
    let sources = world.with_a_change(round);
    let cpu = ThreadTime::now();
    let (after, _) = reload(&sources, world.declared.clone(), world::now(), before).expect("the world loads");
    let spent = cpu.elapsed();
    assert!(after.id() != before.id(), "it is another bundle");
    spent
}

fn mega(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap_or(u32::MAX)) / 1000.0
}

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn deciding() -> bool {
    let mut fine = true;
    let mut medians = Vec::new();
    println!("functions  decide    of them all  allocations  cedar is_authorized  times");
    for functions in [10, 100, 1_000, 10_000] {
        let world = World::new(functions, 0);
        let (snapshot, _) = load(&world.sources, world.declared.clone(), world::now()).expect("the world loads");
        let cedar = world::cedar::Whole::new(&world);
        let (mut ours, mut spread, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            ours.push(run(DECISIONS, |i| decide(&world, &snapshot, i % ASKED)));
            spread.push(run(DECISIONS, |i| decide(&world, &snapshot, i.wrapping_mul(7_919) % functions)));
            theirs.push(run((20_000 / functions).clamp(3, 1_000), |_| assert!(cedar.is_authorized())));
        }
        let region = Region::new(ALLOCATOR);
        run(DECISIONS, |i| decide(&world, &snapshot, i % ASKED));
        let change = region.change();
        let allocations = (change.allocations + change.reallocations).div_ceil(DECISIONS);
        let (ours, spread, theirs) = (median(ours), median(spread), median(theirs));
        let times = theirs.as_secs_f64() / ours.as_secs_f64();
        println!("{functions:>9}  {ours:>8.2?}  {spread:>11.2?}  {allocations:>11}  {theirs:>19.2?}  {times:>5.0}");
        medians.push(ours.as_secs_f64());
        fine &= ours <= DECISION_MAX && allocations <= ALLOCATIONS_MAX && (functions != 1_000 || times >= 100.0);
    }
    let (least, most) = (medians.iter().copied().fold(f64::MAX, f64::min), medians.iter().copied().fold(0.0, f64::max));
    let flat = most / least;
    let even = bar("from 10 to 10000 functions", format!("{flat:.2} times the least"), flat <= FLAT_MAX);
    let seen = format!("at most {DECISION_MAX:?}, {ALLOCATIONS_MAX} allocations, and a 100th of Cedar's at 1000");
    bar("a question, one candidate permit and two global forbids", seen, fine) && even
}

fn decide(world: &World, snapshot: &Snapshot, function: usize) {
    let question = world.question(function);
    assert!(black_box(snapshot.decide(black_box(question))).is_ok(), "it is permitted");
}

/// Time of one, the mean of `times`.
fn run(times: usize, mut what: impl FnMut(usize)) -> Duration {
    let cpu = ThreadTime::now();
    (0..times).for_each(&mut what);
    cpu.elapsed() / u32::try_from(times).unwrap_or(u32::MAX)
}

fn median(mut runs: Vec<Duration>) -> Duration {
    runs.sort_unstable();
    runs.get(runs.len() / 2).copied().unwrap_or_default()
}
