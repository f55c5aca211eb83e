//! The harness: fetches real peers, starts them and Latchwork as processes, and looks at both from outside.

pub mod aws;
pub mod azure;
pub mod browser;
pub mod built;
pub mod certificates;
pub mod child;
pub mod client;
pub mod collector;
pub mod disk;
pub mod fetch;
pub mod fn_project;
pub mod functions_framework;
pub mod google;
pub mod grpcio;
pub mod history;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod knative;
pub mod lambda;
pub mod latchwork;
pub mod library;
pub mod local;
pub mod nats;
pub mod oidc;
pub mod openfaas;
pub mod origin;
pub mod processes;
pub mod project;
pub mod pubsub;
pub mod raw;
pub mod records;
pub mod shim;
pub mod skip;
pub mod soap;
pub mod story;
pub mod wait;
pub mod webhooks;
pub mod witness;

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate `tests` is a folder of the repository")
}

/// Scripts that the harness gives to peers.
pub fn scripts() -> PathBuf {
    root().join("tests/peers/scripts")
}
