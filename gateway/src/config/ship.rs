//! `[audit.ship.NAME]`, checked: where records go besides the log.

use super::Collector;
use crate::audit::record::Kind;
use mesh::nats::Login;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// `[audit.ship.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct Ship {
    /// Its name.
    pub name: Arc<str>,
    /// The kinds of record that go there; all when absent.
    pub kinds: Option<Vec<Kind>>,
    /// Where they go.
    pub sink: Sink,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq)]
pub enum Sink {
    /// A file that grows and is rotated.
    File(FileSink),
    /// Closed segments as objects.
    Objects(ObjectSink),
    /// OTLP logs.
    Otlp(Collector),
    /// NATS JetStream.
    Nats(NatsSink),
}

/// `file = { … }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSink {
    /// The file.
    pub path: PathBuf,
    /// It is set aside before it would grow beyond this, in bytes.
    pub rotate_bytes: u64,
    /// Most files that were set aside; the oldest goes. All stay when absent.
    pub files_max: Option<u64>,
}

/// `objects = { … }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSink {
    /// The folder that stands for the bucket.
    pub path: PathBuf,
    /// What every key begins with, such as `audit/`; may be empty.
    pub prefix: String,
    /// Records wait no longer than this for their segment to be closed.
    pub age_max: Duration,
}

/// `nats = { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct NatsSink {
    /// Servers, any of which may be used.
    pub urls: Vec<String>,
    /// The stream that must acknowledge each record.
    pub stream: String,
    /// Subject, with `{node}`, `{kind}` and `{incarnation}` in it.
    pub subject: String,
    /// The stream is made where it is not.
    pub create: bool,
    /// Who we are.
    pub login: Login,
    /// PEM file of the authorities that may vouch for the servers, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time for a connection, and for an acknowledgement.
    pub timeout: Duration,
}
