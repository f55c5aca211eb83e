//! Google's `grpcio`: a service of all four shapes, and a client that calls through the gateway.

use crate::{child::Child, fetch, scripts, wait};
use serde_json::{Value, json};
use std::{path::Path, path::PathBuf, process::Command};

/// A running service: `shop.v1.Orders`.
#[derive(Debug)]
pub struct Service {
    /// Where it listens, in clear text.
    pub url: String,
    python: PathBuf,
    _child: Child,
}

impl Service {
    /// Starts one; `None` when the peer is skipped on request.
    pub async fn start(logs: &Path) -> Option<Self> {
        let python = fetch::python("grpcio")?;
        let mut command = Command::new(&python);
        command.arg(scripts().join("grpc_server.py")).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = Child::start("grpcio-server", &command, logs);
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let url = format!("http://127.0.0.1:{}", ready["port"]);
        Some(Self { url, python, _child: child })
    }

    /// The interpreter that has `grpcio`.
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// Does these steps one after the other, as a client of `url`; answers what came of each.
    ///
    /// # Panics
    /// When the client fails.
    pub async fn client(&self, url: &str, ca: &Path, token: Option<&str>, steps: &[Value]) -> Vec<Value> {
        client(&self.python, url, ca, token, steps).await
    }
}

/// As [`Service::client`], with the interpreter of [`fetch::python`].
///
/// # Panics
/// When the client fails.
pub async fn client(python: &Path, url: &str, ca: &Path, token: Option<&str>, steps: &[Value]) -> Vec<Value> {
    let target = url.trim_start_matches("https://");
    let plan = json!({ "target": target, "ca": ca, "token": token, "steps": steps }).to_string();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), plan).expect("the file is ours");
    let mut command = Command::new(python);
    command.arg(scripts().join("grpc_client.py")).arg(file.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let output = output.unwrap_or_else(|e| panic!("python does not start: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the client failed: {stderr}");
    let lines = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let answers: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), steps.len(), "{stderr}");
    answers
}
