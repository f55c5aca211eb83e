//! What deciding and loading cost, and Cedar's own `is_authorized` beside it: `cargo bench -p policy --profile dist`.
//!
//! Times are processor time, which is what they take on a core of their own; of decisions they are medians of paired runs.
//! A missed bar ends it with a failure.
#![expect(clippy::indexing_slicing, reason = "the world is as large as it says")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::expect_used, reason = "a world that can't be made is a fault of the benchmark")]

mod cedar;
mod world;

use cpu_time::ThreadTime;
use policy::{
    bundle::{load, reload},
    engine::Snapshot,
};
use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};
use world::{LOADED, World, bar};

/// Pairs of runs, of which the median counts.
const PAIRS: usize = 31;
/// Decisions of one run.
const DECISIONS: usize = 2_000;
/// Functions that are asked of in turn.
const ASKED: usize = 10;

const DECISION_MAX: Duration = Duration::from_micros(5);
const FLAT_MAX: f64 = 1.15;
const LOAD_MAX: Duration = Duration::from_secs(5);
const CHANGE_MAX: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let loaded = loading();
    let decided = deciding();
    if loaded && decided { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn loading() -> bool {
    let world = World::new(LOADED, 20);
    let (cpu, wall) = (ThreadTime::now(), Instant::now());
    let (snapshot, _) = load(&world.sources, world.declared.clone(), world::now()).expect("the world loads");
    let (cpu, wall) = (cpu.elapsed(), wall.elapsed());
    let mut changes: Vec<_> = (0..5).map(|round| changed(&world, &snapshot, round)).collect();
    changes.sort_unstable();
    let changed = changes.get(changes.len() / 2).copied().unwrap_or_default();
    let what = format!("load of {LOADED} functions with an input and a policy each, and 20 policies over groups");
    let fast = bar(&what, format!("{cpu:.2?} of processor, {wall:.2?} by the clock"), cpu <= LOAD_MAX);
    let soon =
        bar("load after a change of one policy of them", format!("{changed:.2?} of processor"), changed <= CHANGE_MAX);
    fast && soon
}

/// Loads again with one policy changed.
fn changed(world: &World, before: &Snapshot, round: usize) -> Duration {
    let mut sources = world.sources.clone();
    let source = &mut sources[round];
    source.text = source.text.replacen("< 50000", &format!("< {}", 60_000 + round), 1).into();
    let cpu = ThreadTime::now();
    let (after, _) = reload(&sources, world.declared.clone(), world::now(), before).expect("the world loads");
    let spent = cpu.elapsed();
    assert!(after.id() != before.id(), "it is another bundle");
    spent
}

/// One size of world, and what was seen of it.
struct Size {
    functions: usize,
    world: World,
    snapshot: Snapshot,
    cedar: cedar::Whole,
    ours: Vec<Duration>,
    spread: Vec<Duration>,
    theirs: Vec<Duration>,
}

impl Size {
    fn new(functions: usize) -> Self {
        let world = World::new(functions, 0);
        let (snapshot, _) = load(&world.sources, world.declared.clone(), world::now()).expect("the world loads");
        let cedar = cedar::Whole::new(&world);
        Self { functions, world, snapshot, cedar, ours: Vec::new(), spread: Vec::new(), theirs: Vec::new() }
    }

    fn run(&mut self) {
        let Self { functions, world, snapshot, cedar, .. } = self;
        let functions = *functions;
        self.ours.push(run(DECISIONS, |i| decide(world, snapshot, i % ASKED)));
        self.spread.push(run(DECISIONS, |i| decide(world, snapshot, i.wrapping_mul(7_919) % functions)));
        self.theirs.push(run((20_000 / functions).clamp(3, 1_000), |_| assert!(cedar.is_authorized())));
    }
}

/// All sizes in turn, again and again, so that a busy machine is busy for all of them.
fn deciding() -> bool {
    let mut sizes = [10, 100, 1_000, 10_000].map(Size::new);
    for _ in 0..PAIRS {
        sizes.iter_mut().for_each(Size::run);
    }
    println!("functions    decide  of them all  cedar is_authorized  times");
    let (mut fine, mut medians) = (true, Vec::new());
    for Size { functions, ours, spread, theirs, .. } in sizes {
        let (ours, spread, theirs) = (median(ours), median(spread), median(theirs));
        let times = theirs.as_secs_f64() / ours.as_secs_f64();
        println!("{functions:>9}  {ours:>8.2?}  {spread:>11.2?}  {theirs:>19.2?}  {times:>5.0}");
        medians.push(ours.as_secs_f64());
        fine &= ours <= DECISION_MAX && (functions != 1_000 || times >= 100.0);
    }
    let (least, most) = (medians.iter().copied().fold(f64::MAX, f64::min), medians.iter().copied().fold(0.0, f64::max));
    let flat = most / least;
    let even = bar("from 10 to 10000 functions", format!("{flat:.2} times the least"), flat <= FLAT_MAX);
    let seen = format!("at most {DECISION_MAX:?}, and a 100th of Cedar's at 1000");
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
