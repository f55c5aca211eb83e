//! The host of Azure Functions, which verifies keys.

use crate::{
    child::Child,
    client::{Client, Request},
    fetch, scripts, wait,
};
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

/// The key of the functions.
pub const FUNCTION_KEY: &str = "key-of-the-functions";

/// The app's master key.
pub const MASTER_KEY: &str = "key-of-the-app";

/// A running host.
#[derive(Debug)]
pub struct Host {
    /// Where it listens.
    pub url: String,
    child: Child,
    // Of its own: what a test runs must leave no process behind that names the test's.
    _folder: TempDir,
}

impl Host {
    /// Starts one; `None` when the peer is skipped on request.
    pub async fn start() -> Option<Self> {
        let python = fetch::program("python3")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(python);
        command.arg(scripts().join("azure_host.py")).args([FUNCTION_KEY, MASTER_KEY]);
        let mut child = Child::start("azure-host", &command, folder.path());
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let url = ready["url"].as_str().expect("the script says where it listens").to_owned();
        Some(Self { url, child, _folder: folder })
    }

    /// Lets the function that answers in two halves go on.
    pub async fn go(&self) {
        let said = Client::new(&self.url, None).send(Request::get("/go")).await;
        assert_eq!(said.status, 204);
    }

    /// The inputs of functions that were started by name.
    pub async fn started(&self) -> Value {
        Client::new(&self.url, None).send(Request::get("/started")).await.json()
    }

    /// What it was told that is not so.
    pub fn lies(&self) -> String {
        self.child.stderr()
    }
}
