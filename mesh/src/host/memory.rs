//! What an instance's processes use of memory, and their end when it is too much.

use crate::host::pool::Pool;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Most processes of one instance that are looked at.
const PROCESSES_MAX: usize = 1_024;

/// What is known of an instance's memory. A clone knows the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    peak_kib: AtomicU64,
    exceeded: OnceLock<String>,
}

impl Memory {
    /// The most that was seen, in MiB; `None` if nobody looked.
    pub(super) fn peak_mib(&self) -> Option<u32> {
        let kib = self.0.peak_kib.load(Ordering::Relaxed);
        (kib > 0).then(|| u32::try_from(kib.div_ceil(1024)).unwrap_or(u32::MAX))
    }

    /// Why the instance was killed, if that was it.
    pub(super) fn exceeded(&self) -> Option<String> {
        self.0.exceeded.get().cloned()
    }

    /// Looks until dropped, and kills the group that uses more than `mib`.
    // INVARIANT: dropped before the leader is reaped, or the number might be another group's.
    pub(super) async fn watch(self, group: Pid, mib: u64, pool: Arc<Pool>) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let kib = used_kib(group.as_raw_nonzero().get());
            self.0.peak_kib.fetch_max(kib, Ordering::Relaxed);
            if kib > mib.saturating_mul(1024) {
                let words = format!("it used {} MiB of memory and may use {mib}", kib.div_ceil(1024));
                tracing::warn!(function = %pool.recipe.function, "a function process was killed: {words}");
                let _ = self.0.exceeded.set(words);
                pool.counters.memory_kills.fetch_add(1, Ordering::Relaxed);
                let _ = kill_process_group(group, Signal::KILL);
                return;
            }
        }
    }
}

/// What a process and all that it started use for themselves: files that are mapped are others', too.
fn used_kib(leader: i32) -> u64 {
    let (mut seen, mut next, mut kib) = (BTreeSet::from([leader]), vec![leader], 0_u64);
    while let Some(id) = next.pop() {
        kib = kib.saturating_add(own_kib(&fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default()));
        let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        for thread in threads.take(PROCESSES_MAX) {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|child| child.parse().ok());
            next.extend(children.filter(|child| seen.len() < PROCESSES_MAX && seen.insert(*child)));
        }
    }
    kib
}

fn own_kib(status: &str) -> u64 {
    let counted = |line: &&str| ["RssAnon:", "RssShmem:", "VmSwap:"].iter().any(|name| line.starts_with(name));
    status.lines().filter(counted).filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_read() {
        let status = "VmPeak:\t  900 kB\nVmRSS:\t 700 kB\nRssAnon:\t     300 kB\nRssFile:\t 380 kB\nRssShmem:\t 20 kB\nVmSwap:\t 5 kB\n";
        assert_eq!(own_kib(status), 325);
        assert_eq!(own_kib(""), 0);
        assert!(used_kib(i32::try_from(std::process::id()).unwrap()) > 100);
    }
}
