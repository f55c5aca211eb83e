//! The thread of a running gateway that indexes what its log has closed, so that the first question need not.

use super::file;
use crate::audit::{index, query};
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often it looks whether a segment was closed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How much others go before it: calls never wait for an index.
const NICENESS: i32 = 19;

/// Indexes the segments of a node's log as they are closed, and takes indexes of removed ones away.
#[derive(Debug)]
pub struct Keeper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it over the folder of a node's log. Without a thread, commands make what they need.
    #[must_use]
    pub fn start(folder: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = thread::Builder::new().name("audit-index".to_owned()).spawn(move || keep(&folder, &told));
        if let Err(error) = &thread {
            tracing::warn!(%error, "the audit log is not indexed while it grows");
        }
        Self { stop, thread: thread.ok() }
    }

    /// Ends it. Blocks until it has, which is soon.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}

fn keep(folder: &Path, stop: &AtomicBool) {
    // Of a thread, not of the process, on Linux. Where it can't be had, indexing is as urgent as anything else.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    let stopped = || stop.load(Ordering::Relaxed);
    let mut seen = HashMap::new();
    while !stopped() {
        // What can't be read now is looked at again; what can't be kept is not tried again.
        if let Err(error) = look(folder, &mut seen, &stopped) {
            tracing::debug!(%error, "a segment of the audit log is not indexed");
        }
        thread::park_timeout(LOOK_EVERY);
    }
}

/// Indexes what was closed since it was seen last, incarnation by incarnation.
fn look(folder: &Path, seen: &mut HashMap<PathBuf, Vec<PathBuf>>, stop: &dyn Fn() -> bool) -> io::Result<()> {
    // The newest are asked for most.
    for (incarnation, directory) in query::incarnations(folder)?.into_iter().rev() {
        let mut closed = query::segments(incarnation, &directory)?;
        closed.retain(|source| source.last.is_some());
        let paths: Vec<PathBuf> = closed.iter().map(|source| source.path.clone()).collect();
        if seen.get(&directory) == Some(&paths) {
            continue;
        }
        match file::sweep(&closed, &directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for source in closed.iter().rev().filter(|source| file::reach(source).is_none()) {
            if stop() {
                return Ok(());
            }
            index::made(source, stop)?;
        }
        seen.insert(directory, paths);
    }
    seen.retain(|directory, _| directory.exists());
    Ok(())
}
