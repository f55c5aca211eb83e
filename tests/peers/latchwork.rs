//! Starts the binary `latchwork` as a user would, and proves that nothing of it is left when it has ended.

use crate::{
    built,
    child::Child,
    client::{Client, Request},
    processes, wait,
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    time::Duration,
};

/// Longest time from a signal to the end: draining included.
const END: Duration = Duration::from_secs(20);

/// Longest time for what was started by a killed gateway to vanish by itself.
const VANISH: Duration = Duration::from_secs(5);

/// A running gateway.
#[derive(Debug)]
pub struct Running {
    /// Where it serves.
    pub url: String,
    /// Its administrative interface.
    pub admin: String,
    /// PEM file of the authority that vouches for it.
    pub ca: PathBuf,
    /// Its folder.
    pub folder: PathBuf,
    /// The calls that `quickstart` proposes.
    pub calls: Vec<Call>,
    /// Those over gRPC, as they are printed.
    pub grpc_calls: Vec<Value>,
    child: Child,
    over: bool,
}

/// A call as `quickstart` prints it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// The request.
    pub request: Request,
    /// The status that was promised.
    pub expect_status: u16,
}

/// Runs one command of `latchwork` to its end.
pub fn command(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(built::latchwork());
    command.args(arguments).current_dir(folder).env("NO_COLOR", "1");
    command.output().unwrap_or_else(|e| panic!("`latchwork` does not start: {e}"))
}

/// `latchwork quickstart` in `folder`.
pub async fn quickstart(folder: &Path) -> Running {
    // The logs lie beside the folder: a folder that is not its own is refused.
    let logs = folder.parent().expect("the folder of a quickstart lies in one of the test");
    let folder_text = folder.to_string_lossy().into_owned();
    let (child, ready) = start(&[], logs, &["quickstart", "--dir", &folder_text, "--format", "json"]).await;
    let printed = ready["calls"].as_array().expect("`calls` is a list").iter();
    let (over_grpc, over_http): (Vec<&Value>, Vec<&Value>) = printed.partition(|call| call["method"] == "GRPC");
    let grpc_calls = over_grpc.into_iter().cloned().collect();
    let calls = over_http.into_iter().map(Call::read).collect();
    let url = text(&ready, "url");
    assert_eq!(text(&ready, "grpc"), url.trim_start_matches("https://"), "gRPC is spoken at the same address");
    let ca = PathBuf::from(text(&ready, "ca"));
    let folder = PathBuf::from(text(&ready, "dir"));
    Running { url, admin: text(&ready, "admin"), ca, folder, calls, grpc_calls, child, over: false }
}

/// `latchwork run -c config`, whose one listener's certificate `ca` vouches for; clear text when there is no such file.
pub async fn run(config: &Path, ca: &Path) -> Running {
    run_under(&[], config, ca).await
}

/// As [`run`], with words before the command, such as [`crate::disk::OUTLIVES_LIMIT`].
pub async fn run_under(words: &[&str], config: &Path, ca: &Path) -> Running {
    let folder = config.parent().expect("a file lies in a folder").to_path_buf();
    let config = config.to_string_lossy().into_owned();
    let (child, ready) = start(words, &folder, &["run", "-c", &config, "--format", "json"]).await;
    let listeners = ready["listeners"].as_object().expect("`listeners` is an object");
    let address = listeners.values().next().and_then(Value::as_str).expect("a listener");
    let scheme = if ca.is_file() { "https" } else { "http" };
    let (url, admin) = (format!("{scheme}://{address}"), text(&ready, "admin"));
    Running { url, admin, ca: ca.to_path_buf(), folder, calls: Vec::new(), grpc_calls: Vec::new(), child, over: false }
}

async fn start(words: &[&str], logs: &Path, arguments: &[&str]) -> (Child, Value) {
    let binary = built::latchwork();
    let mut command = match words {
        [] => Command::new(binary),
        [first, more @ ..] => {
            let mut command = Command::new(first);
            command.args(more).arg(binary);
            command
        }
    };
    command.args(arguments).current_dir(logs).env("NO_COLOR", "1").env("GATEWAY_SECRET", "of the gateway only");
    let mut child = Child::start("latchwork", &command, logs);
    let ready = child.line(wait::LONG, |line| serde_json::from_str(line).ok().filter(Value::is_object)).await;
    (child, ready)
}

impl Running {
    /// A client of its listener, HTTP/1.1.
    pub fn client(&self) -> Client {
        Client::new(&self.url, Some(&self.ca))
    }

    /// A client of its administrative interface.
    pub fn admin(&self) -> Client {
        Client::new(&self.admin, None)
    }

    /// Its metrics, as Prometheus would read them.
    pub async fn metrics(&self) -> String {
        self.admin().send(Request::get("/latchwork/v1/metrics")).await.text()
    }

    /// The address of one of its listeners.
    pub fn listener(&self, name: &str) -> String {
        let line =
            |line: &str| serde_json::from_str::<Value>(line).ok()?["listeners"][name].as_str().map(str::to_owned);
        let printed = self.stdout();
        printed.lines().find_map(line).unwrap_or_else(|| panic!("no listener `{name}` in {printed}"))
    }

    /// Process id.
    pub fn id(&self) -> i32 {
        self.child.id()
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.child.stdout()
    }

    /// Standard error so far: the log.
    pub fn stderr(&self) -> String {
        self.child.stderr()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.ended().is_none()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Asks it to end, waits, and proves that no process and no port is left.
    ///
    /// # Panics
    /// When something is left, when it panicked, or when it did not end well.
    pub async fn stop(self) -> String {
        let (status, log) = self.end(Signal::TERM).await;
        assert_eq!(status.code(), Some(0), "{log}");
        log
    }

    /// Kills it without a warning, and proves that no process and no port is left.
    ///
    /// # Panics
    /// When something is left, or when it had panicked.
    pub async fn kill(self) -> String {
        self.end(Signal::KILL).await.1
    }

    /// Waits until one that was told to stop has ended, in order.
    ///
    /// # Panics
    /// When it failed, or had panicked.
    pub async fn stopped(mut self) -> String {
        let status = self.child.exit(END).await;
        self.over = true;
        let log = self.child.stderr();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("panicked at"), "{log}");
        log
    }

    async fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        let started = processes::descendants(self.id());
        let ports = started.iter().map(|p| p.id).chain([self.id()]).flat_map(processes::listening_ports);
        let ports: BTreeSet<u16> = ports.collect();
        assert!(!ports.is_empty(), "a gateway that listens nowhere was not running");
        self.child.signal(signal);
        let status = self.child.exit(END).await;
        self.over = true;
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        let left = || [processes::alive(&started), processes::at(&folder)].concat();
        let gone = wait::until_blocking(VANISH, || left().is_empty().then_some(()));
        assert!(gone.is_some(), "left after {signal:?}: {:?}", left());
        for port in ports {
            let open = wait::listens(([127, 0, 0, 1], port).into()).await;
            assert!(!open, "port {port} is still open after {signal:?}");
        }
        let log = self.child.stderr();
        assert!(!log.contains("panicked at"), "{log}");
        (status, log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over && !std::thread::panicking() {
            panic!("a test must end its gateway with `stop` or `kill`, which look for leftovers");
        }
    }
}

impl Call {
    fn read(printed: &Value) -> Self {
        let method = text(printed, "method").parse().expect("a method");
        let body = printed["body"].as_str().unwrap_or_default().to_owned();
        let mut request = Request::new(method, &text(printed, "path"), body);
        for (name, value) in printed["headers"].as_object().expect("`headers` is an object") {
            request = request.header(name, value.as_str().expect("a header's value is text"));
        }
        let status = printed["expect_status"].as_u64().and_then(|s| s.try_into().ok());
        Self { name: text(printed, "name"), request, expect_status: status.expect("`expect_status` is a status") }
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value}")).to_owned()
}
