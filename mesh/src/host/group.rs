//! An instance's process group: knows when its leader ends, and ends all of it.

use crate::host::spawner::{Spawner, Started};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use std::{
    io,
    os::fd::OwnedFd,
    process::{ChildStderr, ChildStdout, Command},
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::timeout,
};

/// A killed process is gone within this time, unless the kernel holds it.
const KILLED_MAX: Duration = Duration::from_secs(5);

/// The group.
#[derive(Debug)]
pub(super) struct Group {
    started: Started,
    ended: AsyncFd<OwnedFd>,
}

impl Group {
    /// Starts it.
    #[expect(
        deprecated,
        reason = "the replacement is unsafe for types that lie about their descriptor; OwnedFd does not"
    )]
    pub(super) async fn start(spawner: &Spawner, command: Command) -> io::Result<Self> {
        let (started, ended) = spawner.spawn(command).await?;
        Ok(Self { started, ended: AsyncFd::with_interest(ended, Interest::READABLE)? })
    }

    /// The leader's pid, which is the group's number.
    pub(super) fn pid(&self) -> Pid {
        self.started.pid()
    }

    /// What the leader writes.
    pub(super) fn pipes(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        self.started.child().map_or((None, None), |child| (child.stdout.take(), child.stderr.take()))
    }

    /// Waits for the leader's end. It stays a zombie, so that its number stays its own.
    pub(super) async fn ended(&self) {
        // The readiness is never cleared: a pidfd stays readable.
        if self.ended.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the leader has ended, though nobody may have noticed yet.
    pub(super) fn has_ended(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        !matches!(waitid(WaitId::Pid(self.pid()), look), Ok(None))
    }

    /// How the leader ended, in words.
    pub(super) fn how_it_ended(&self) -> String {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(self.pid()), look) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("the process ended with exit status {code}"),
                (None, Some(signal)) => format!("the process was ended by signal {signal}"),
                (None, None) => "the process ended".to_owned(),
            },
            Ok(None) | Err(_) => "the process ended".to_owned(),
        }
    }

    /// Ends the group: politely if there is `grace`, then for good, and reaps the leader.
    pub(super) async fn end(self, grace: Duration) {
        if !grace.is_zero() {
            self.started.signal(Signal::TERM);
            let _ = timeout(grace, self.ended()).await;
        }
        self.started.signal(Signal::KILL);
        if timeout(KILLED_MAX, self.ended()).await.is_err() {
            tracing::error!(pid = self.pid().as_raw_nonzero().get(), "a killed function process does not end");
        }
        self.started.finish().await;
    }
}
