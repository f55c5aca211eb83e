//! Services and clients of SOAP that we did not write: `spyne` and `zeep` (Python), and npm's `soap`.

use crate::{
    child::Child,
    client::{Client, Request},
    fetch, scripts, wait,
};
use serde_json::Value;
use std::{path::Path, process::Command};

/// The password that services ask the gateway for.
pub const PASSWORD: &str = "canary-of-the-host";

/// A running service.
#[derive(Debug)]
pub struct Service {
    /// Its port on loopback, in clear text.
    pub port: u16,
    child: Child,
}

impl Service {
    /// Starts a service of `spyne` that validates messages of this version; `None` when the peer is skipped on request.
    pub async fn spyne(logs: &Path, version: &str) -> Option<Self> {
        let mut command = Command::new(fetch::soap("spyne")?);
        command.arg(scripts().join("soap_spyne.py")).args([version, PASSWORD]).env("PYTHONDONTWRITEBYTECODE", "1");
        Some(Self::started("spyne", &command, logs).await)
    }

    /// Starts npm's `soap` for a WSDL; with `authenticates` it asks for a user and password in the message. `None` when the
    /// peer is skipped on request.
    pub async fn node(logs: &Path, wsdl: &Path, version: &str, authenticates: bool) -> Option<Self> {
        let folder = fetch::node_soap("soap")?;
        let mut command = Command::new("node");
        command.arg(folder.join("soap_server.mjs")).arg(wsdl).arg(version);
        command.arg(if authenticates { PASSWORD } else { "" });
        Some(Self::started("npm-soap", &command, logs).await)
    }

    async fn started(name: &str, command: &Command, logs: &Path) -> Self {
        let mut child = Child::start(name, command, logs);
        let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
        let port = ready["port"].as_u64().and_then(|port| port.try_into().ok()).expect("the script says its port");
        Self { port, child }
    }

    /// Its address.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The WSDL that it gives of itself.
    pub async fn wsdl(&self, path: &str) -> String {
        let answer = Client::new(&self.url(""), None).send(Request::get(&format!("{path}?wsdl"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// What it wrote to standard output.
    pub fn stdout(&self) -> String {
        self.child.stdout()
    }
}

/// A client of `zeep` that does these steps at an address, by a WSDL; `None` when the peer is skipped on request.
///
/// # Panics
/// When the client fails.
pub async fn zeep(
    wsdl: &Path,
    (url, ca): (&str, Option<&Path>),
    token: &str,
    steps: &Value,
    logs: &Path,
) -> Option<Vec<Value>> {
    let mut command = Command::new(fetch::soap("zeep")?);
    command.arg(scripts().join("soap_zeep.py")).arg(wsdl).args([url, token, &steps.to_string()]).args(ca);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Some(outcomes("zeep", &command, logs).await)
}

/// A client of npm's `soap` that does these steps at an address in this version, by a WSDL, and has a user in its messages unless
/// that is empty; `None` when the peer is skipped on request.
///
/// # Panics
/// When the client fails.
pub async fn node_client(
    wsdl: &Path,
    (url, ca): (&str, Option<&Path>),
    (version, user): (&str, &str),
    steps: &Value,
    logs: &Path,
) -> Option<Vec<Value>> {
    let mut command = Command::new("node");
    command.arg(fetch::node_soap("soap")?.join("soap_client.mjs")).arg(wsdl);
    command.args([url, version, &steps.to_string(), user]).envs(ca.map(|ca| ("NODE_EXTRA_CA_CERTS", ca)));
    Some(outcomes("npm-soap-client", &command, logs).await)
}

/// What a client says of its steps, a line for each.
async fn outcomes(name: &str, command: &Command, logs: &Path) -> Vec<Value> {
    let mut child = Child::start(name, command, logs);
    let ended = child.exit(wait::LONG).await;
    assert!(ended.success(), "{}", child.stderr());
    child.stdout().lines().map(|line| serde_json::from_str(line).expect("a step's outcome")).collect()
}
