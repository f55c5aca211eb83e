//! A process of a test: its own group, output in files, ended and checked for leftovers when the guard drops.

use crate::{processes, wait};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

/// How long a killed group may take to vanish.
const VANISH: Duration = Duration::from_secs(5);

/// A running process and everything in its process group.
#[derive(Debug)]
pub struct Child {
    name: String,
    child: std::process::Child,
    group: Pid,
    status: Option<ExitStatus>,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Child {
    /// Starts `command`; its output goes to `<name>.stdout` and `<name>.stderr` in `logs`.
    ///
    /// The kernel kills it should the tests be killed themselves.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(name: &str, command: &Command, logs: &Path) -> Self {
        let (stdout, stderr) = (logs.join(format!("{name}.stdout")), logs.join(format!("{name}.stderr")));
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(key, value),
                None => guarded.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guarded.current_dir(folder);
        }
        let file = |path: &Path| File::create(path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
        guarded.stdin(Stdio::null()).stdout(file(&stdout)).stderr(file(&stderr)).process_group(0);
        let child = guarded.spawn().unwrap_or_else(|e| panic!("`{name}` does not start: {e}"));
        let group = Pid::from_child(&child);
        Self { name: name.to_owned(), child, group, status: None, stdout, stderr }
    }

    /// Process id.
    pub fn id(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Its end, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("the child is ours");
        }
        self.status
    }

    /// Sends a signal to the process alone, not to its group.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.group, signal).unwrap_or_else(|e| panic!("`{}` takes no signal: {e}", self.name));
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end within `bound`.
    pub async fn exit(&mut self, bound: Duration) -> ExitStatus {
        let name = format!("the end of `{}`", self.name);
        wait::until(&name, bound, || std::future::ready(self.ended())).await
    }

    /// Waits for a line on standard output that `pick` understands.
    ///
    /// # Panics
    /// With the output, when the process ends or the time is over before.
    pub async fn line<T>(&mut self, bound: Duration, pick: impl Fn(&str) -> Option<T>) -> T {
        self.try_line(bound, pick).await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// As [`Child::line`], but says why when the process ends before.
    ///
    /// # Errors
    /// The end, with what it wrote.
    pub async fn try_line<T>(&mut self, bound: Duration, pick: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        let what = format!("a line of `{}`", self.name);
        let found = wait::until(&what, bound, || {
            let ended = self.ended();
            // Only whole lines: the last one may still be growing.
            let text = self.stdout();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            std::future::ready(match (whole.lines().find_map(&pick), ended) {
                (Some(picked), _) => Some(Ok(picked)),
                (None, Some(status)) => Some(Err(status)),
                (None, None) => None,
            })
        });
        found.await.map_err(|status| {
            format!("`{}` ended ({status})\nstdout: {}\nstderr: {}", self.name, self.stdout(), self.stderr())
        })
    }

    fn end_group(&mut self) {
        // Fails when nothing is left, which is the aim.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let group = self.id();
        self.end_group();
        let gone = wait::until_blocking(VANISH, || processes::of_group(group).is_empty().then_some(()));
        if gone.is_none() && !std::thread::panicking() {
            panic!("`{}` left processes behind: {:?}", self.name, processes::of_group(group));
        }
        if std::thread::panicking() {
            eprintln!("--- {} stdout\n{}\n--- {} stderr\n{}", self.name, self.stdout(), self.name, self.stderr());
        }
    }
}
