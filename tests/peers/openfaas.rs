//! The gateway of OpenFaaS in front of a function that knows nothing of us.

use crate::{child::Child, fetch, scripts, wait};
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

/// The user that it asks for.
pub const USER: &str = "admin";

/// The user's password.
pub const PASSWORD: &str = "the-password";

/// A running gateway.
#[derive(Debug)]
pub struct Platform {
    /// Where it listens.
    pub url: String,
    child: Child,
    // Of its own: what a test runs must leave no process behind that names the test's.
    _folder: TempDir,
}

impl Platform {
    /// Starts one before a function; `None` when the peer is skipped on request.
    pub async fn start(function: &str) -> Option<Self> {
        let python = fetch::program("python3")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(python);
        command.arg(scripts().join("openfaas_gateway.py")).args([function, USER, PASSWORD]);
        let mut child = Child::start("openfaas-gateway", &command, folder.path());
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let url = ready["url"].as_str().expect("the script says where it listens").to_owned();
        Some(Self { url, child, _folder: folder })
    }

    /// What it was told that is not so.
    pub fn lies(&self) -> String {
        self.child.stderr()
    }
}
