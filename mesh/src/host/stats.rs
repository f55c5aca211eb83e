//! Numbers of process functions.

use policy::question::FunctionName;
use std::sync::atomic::AtomicU64;

/// Numbers of one process function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStats {
    /// Which.
    pub function: FunctionName,
    /// Instances that exist, those that are starting included.
    pub running: usize,
    /// Instances that have not asked for their first call yet.
    pub starting: usize,
    /// Instances that wait for a call.
    pub idle: usize,
    /// Instances that run a call.
    pub busy: usize,
    /// Calls that wait for an instance.
    pub queued: usize,
    /// Starts so far.
    pub starts: u64,
    /// Starts that failed.
    pub start_failures: u64,
    /// Instances that ended by themselves after their start.
    pub crashes: u64,
    /// Calls that were cut at their deadline.
    pub time_outs: u64,
    /// Instances that were killed because they used too much memory.
    pub memory_kills: u64,
}

/// Events so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) starts: AtomicU64,
    pub(super) start_failures: AtomicU64,
    pub(super) crashes: AtomicU64,
    pub(super) time_outs: AtomicU64,
    pub(super) memory_kills: AtomicU64,
}
