//! Runs function processes on this machine: starts them on demand, stops them when idle, leaves none behind.

pub(crate) mod account;
mod exchange;
pub(crate) mod fn_socket;
mod group;
pub(crate) mod http_server;
mod instance;
mod lambda;
mod memory;
pub(crate) mod openwhisk;
mod output;
mod pieces;
pub(crate) mod pool;
mod port;
pub(crate) mod recipe;
mod runtime_api;
mod scratch;
mod seat;
mod served;
mod spawner;
mod stats;
mod usage;
mod watchdog;
pub(crate) mod way;
pub(crate) mod work;

pub use stats::ProcessStats;

use crate::host::{pool::Pool, spawner::Spawner};
use std::{
    env, fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{runtime::Handle, sync::watch, time::timeout};
use uuid::Uuid;

/// An instance that is asked to stop (SIGTERM) is killed after this time.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(2);

/// The first descriptor that is not standard input, output or error.
const FIRST_NAMELESS: i32 = 3;

/// [`Host::shutdown`] waits this long for instances that were killed to be gone.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// The gateway's processes: made once, before the first [`crate::backend::process::Process`]. A clone is the same host.
///
/// When the gateway dies, however it dies, its functions die with it: each instance asks the kernel for SIGKILL at its
/// parent's death, and a watchdog outside the gateway kills every instance's whole process group.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    spawner: Spawner,
    tools: Tools,
    /// Where instances have folders of their own; the watchdog removes it.
    scratch: PathBuf,
    /// Where instances live that are started by somebody outside of any runtime.
    runtime: Option<Handle>,
    stopping: watch::Sender<bool>,
    /// Instances whose process may exist.
    live: watch::Sender<usize>,
    pools: Mutex<Vec<Weak<Pool>>>,
}

/// Programs of the system that start instances.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    /// Holds an instance back until the watchdog knows it.
    pub(crate) sh: PathBuf,
    /// Ties an instance to the gateway (the watchdog alone must do where it is missing), and makes it another user's.
    pub(crate) setpriv: Option<PathBuf>,
}

impl Host {
    /// Starts the watchdog and the thread that starts instances.
    ///
    /// # Errors
    /// When there is no `sh`, or no process or thread can be started.
    pub fn start() -> io::Result<Self> {
        // What whoever started the gateway left open is none of a function's business.
        close_fds::set_fds_cloexec_threadsafe(FIRST_NAMELESS, &[]);
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no `sh` in `PATH` or `/bin`");
        let tools = Tools { sh: tool("sh").ok_or_else(missing)?, setpriv: tool("setpriv") };
        let scratch = env::temp_dir().join(format!("latchwork-{}", Uuid::new_v4().simple()));
        if tools.setpriv.is_none() {
            tracing::warn!(
                "no `setpriv` here: if the gateway is killed, its functions are ended by the watchdog alone"
            );
        }
        Ok(Self(Arc::new(Shared {
            spawner: Spawner::start(&tools.sh, &scratch)?,
            tools,
            scratch,
            runtime: Handle::try_current().ok(),
            stopping: watch::Sender::new(false),
            live: watch::Sender::new(0),
            pools: Mutex::default(),
        })))
    }

    /// Numbers of every process function that exists now, in no order.
    #[must_use]
    pub fn stats(&self) -> Vec<ProcessStats> {
        let pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.iter().filter_map(Weak::upgrade).map(|pool| pool.stats()).collect()
    }

    /// Ends every instance and waits until all are gone. Nothing starts afterwards.
    pub async fn shutdown(&self) {
        self.0.stopping.send_replace(true);
        for pool in self.pools() {
            pool.refuse_waiting();
        }
        let mut live = self.0.live.subscribe();
        let gone = timeout(STOP_GRACE + SHUTDOWN_MAX, live.wait_for(|n| *n == 0)).await;
        if gone.is_err() {
            tracing::error!(instances = *self.0.live.borrow(), "function processes did not end in time");
        }
        // The watchdog kills whatever is still on its list.
        self.0.spawner.close().await;
    }

    pub(crate) fn spawner(&self) -> &Spawner {
        &self.0.spawner
    }

    pub(crate) fn tools(&self) -> &Tools {
        &self.0.tools
    }

    /// Where an instance's task may run.
    pub(crate) fn runtime(&self) -> Option<Handle> {
        Handle::try_current().ok().or_else(|| self.0.runtime.clone())
    }

    pub(crate) fn scratch(&self) -> &Path {
        &self.0.scratch
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    pub(crate) fn live(&self) -> &watch::Sender<usize> {
        &self.0.live
    }

    pub(crate) fn register(&self, pool: &Arc<Pool>) {
        let mut pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    fn pools(&self) -> Vec<Arc<Pool>> {
        let pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.iter().filter_map(Weak::upgrade).collect()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("live", &*self.0.live.borrow()).finish_non_exhaustive()
    }
}

/// A program of the system, by its absolute path: a function's own `PATH` has no say in it.
fn tool(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).filter(|d| d.is_absolute());
    let usual = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    directories.chain(usual).map(|directory| directory.join(name)).find(|file| is_executable(file))
}

/// Whether this is a file that may be run.
pub(crate) fn is_executable(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests;
