//! How often a decision asks for memory, and how much a snapshot holds: `cargo bench -p policy --profile dist`.
//!
//! Apart from the times, which counting would falsify. A missed bar ends it with a failure.
#![expect(clippy::indexing_slicing, reason = "the world is as large as it says")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::expect_used, reason = "a world that can't be made is a fault of the benchmark")]

mod world;

use policy::bundle::load;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::{alloc::System, process::ExitCode};
use world::{LOADED, World, bar};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ALLOCATIONS_MAX: usize = 60;
const BYTES_MAX: usize = 150_000_000;
/// Decisions that are counted.
const DECISIONS: usize = 2_000;

fn main() -> ExitCode {
    let world = World::new(LOADED, 20);
    let region = Region::new(ALLOCATOR);
    let (snapshot, _) = load(&world.sources, world.declared.clone(), world::now()).expect("the world loads");
    let change = region.change();
    let held = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    let small = bar(
        &format!("bytes held by a snapshot of {LOADED} functions with an input and a policy each"),
        format!("{} MB; the process had at most {} MB", held / 1_000_000, peak_kib() / 1024),
        held <= BYTES_MAX,
    );
    drop(snapshot);
    let world = World::new(1_000, 0);
    let (snapshot, _) = load(&world.sources, world.declared.clone(), world::now()).expect("the world loads");
    let region = Region::new(ALLOCATOR);
    for i in 0..DECISIONS {
        assert!(snapshot.decide(world.question(i % 10)).is_ok(), "it is permitted");
    }
    let change = region.change();
    let each = (change.allocations + change.reallocations).div_ceil(DECISIONS);
    let few = bar("allocations of a decision", each.to_string(), each <= ALLOCATIONS_MAX);
    if small && few { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
