//! The service of `library.proto`: Google's `grpcio` with compiled messages, and what Google's own clients make of its
//! annotations.

use crate::{child::Child, fetch, latchwork::Running, scripts, wait};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A running service: `library.v1.Library`.
#[derive(Debug)]
pub struct Library {
    /// Where it listens, in clear text.
    pub url: String,
    /// The same as functions of HTTP.
    pub http: String,
    /// What is compiled. It lies apart: what a gateway's folder names must end with that gateway.
    folder: TempDir,
    python: PathBuf,
    _child: Child,
}

impl Library {
    /// Starts one, and copies what describes it into `folder` as `library.binpb`; `None` when the peer is skipped on request.
    pub async fn start(folder: &Path) -> Option<Self> {
        let python = fetch::transcode("grpcio-tools")?;
        let compiled = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(&python);
        command.arg(scripts().join("library_server.py")).arg(compiled.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = Child::start("library-server", &command, folder);
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let [url, http] = ["port", "http"].map(|name| format!("http://127.0.0.1:{}", ready[name]));
        fs::copy(compiled.path().join("library.binpb"), folder.join("library.binpb")).expect("it was compiled");
        Some(Self { url, http, folder: compiled, python, _child: child })
    }

    /// Does these steps one after the other, as a client of `gateway`; answers what came of each.
    ///
    /// # Panics
    /// When the client fails.
    pub async fn client(&self, gateway: &Running, steps: &[Value]) -> Vec<Value> {
        let plan = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(plan.path(), Value::from(steps).to_string()).expect("the file is ours");
        let (ca, plan_path) = (gateway.ca.to_string_lossy(), plan.path().to_string_lossy().into_owned());
        let said = self.script("library_client.py", &[&gateway.url, &ca, &plan_path]).await;
        let answers: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(answers.len(), steps.len(), "{said}");
        answers
    }

    /// Runs a script of the harness with the compiled messages and further arguments, to its end; answers what it said.
    ///
    /// # Panics
    /// When it fails.
    pub async fn script(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.python);
        command.arg(scripts().join(name)).arg(self.folder.path()).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let output = output.unwrap_or_else(|e| panic!("python does not start: {e}"));
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "`{name}` failed: {said}{complained}");
        said.into_owned()
    }
}
