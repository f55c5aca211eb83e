//! What stands in front of functions at Google Cloud: tokens and assertions are verified by the provider's own library.

use crate::{
    child::Child,
    client::{Client, Request},
    fetch, scripts, wait,
};
use serde_json::Value;
use std::{path::PathBuf, process::Command};
use tempfile::TempDir;

/// A running front.
#[derive(Debug)]
pub struct Front {
    /// Where it listens; the audience of the function's tokens.
    pub url: String,
    child: Child,
    // Of its own: what a test runs must leave no process behind that names the test's.
    folder: TempDir,
}

impl Front {
    /// Starts one before a function; `None` when the peer is skipped on request.
    pub async fn start(function: &str) -> Option<Self> {
        let python = fetch::google("google-auth")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(python);
        command.arg(scripts().join("google_front.py")).arg(function).arg(folder.path());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = Child::start("google-front", &command, folder.path());
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let url = ready["url"].as_str().expect("the script says where it listens").to_owned();
        Some(Self { url, child, folder })
    }

    /// The key file of its service account.
    pub fn account(&self) -> PathBuf {
        self.folder.path().join("account.json")
    }

    /// As [`Front::account`], with a key that is not the account's.
    pub fn stranger(&self) -> PathBuf {
        self.folder.path().join("stranger.json")
    }

    /// How many tokens it issued, and how many calls came to the function.
    pub async fn counts(&self) -> (u64, u64) {
        let said = Client::new(&self.url, None).send(Request::get("/counts")).await.json();
        (said["tokens"].as_u64().expect("a count"), said["functions"].as_u64().expect("a count"))
    }

    /// What it was told that is not so.
    pub fn lies(&self) -> String {
        self.child.stderr()
    }
}
