//! A real NATS server with JetStream, from Debian, and what its streams hold as the official client reads it.

use crate::{child::Child, fetch, processes, wait};
use async_nats::{
    ConnectOptions,
    jetstream::{
        self,
        consumer::{DeliverPolicy, pull},
        stream,
    },
};
use futures_util::StreamExt;
use rustix::process::Signal;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How long a server that was told to end may take.
const END: Duration = Duration::from_secs(10);

/// A running server.
#[derive(Debug)]
pub struct Nats {
    /// Where it listens.
    pub url: String,
    /// Its port, for one that takes its place.
    pub port: u16,
    child: Child,
}

/// A message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its subject.
    pub subject: String,
    /// Its `Nats-Msg-Id`.
    pub id: String,
    /// What it holds.
    pub payload: Vec<u8>,
    /// All of its headers, by name in small letters.
    pub headers: BTreeMap<String, String>,
}

impl Nats {
    /// Starts one that keeps its streams in `folder`, at any port; `None` when the peer is skipped on request.
    pub async fn start(folder: &Path) -> Option<Self> {
        Self::start_with(folder, -1, "").await
    }

    /// Starts one at a port, or at any if that is -1, with more configuration.
    pub async fn start_with(folder: &Path, port: i32, more: &str) -> Option<Self> {
        let store = folder.join("store");
        let text = format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {store:?} }}\n{more}\n");
        Self::start_as(folder, &text, &[]).await
    }

    /// Starts one with this configuration and these variables.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_as(folder: &Path, text: &str, variables: &[(&str, &str)]) -> Option<Self> {
        let program = program()?;
        let ports = folder.join("ports");
        // What a server before it left says nothing of this one.
        let _ = fs::remove_dir_all(&ports);
        fs::create_dir_all(&ports).expect("the folder is ours");
        let text = format!("ports_file_dir: {ports:?}\n{text}\n");
        let config = folder.join("nats.conf");
        fs::write(&config, text).expect("the folder is ours");
        let mut command = Command::new(program);
        command.arg("--config").arg(&config).current_dir(folder).envs(variables.iter().copied());
        let mut child = Child::start("nats-server", &command, folder);
        let url = wait::until("the port of `nats-server`", wait::LONG, || {
            assert!(child.ended().is_none(), "`nats-server` ended: {}", child.stderr());
            std::future::ready(said(&ports))
        })
        .await;
        let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        wait::until("JetStream", wait::LONG, async || wait::listens(([127, 0, 0, 1], port).into()).await.then_some(()))
            .await;
        Some(Self { url, port, child })
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
        // Its other threads may answer for a moment longer.
        let stopped = wait::until_blocking(END, || processes::is_stopped(self.child.id()).then_some(()));
        stopped.expect("a server that is told to stop stops");
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.child.signal(Signal::CONT);
    }

    /// A client of its JetStream.
    pub async fn jetstream(&self, options: ConnectOptions) -> jetstream::Context {
        jetstream::new(options.connect(&self.url).await.expect("the server takes clients"))
    }

    /// Makes a stream, as a client of these options.
    pub async fn make_stream_as(&self, options: ConnectOptions, name: &str, subjects: &[&str]) {
        self.make_stream_with(options, name, subjects, stream::Config::default()).await;
    }

    /// The same with what `more` says of the stream.
    pub async fn make_stream_with(&self, options: ConnectOptions, name: &str, subjects: &[&str], more: stream::Config) {
        let subjects = subjects.iter().map(|subject| (*subject).to_owned()).collect();
        let config = stream::Config { name: name.to_owned(), subjects, ..more };
        self.jetstream(options).await.create_stream(config).await.expect("a stream");
    }

    /// All messages of a stream, in its order, for a client of these options; none where there is no stream.
    pub async fn messages(&self, options: ConnectOptions, stream: &str) -> Vec<Message> {
        messages(&self.jetstream(options).await, stream).await
    }
}

async fn messages(jetstream: &jetstream::Context, stream: &str) -> Vec<Message> {
    let Ok(mut stream) = jetstream.get_stream(stream).await else { return Vec::new() };
    let count = stream.info().await.expect("a stream says what it holds").state.messages;
    // Nothing is acknowledged: whoever reads next reads all of it again.
    let all = pull::Config { deliver_policy: DeliverPolicy::All, max_ack_pending: 1_000_000, ..Default::default() };
    let consumer = stream.create_consumer(all).await.expect("a consumer");
    let mut found = Vec::new();
    while (found.len() as u64) < count {
        let left = usize::try_from(count).expect("a test's stream is small") - found.len();
        let batch = consumer.fetch().max_messages(left.min(500)).messages().await;
        let mut batch = batch.expect("messages");
        while let Some(message) = batch.next().await {
            let message = message.expect("a message");
            let headers = message.headers.as_ref().expect("headers");
            let id = headers.get("Nats-Msg-Id").expect("an id").to_string();
            let value =
                |values: &[async_nats::HeaderValue]| values.iter().map(|value| value.as_str().to_owned()).collect();
            let headers = headers.iter().map(|(name, values)| {
                let name: &str = name.as_ref();
                (name.to_ascii_lowercase(), value(values))
            });
            let headers = headers.map(|(name, values): (String, Vec<String>)| (name, values.join(", "))).collect();
            let (subject, payload) = (message.subject.to_string(), message.payload.to_vec());
            found.push(Message { subject, id, payload, headers });
        }
    }
    found
}

fn program() -> Option<PathBuf> {
    let root = fetch::debian("nats-server")?;
    let place = ["usr/sbin/nats-server", "usr/bin/nats-server"].map(|place| root.join(place));
    Some(place.into_iter().find(|place| place.is_file()).expect("the package has its program"))
}

/// The address that a server wrote down.
fn said(ports: &Path) -> Option<String> {
    let file = fs::read_dir(ports)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find(|p| p.extension().is_some_and(|e| e == "ports"))?;
    let said: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    Some(said["nats"][0].as_str()?.to_owned())
}
