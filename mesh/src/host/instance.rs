//! One instance from start to end: a process group, its log, its folder. How calls reach it is its protocol's affair.

use crate::host::{
    STOP_GRACE,
    group::Group,
    lambda::Runtime,
    memory::Memory,
    output::{self, Current, Source},
    pool::Pool,
    recipe::Address,
    scratch::Scratch,
    seat::Seat,
    served::Served,
    way::Way,
    work::Hand,
};
use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

/// After the end of the process, its log is read on for at most this time.
const LOG_DRAIN_MAX: Duration = Duration::from_millis(500);

/// The instance's life, as a task.
pub(super) async fn run(mut seat: Seat) {
    let pool = seat.pool.clone();
    let launched = match &pool.recipe.way {
        Way::Lambda => match Runtime::launch(&pool, seat.serial).await {
            Ok(runtime) => {
                runtime.live(&mut seat).await;
                Ok(())
            }
            Err(error) => Err(error),
        },
        Way::Http(_) | Way::Grpc | Way::Fn(_) | Way::OpenWhisk(_) => match Served::launch(&pool, seat.serial).await {
            Ok(served) => {
                served.live(&mut seat).await;
                Ok(())
            }
            Err(error) => Err(error),
        },
    };
    if let Err(error) = launched {
        pool.start_failed(&format!("the process can't be started: {error}"));
    }
    drop(seat);
    pool.refill();
}

/// What every instance has.
pub(super) struct Instance {
    pub(super) group: Group,
    pub(super) hand: Hand,
    pub(super) current: Current,
    pub(super) memory: Memory,
    pub(super) launched: Instant,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) closing: watch::Receiver<bool>,
    pool: Arc<Pool>,
    log: JoinSet<()>,
    /// Looks at the memory.
    watch: JoinSet<()>,
    scratch: Scratch,
}

/// Why an instance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself.
    Ended,
    /// Its call took too long, or it does not ask for another.
    Stuck,
    /// It is not needed any more.
    Unneeded,
}

impl Instance {
    /// Starts the process; it does not wait until it is ready.
    pub(super) async fn launch(pool: &Arc<Pool>, serial: u64, address: Place) -> io::Result<(Self, Address)> {
        let launched = Instant::now();
        let recipe = &pool.recipe;
        let name = format!("{}-{serial}", pool.number);
        let scratch = Scratch::make(pool.host.scratch(), &name, recipe.account.as_ref())?;
        let address = match address {
            Place::At(address) => address,
            Place::Socket => Address::Socket(scratch.socket()?),
        };
        let command = recipe.command(pool.host.tools(), &address, serial, scratch.path());
        let mut group = Group::start(pool.host.spawner(), command).await?;
        let (mut log, mut watch) = (JoinSet::new(), JoinSet::new());
        let (current, pid) = (Current::default(), group.pid());
        let source = |stream| Source {
            function: recipe.function.clone(),
            pid: pid.as_raw_nonzero().get(),
            stream,
            current: current.clone(),
        };
        let (stdout, stderr) = group.pipes();
        for (pipe, stream) in [(stdout.map(OwnedFd::from), "stdout"), (stderr.map(OwnedFd::from), "stderr")] {
            pipe.map(|pipe| log.spawn(output::capture(pipe, source(stream))));
        }
        let memory = Memory::default();
        if let Some(mib) = recipe.limits.memory_mib {
            watch.spawn(memory.clone().watch(pid, mib, pool.clone()));
        }
        let (stopping, closing, hand, pool) = (pool.host.stopping(), pool.closing(), Hand::new(serial), pool.clone());
        Ok((Self { group, hand, current, memory, launched, stopping, closing, pool, log, watch, scratch }, address))
    }

    /// How it ended, in words.
    pub(super) fn how_it_ended(&self) -> String {
        self.memory.exceeded().unwrap_or_else(|| self.group.how_it_ended())
    }

    /// An instance that did not become ready: the pool is told, and it is ended.
    pub(super) async fn failed(self, reason: &str) {
        self.pool.start_failed(reason);
        tracing::warn!(function = %self.pool.recipe.function, reason, "a function process did not start");
        self.end(Duration::ZERO).await;
    }

    /// Ends the process group, the log and the folder; as politely as the reason lets it.
    pub(super) async fn finish(self, end: End) {
        let grace = match end {
            End::Ended => {
                self.pool.counters.crashes.fetch_add(1, Ordering::Relaxed);
                Duration::ZERO
            }
            End::Stuck => Duration::ZERO,
            End::Unneeded => STOP_GRACE,
        };
        self.end(grace).await;
    }

    async fn end(mut self, grace: Duration) {
        self.watch.shutdown().await;
        self.group.end(grace).await;
        let _ = timeout(LOG_DRAIN_MAX, async { while self.log.join_next().await.is_some() {} }).await;
        let scratch = self.scratch;
        // Another could have filled it.
        let _ = tokio::task::spawn_blocking(move || drop(scratch)).await;
    }
}

/// Where an instance is to be met.
pub(super) enum Place {
    /// Here.
    At(Address),
    /// On a Unix socket in its own folder.
    Socket,
}

/// Waits until the switch is on.
pub(super) async fn told(switch: &mut watch::Receiver<bool>) {
    let _ = switch.wait_for(|on| *on).await;
}
