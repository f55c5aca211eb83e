//! Pub/Sub: a service that reads requests with the provider's own messages, and the provider's own client beside us.

use crate::{
    child::Child,
    client::{Client, Request},
    fetch, scripts, wait,
};
use serde_json::Value;
use std::{path::PathBuf, process::Command};
use tempfile::TempDir;

/// A running service with the topic `projects/shop/topics/orders`.
#[derive(Debug)]
pub struct Service {
    /// Where it listens; tokens come from there, too.
    pub url: String,
    python: PathBuf,
    child: Child,
    // Of its own: what a test runs must leave no process behind that names the test's.
    folder: TempDir,
}

impl Service {
    /// Starts one; `None` when the peer is skipped on request.
    pub async fn start() -> Option<Self> {
        let python = fetch::pubsub("google-cloud-pubsub")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(&python);
        command.arg(scripts().join("pubsub_service.py")).arg(folder.path());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = Child::start("pubsub-service", &command, folder.path());
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let url = ready["url"].as_str().expect("the script says where it listens").to_owned();
        Some(Self { url, python, child, folder })
    }

    /// The key file of its service account.
    pub fn account(&self) -> PathBuf {
        self.folder.path().join("account.json")
    }

    /// As [`Service::account`], with a key that is not the account's.
    pub fn stranger(&self) -> PathBuf {
        self.folder.path().join("stranger.json")
    }

    /// How many tokens it issued.
    pub async fn tokens(&self) -> u64 {
        let said = Client::new(&self.url, None).send(Request::get("/counts")).await.json();
        said["tokens"].as_u64().expect("a count")
    }

    /// All messages that there are, as the provider's own client pulls them; the last one is its own.
    pub fn pulled(&self) -> Vec<Value> {
        let mut command = Command::new(&self.python);
        command.arg(scripts().join("pubsub_client.py")).arg(&self.url).arg(self.account());
        let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("Python starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("the script prints a list")
    }

    /// What it was told that is not so.
    pub fn lies(&self) -> String {
        self.child.stderr()
    }
}
