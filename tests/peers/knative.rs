//! A function of Knative that knows nothing of us, alone or behind an ingress and a broker.

use crate::{
    child::Child,
    client::{Client, Request},
    fetch, scripts, wait,
};
use serde_json::Value;
use std::{net::SocketAddr, process::Command, time::Duration};
use tempfile::TempDir;

/// The bearer token that the broker takes.
pub const TOKEN: &str = "the-token-of-the-broker";

/// How often another free port is tried.
const TRIES: usize = 3;

/// A running function.
#[derive(Debug)]
pub struct Function {
    /// Where it listens.
    pub url: String,
    child: Child,
    // Of its own: what a test runs must leave no process behind that names the test's.
    _folder: TempDir,
}

/// A running ingress and broker; the function is not started yet.
#[derive(Debug)]
pub struct Front {
    /// Where it listens.
    pub url: String,
    child: Child,
    _folder: TempDir,
}

impl Function {
    /// Starts one; `None` when the peer is skipped on request.
    pub async fn start() -> Option<Self> {
        let python = fetch::functions("func-python")?;
        for _ in 0..TRIES {
            let address = SocketAddr::from(([127, 0, 0, 1], wait::free_port()));
            let folder = tempfile::tempdir().expect("a temporary folder");
            let mut command = Command::new(&python);
            command.arg(scripts().join("function_knative.py")).env("LISTEN_ADDRESS", address.to_string());
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            let mut child = Child::start("func-python", &command, folder.path());
            let up = wait::until("func-python", wait::LONG, || {
                let ended = child.ended().is_some();
                async move { if wait::listens(address).await { Some(true) } else { ended.then_some(false) } }
            });
            if up.await && child.ended().is_none() {
                return Some(Self { url: format!("http://{address}"), child, _folder: folder });
            }
            // Another program took the port first.
            assert!(child.exit(Duration::ZERO).await.code().is_some(), "{}", child.stderr());
        }
        panic!("func-python found no free port in {TRIES} tries")
    }

    /// How often it ran to its end.
    pub fn runs(&self) -> usize {
        self.child.stderr().lines().filter(|line| line.starts_with("ran ")).count()
    }
}

impl Front {
    /// Starts one; `None` when the peer is skipped on request.
    pub async fn start() -> Option<Self> {
        let python = fetch::functions("func-python")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(python);
        command.arg(scripts().join("knative_front.py")).arg(TOKEN);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = Child::start("knative-front", &command, folder.path());
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let url = ready["url"].as_str().expect("the script says where it listens").to_owned();
        Some(Self { url, child, _folder: folder })
    }

    /// How often the function was started, and what the broker delivered: id, type and the function's status.
    pub async fn counts(&self) -> Value {
        Client::new(&self.url, None).send(Request::get("/counts")).await.json()
    }

    /// What it was told that is not so.
    pub fn lies(&self) -> String {
        self.child.stderr()
    }
}
