//! `[audit.ship.NAME]` as written.

use super::At;
use crate::audit::record::Kind;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `[audit.ship.NAME]`: exactly one of `file`, `objects`, `otlp` and `nats`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ship {
    /// Kinds of record that go there, such as `["refused", "admin"]`. Default all.
    pub(crate) kinds: Option<At<Vec<At<Kind>>>>,
    /// A file that grows and is rotated: one record per line, exactly as the log has it.
    pub(crate) file: Option<At<FileSink>>,
    /// Objects in a folder, laid out as in a bucket: closed segments, byte for byte, and the checkpoints that cover them.
    pub(crate) objects: Option<At<ObjectSink>>,
    /// A collector that takes OTLP logs over gRPC.
    pub(crate) otlp: Option<At<OtlpSink>>,
    /// A stream of NATS JetStream.
    pub(crate) nats: Option<At<NatsSink>>,
}

/// `file = { path = "…" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FileSink {
    /// The file. Its folder must be there.
    #[schemars(required)]
    pub(crate) path: Option<At<String>>,
    /// Before it grows beyond so many bytes it is set aside as `PATH.1`, `PATH.2` and so on, never over one that is
    /// there. Default 100 MiB.
    pub(crate) rotate_bytes: Option<At<i64>>,
    /// Most files that were set aside; the oldest is removed. Default all stay.
    pub(crate) files_max: Option<At<i64>>,
}

/// `objects = { path = "…", prefix = "…" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ObjectSink {
    /// The folder that stands for the bucket.
    #[schemars(required)]
    pub(crate) path: Option<At<String>>,
    /// What every key begins with, such as `"audit/"`. Default nothing.
    pub(crate) prefix: Option<At<String>>,
    /// What is in no closed segment after this time goes as an object of its own. Default `"1h"`.
    pub(crate) age_max: Option<At<String>>,
}

/// `otlp = { endpoint = "…" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OtlpSink {
    /// The collector (OTLP over gRPC), such as `"https://collector.internal:4317"`.
    #[schemars(required)]
    pub(crate) endpoint: Option<At<String>>,
    /// Headers of every request, each value by reference: `"env:NAME"` or `"file:PATH"`.
    pub(crate) headers: BTreeMap<At<String>, At<String>>,
    /// PEM file of the authorities that may vouch for the collector, instead of the system's.
    pub(crate) ca: Option<At<String>>,
    /// Clear text off loopback is meant.
    pub(crate) clear_text: Option<At<bool>>,
    /// Longest time for one request. Default `"10s"`.
    pub(crate) timeout: Option<At<String>>,
}

/// `nats = { url = "…", stream = "…", subject = "…" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NatsSink {
    /// Server, such as `"tls://nats.internal:4222"`, or several with commas between.
    #[schemars(required)]
    pub(crate) url: Option<At<String>>,
    /// The stream that must acknowledge each record.
    #[schemars(required)]
    pub(crate) stream: Option<At<String>>,
    /// Subject of each record; `{node}`, `{kind}` and `{incarnation}` stand for the record's. Default
    /// `"latchwork.audit.{node}.{kind}"`.
    pub(crate) subject: Option<At<String>>,
    /// The stream is made, with the subject's pattern, where it is not. Default false: it must be there.
    pub(crate) create: bool,
    /// A token, by reference: `"env:NAME"` or `"file:PATH"`.
    pub(crate) token: Option<At<String>>,
    /// A user; needs `password`.
    pub(crate) user: Option<At<String>>,
    /// Its password, by reference.
    pub(crate) password: Option<At<String>>,
    /// The seed of an NKey, by reference.
    pub(crate) nkey: Option<At<String>>,
    /// A credentials file (a JWT and its seed), by reference.
    pub(crate) credentials: Option<At<String>>,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub(crate) ca: Option<At<String>>,
    /// Clear text off loopback is meant.
    pub(crate) clear_text: Option<At<bool>>,
    /// Longest time for a connection, and for an acknowledgement. Default `"10s"`.
    pub(crate) timeout: Option<At<String>>,
}
