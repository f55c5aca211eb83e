//! The one thread that starts instances and reaps them.
//!
//! The kernel sends an instance its parent-death signal when the *thread* that started it ends, so a runtime's worker
//! threads won't do: this thread lives as long as the host.

use crate::host::watchdog::Watchdog;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process_group, pidfd_open, waitpgid};
use std::{
    io::{self, Write},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command},
    sync::mpsc,
    thread,
};
use tokio::sync::oneshot;

/// Asks the thread.
#[derive(Clone, Debug)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

/// A process that leads its own group. Dropped before its end, the whole group is killed and the child is reaped.
#[derive(Debug)]
pub(crate) struct Started {
    /// `None` once the thread has it back to be reaped.
    child: Option<Child>,
    pid: Pid,
    spawner: Spawner,
}

#[derive(Debug)]
enum Job {
    Start { command: Box<Command>, spawner: Spawner, reply: oneshot::Sender<io::Result<(Started, OwnedFd)>> },
    Reap { child: Child, reply: Option<oneshot::Sender<()>> },
    Close { reply: oneshot::Sender<()> },
}

impl Spawner {
    /// Starts the thread and the watchdog.
    pub(super) fn start(sh: &Path, scratch: &Path) -> io::Result<Self> {
        let mut watchdog = Watchdog::start(sh, scratch)?;
        let (jobs, received) = mpsc::channel::<Job>();
        thread::Builder::new().name("latchwork-host".to_owned()).spawn(move || {
            for job in received {
                job.run(&mut watchdog);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Starts a process whose command waits for one line on its standard input before it does anything.
    ///
    /// The pidfd is readable once the process has ended.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<(Started, OwnedFd)> {
        let (reply, started) = oneshot::channel();
        self.ask(Job::Start { command: Box::new(command), spawner: self.clone(), reply })?;
        started.await.map_err(|_| gone())?
    }

    /// Ends the watchdog, which kills what is left.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.ask(Job::Close { reply }).is_ok() {
            let _ = closed.await;
        }
    }

    fn ask(&self, job: Job) -> io::Result<()> {
        self.jobs.send(job).map_err(|_| gone())
    }
}

impl Started {
    /// The process, which is also its group.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// The process itself, for its pipes.
    pub(super) fn child(&mut self) -> Option<&mut Child> {
        self.child.as_mut()
    }

    /// Sends a signal to the whole group.
    pub(super) fn signal(&self, signal: Signal) {
        // INVARIANT: the leader is not reaped while `child` is held, so the number can't be another group's.
        if self.child.is_some() {
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Kills what is left of the group and reaps its leader, which has ended or now does.
    pub(super) async fn finish(mut self) {
        self.signal(Signal::KILL);
        if let Some(child) = self.child.take() {
            let (reply, reaped) = oneshot::channel();
            if self.spawner.ask(Job::Reap { child, reply: Some(reply) }).is_ok() {
                let _ = reaped.await;
            }
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(child) = self.child.take() {
            let _ = self.spawner.ask(Job::Reap { child, reply: None });
        }
    }
}

impl Job {
    fn run(self, watchdog: &mut Watchdog) {
        match self {
            Self::Start { command, spawner, reply } => {
                // If nobody waits any more, what was started is dropped here, and so killed.
                let _ = reply.send(start(*command, spawner, watchdog));
            }
            Self::Reap { mut child, reply } => {
                watchdog.remove(child.id());
                let group = Pid::from_child(&child);
                let _ = child.wait();
                // As the first process of a container, the gateway inherits what its functions leave behind.
                while let Ok(Some(_)) = waitpgid(group, WaitOptions::empty()) {}
                reply.map(|reply| reply.send(()));
            }
            Self::Close { reply } => {
                watchdog.close();
                let _ = reply.send(());
            }
        }
    }
}

fn start(mut command: Command, spawner: Spawner, watchdog: &mut Watchdog) -> io::Result<(Started, OwnedFd)> {
    let mut child = command.spawn()?;
    let gate = child.stdin.take();
    let pid = Pid::from_child(&child);
    let (group, started) = (child.id(), Started { child: Some(child), pid, spawner });
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    watchdog.add(group)?;
    // Only now may the function run. If the gateway dies before, the gate closes and the process ends by itself.
    gate.ok_or_else(|| io::Error::other("the instance has no gate"))?.write_all(b"go\n")?;
    Ok((started, ended))
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the thread that starts processes is gone")
}
