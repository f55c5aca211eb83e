//! Google's `functions-framework`: an HTTP function that knows nothing of us.

use crate::{child::Child, fetch, scripts, wait};
use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

/// How often another free port is tried.
const TRIES: usize = 3;

/// A running function.
#[derive(Debug)]
pub struct Framework {
    /// Where it listens.
    pub url: String,
    child: Child,
}

impl Framework {
    /// Starts the function `describe` of `function_http.py`; `None` when the peer is skipped on request.
    pub async fn start(logs: &Path) -> Option<Self> {
        Self::of(logs, "describe", "http").await
    }

    /// Starts the function `receive`, which takes CloudEvents and writes them to standard output.
    pub async fn start_events(logs: &Path) -> Option<Self> {
        Self::of(logs, "receive", "cloudevent").await
    }

    /// What the function wrote to standard output.
    pub fn stdout(&self) -> String {
        self.child.stdout()
    }

    async fn of(logs: &Path, target: &str, signature: &str) -> Option<Self> {
        let python = fetch::python("functions-framework")?;
        for _ in 0..TRIES {
            let port = wait::free_port();
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let mut command = Command::new(&python);
            command.args(["-m", "functions_framework", "--target", target, "--host", "127.0.0.1"]);
            command.args(["--signature-type", signature]);
            command.arg("--source").arg(scripts().join("function_http.py")).arg("--port").arg(port.to_string());
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            let mut child = Child::start(&format!("functions-framework-{target}"), &command, logs);
            let up = wait::until("functions-framework", wait::LONG, || {
                let ended = child.ended().is_some();
                async move { if wait::listens(address).await { Some(true) } else { ended.then_some(false) } }
            });
            if up.await && child.ended().is_none() {
                return Some(Self { url: format!("http://{address}"), child });
            }
            // Another program took the port first.
            assert!(child.exit(Duration::ZERO).await.code().is_some(), "{}", child.stderr());
        }
        panic!("functions-framework found no free port in {TRIES} tries")
    }
}
