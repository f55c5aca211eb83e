//! `[function."NAME"]`: what is known of a function, and of its targets.

use super::{Cors, Route, Warm};
use mesh::{
    backend::{grpc::GrpcConfig, http::HttpConfig, process::ProcessConfig, remote::RemoteConfig},
    bind::protobuf::Method,
    cost::Price,
    dispatch::Dispatch,
    report::Starts,
};
use policy::declared;
use std::{sync::Arc, time::Duration};

/// `[function."NAME"]`
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// What policy sees of it.
    pub declared: declared::Function,
    /// Where HTTP callers find it.
    pub route: Option<Route>,
    /// Its messages, when it is a method of gRPC whose descriptors are named.
    pub method: Option<Method>,
    /// Longest time for an answer.
    pub timeout: Duration,
    /// Largest request body, in bytes.
    pub request_bytes_max: u64,
    /// Largest answer that is buffered, in bytes.
    pub response_bytes_max: u64,
    /// Most calls that run at once.
    pub concurrency_max: usize,
    /// The caller's `Authorization` and `Cookie` headers that reach the backend: none unless named here.
    pub forward_headers: Vec<http::HeaderName>,
    /// What browsers may do with it: its own word, or the app's.
    pub cors: Option<Cors>,
    /// Where it runs.
    pub targets: Vec<Target>,
    /// How its calls are spread over its targets.
    pub dispatch: Dispatch,
    /// How it is kept warm, if it is.
    pub warm: Option<Arc<Warm>>,
    /// Whether it runs while the audit log can't be written.
    pub unrecorded: Unrecorded,
    /// Until when denials of it are only recorded.
    pub observe: Option<jiff::Timestamp>,
    /// Where its table starts, for messages: file and line.
    pub written: (Arc<str>, usize),
}

/// What becomes of a function's calls while the audit log can't be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unrecorded {
    /// They are refused (503).
    #[default]
    Refuse,
    /// They run; their records are written once the log can be written again, if the gateway lives that long.
    Run,
}

/// One element of `targets`.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Region.
    pub region: Option<Arc<str>>,
    /// How often the lot falls on it.
    pub weight: u32,
    /// What runs cost there.
    pub price: Option<Arc<Price>>,
    /// The memory that runs are billed for, in MiB, where the backend does not tell.
    pub memory_mib: Option<u32>,
    /// How it is run there.
    pub backend: BackendConfig,
}

/// The backend of a target, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendConfig {
    /// `grpc = { … }`
    Grpc(GrpcConfig),
    /// `http = { … }`
    Http(HttpConfig),
    /// `process = { … }`
    Process(ProcessConfig),
    /// A kind that checks itself.
    Remote(RemoteConfig),
}

impl BackendConfig {
    /// The kind's name, as written in the catalog.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Grpc(_) => "grpc",
            Self::Http(_) => "http",
            Self::Process(_) => "process",
            Self::Remote(remote) => remote.kind(),
        }
    }

    /// Whether callers meet cold starts there.
    #[must_use]
    pub fn starts(&self) -> Starts {
        match self {
            Self::Process(_) => Starts::Told,
            Self::Grpc(_) | Self::Http(_) => Starts::Untold,
            Self::Remote(remote) => remote.starts(),
        }
    }
}
