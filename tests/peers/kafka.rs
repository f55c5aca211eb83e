//! A real broker of Kafka's protocol (`tansu`), and what its topics hold as somebody else's client reads it.

use crate::{child::Child, fetch, processes, scripts, wait};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

/// How long a broker that was told to end may take.
const END: Duration = Duration::from_secs(10);

/// How often another port is tried when somebody else was faster.
const TRIES: usize = 5;

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    /// Host and port.
    pub address: String,
    /// Its port, for one that takes its place.
    pub port: u16,
    /// Where clients are told to come over TLS, and the authority that vouches for it.
    front: Option<(u16, PathBuf)>,
    child: Child,
}

impl Broker {
    /// Starts one that keeps its topics in memory; `None` when the peer is skipped on request.
    pub async fn start(logs: &Path) -> Option<Self> {
        for _ in 0..TRIES {
            let port = wait::free_port();
            if let Some(started) = Self::start_at(logs, port, None).await? {
                return Some(started);
            }
        }
        panic!("no port is free for long enough")
    }

    /// Starts one at a port, or nothing when the port is taken. With `front` it tells clients to come there, over TLS.
    ///
    /// # Panics
    /// When it does not start for another reason.
    pub async fn start_at(logs: &Path, port: u16, front: Option<(u16, &Path)>) -> Option<Option<Self>> {
        let program: String = client(&["broker"], None)?;
        let listen = format!("tcp://127.0.0.1:{port}");
        let told = front.map_or_else(|| listen.clone(), |(front, _)| format!("tcp://localhost:{front}"));
        let mut command = Command::new(serde_json::from_str::<String>(&program).expect("a path"));
        command.args(["broker", "--silent", "--storage-engine", "memory://tansu/", "--kafka-listener-url", &listen]);
        command.args(["--kafka-advertised-listener-url", &told]).current_dir(logs);
        let mut child = Child::start("tansu", &command, logs);
        let up = wait::until("the broker", wait::LONG, || {
            let ended = child.ended().is_some();
            async move {
                if ended {
                    return Some(false);
                }
                wait::listens(([127, 0, 0, 1], port).into()).await.then_some(true)
            }
        });
        if !up.await {
            let said = child.stderr();
            assert!(said.contains("in use"), "`tansu` ended: {said}");
            return Some(None);
        }
        let front = front.map(|(front, ca)| (front, ca.to_owned()));
        Some(Some(Self { address: format!("127.0.0.1:{port}"), port, front, child }))
    }

    /// Makes a topic.
    pub fn make(&self, topic: &str, partitions: u32) {
        self.client("make", &[topic, &partitions.to_string()]);
    }

    /// All records of a topic, by partition and offset.
    pub fn read(&self, topic: &str) -> Vec<Value> {
        serde_json::from_str(&self.client("read", &[topic])).expect("the script prints a list")
    }

    fn client(&self, does: &str, more: &[&str]) -> String {
        let (address, ca) = match &self.front {
            Some((port, ca)) => (format!("localhost:{port}"), Some(ca.as_path())),
            None => (self.address.clone(), None),
        };
        client(&[&[does, &address], more].concat(), ca).expect("it was there before")
    }

    /// Kills it without a warning.
    pub async fn kill(mut self) {
        self.child.signal(Signal::KILL);
        self.child.exit(END).await;
    }

    /// Stops it in its tracks: its connections stay open and nobody answers.
    ///
    /// # Panics
    /// When it goes on.
    pub fn freeze(&self) {
        self.child.signal(Signal::STOP);
        let stopped = wait::until_blocking(END, || processes::is_stopped(self.child.id()).then_some(()));
        stopped.expect("a broker that is told to stop stops");
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.child.signal(Signal::CONT);
    }
}

/// Where keys belong among so many partitions, as the client decides it; `None` when the peer is skipped on request.
pub fn places(partitions: u32, keys: &[&str]) -> Option<Vec<u64>> {
    let count = partitions.to_string();
    let said = client(&[&["place", &count], keys].concat(), None)?;
    Some(serde_json::from_str(&said).expect("the script prints a list"))
}

/// What the client prints.
fn client(arguments: &[&str], ca: Option<&Path>) -> Option<String> {
    let mut command = Command::new(fetch::kafka("tansu")?);
    command.arg(scripts().join("kafka_client.py")).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(ca) = ca {
        command.env("KAFKA_CA", ca);
    }
    let Output { status, stdout, stderr } = command.output().expect("Python starts");
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    Some(String::from_utf8(stdout).expect("the script prints JSON"))
}
