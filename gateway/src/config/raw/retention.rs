//! `[audit.retention]` as written.

use super::At;
use schemars::JsonSchema;
use serde::Deserialize;

/// How long records are kept. Closed segments are packed (zstd), and the oldest are removed once they are too old or
/// too much; a signed tombstone stands for each, so that the rest can still be verified.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retention {
    /// A segment is removed once its newest record is older than this. Default `"365d"`.
    pub(crate) age: Option<At<String>>,
    /// Most bytes that segments take in the log's folder; beyond that the oldest go, to the archive if there is one.
    /// Default: a quarter of the disk, and at most 64 GiB.
    pub(crate) bytes_max: Option<At<i64>>,
    /// A closed segment is packed once its newest record is older than this. Default `"10m"`.
    pub(crate) pack_after: Option<At<String>>,
    /// A folder, on another disk, to which older segments are moved. It must be there. Default: none.
    pub(crate) archive: Option<At<String>>,
    /// A segment is moved to the archive once its newest record is older than this. Default `"90d"`.
    pub(crate) archive_after: Option<At<String>>,
    /// Most bytes that segments take in the archive; beyond that the oldest are removed. Default: no limit but `age`.
    pub(crate) archive_bytes_max: Option<At<i64>>,
}
