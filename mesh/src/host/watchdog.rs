//! A process outside the gateway that kills every instance's process group, and removes their folders, once it is gone.

use crate::host::recipe::PATH;
use std::{
    collections::BTreeSet,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

/// Reads `add ID` and `remove ID` until the gateway's end of the pipe closes, then kills what is left on the list.
///
/// Its own process group and the ignored signals keep it alive when a terminal or a service manager ends the gateway.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
groups=
while read -r verb group; do
  case $verb in
    add) groups="$groups $group" ;;
    remove)
      kept=
      for each in $groups; do [ "$each" = "$group" ] || kept="$kept $each"; done
      groups=$kept ;;
  esac
done
for each in $groups; do kill -s KILL -- "-$each" 2>/dev/null; done
# What was killed may still be writing for a moment.
for try in 1 2 3 4 5; do [ -e "$1" ] || break; rm -rf -- "$1" 2>/dev/null; done
"#;

/// The watchdog and what it was told.
#[derive(Debug)]
pub(super) struct Watchdog {
    sh: PathBuf,
    scratch: PathBuf,
    running: Option<Running>,
    groups: BTreeSet<u32>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Close-on-exec, so that no instance keeps it open.
    pipe: ChildStdin,
}

impl Watchdog {
    /// Starts it.
    pub(super) fn start(sh: &Path, scratch: &Path) -> io::Result<Self> {
        let running = Some(Running::start(sh, scratch)?);
        Ok(Self { sh: sh.to_owned(), scratch: scratch.to_owned(), running, groups: BTreeSet::new() })
    }

    /// Puts a group on the list. Once this returns, the group dies with the gateway: the line is in the pipe, and a
    /// pipe keeps what was written when its writer dies.
    pub(super) fn add(&mut self, group: u32) -> io::Result<()> {
        self.groups.insert(group);
        let told = self.tell("add", group);
        if told.is_err() {
            self.groups.remove(&group);
        }
        told
    }

    /// Takes a group off the list: before its leader is reaped, or the number might already be another's.
    pub(super) fn remove(&mut self, group: u32) {
        self.groups.remove(&group);
        if let Err(error) = self.tell("remove", group) {
            tracing::error!(%error, "the watchdog of function processes can't be reached or restarted");
        }
    }

    /// Ends it; whatever is still on its list is killed.
    pub(super) fn close(&mut self) {
        if let Some(Running { mut child, pipe }) = self.running.take() {
            drop(pipe);
            let _ = child.wait();
        }
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    fn tell(&mut self, verb: &str, group: u32) -> io::Result<()> {
        let line = format!("{verb} {group}\n");
        let Some(running) = &mut self.running else {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the host is shut down"));
        };
        // One write of a few bytes: a pipe takes it whole.
        if running.pipe.write_all(line.as_bytes()).is_ok() {
            return Ok(());
        }
        tracing::warn!("the watchdog of function processes has died: starting another");
        self.restart()
    }

    fn restart(&mut self) -> io::Result<()> {
        if let Some(Running { mut child, .. }) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let running = self.running.insert(Running::start(&self.sh, &self.scratch)?);
        let list: String = self.groups.iter().map(|group| format!("add {group}\n")).collect();
        running.pipe.write_all(list.as_bytes())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.close();
    }
}

impl Running {
    fn start(sh: &Path, scratch: &Path) -> io::Result<Self> {
        let mut command = Command::new(sh);
        command.args(["-c", SCRIPT, "latchwork-watchdog"]).arg(scratch);
        command.env_clear().env("PATH", PATH).current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let pipe = child.stdin.take().ok_or_else(|| io::Error::other("the watchdog has no pipe"))?;
        Ok(Self { child, pipe })
    }
}
