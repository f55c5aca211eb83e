//! A function under Fn's own kit, and in front of it a server that verifies its callers: an Fn server, or Oracle Cloud.

use crate::{child::Child, fetch, scripts, wait};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;
use tokio::net::UnixStream;

/// The bearer token that the Fn server takes.
pub const TOKEN: &str = "the-token-of-fn";

/// A running server and the function behind it.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub url: String,
    child: Child,
    kit: Child,
    // Of its own: what a test runs must leave no process behind that names the test's.
    folder: TempDir,
}

impl Server {
    /// An Fn server; `None` when the peer is skipped on request.
    pub async fn fn_server() -> Option<Self> {
        let python = fetch::program("python3")?;
        Self::start(&python, &["fn", TOKEN]).await
    }

    /// Oracle Cloud, which verifies with its own library; `None` when a peer is skipped on request.
    pub async fn oracle() -> Option<Self> {
        let python = fetch::oracle("oci")?;
        Self::start(&python, &["oracle"]).await
    }

    async fn start(python: &Path, arguments: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kit = kit(folder.path()).await?;
        let mut command = Command::new(python);
        command.arg(scripts().join("fn_server.py")).arg(socket(folder.path())).args(arguments);
        if arguments.len() == 1 {
            command.arg(folder.path());
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = Child::start("fn-server", &command, folder.path());
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let url = ready["url"].as_str().expect("the script says where it listens").to_owned();
        Some(Self { url, child, kit, folder })
    }

    /// The private key of the user that calls are signed for.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// As [`Server::key`], of somebody else.
    pub fn stranger(&self) -> PathBuf {
        self.folder.path().join("stranger.pem")
    }

    /// The bodies that the function was run with.
    pub fn ran(&self) -> Vec<String> {
        let lines = self.kit.stdout();
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter_map(|line| line["ran"].as_str().map(str::to_owned)).collect()
    }

    /// What it was told that is not so.
    pub fn lies(&self) -> String {
        self.child.stderr()
    }
}

async fn kit(folder: &Path) -> Option<Child> {
    let fdk = fetch::functions("fdk")?.with_file_name("fdk");
    let socket = socket(folder);
    let mut command = Command::new(fdk);
    command.arg(scripts().join("function_fn.py")).arg("handler").current_dir(folder);
    command.env("FN_FORMAT", "http-stream").env("FN_LISTENER", format!("unix:{}", socket.display()));
    command.env("FN_APP_ID", "app").env("FN_FN_ID", "function").env("FN_MEMORY", "128");
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let mut child = Child::start("fdk", &command, folder);
    wait::until("Fn's kit", wait::LONG, || {
        assert!(child.ended().is_none(), "{}", child.stderr());
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.ok() }
    })
    .await;
    Some(child)
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("fn.sock")
}
