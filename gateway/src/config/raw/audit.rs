//! `[audit]` as written.

use super::{At, Durability, Named, Ship};
use crate::audit::field::Mode;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `[audit]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Audit {
    /// Folder. Default `"audit"`.
    pub(crate) path: Option<At<String>>,
    /// What an accepted record survives: `"fsync"` a power cut (default), `"write"` a killed process.
    pub(crate) durability: Option<Durability>,
    /// A segment is closed at this size, in bytes. Default 64 MiB.
    pub(crate) segment_bytes_max: Option<At<i64>>,
    /// Segments closed longer ago may be removed by an operator. Default `"365d"`.
    pub(crate) retention: Option<At<String>>,
    /// The key that signs the log's checkpoints, by reference: `"file:PATH"`, as `latchwork audit key new` makes it.
    /// Outside production one is made in the log's folder unless this is set.
    pub(crate) checkpoint_key: Option<At<String>>,
    /// A checkpoint is signed after so many records. Default 10000.
    pub(crate) checkpoint_records: Option<At<i64>>,
    /// A checkpoint is signed after this time if there are new records. Default `"10s"`.
    pub(crate) checkpoint_interval: Option<At<String>>,
    /// Folders, on other disks, where checkpoints are kept as well.
    pub(crate) checkpoint_copies: Vec<At<String>>,
    /// How fields of calls are recorded, by JSON pointer into `/facts`, `/path`, `/query` and `/input`: `"plain"`
    /// (default), `"hmac"`, `"encrypted"` or `"drop"`. The longest pointer counts; `*` stands for any member or element.
    #[schemars(with = "BTreeMap<String, Mode>")]
    pub(crate) fields: BTreeMap<At<String>, At<Mode>>,
    /// The key of `"hmac"`, by reference: `"file:PATH"`, as `latchwork audit key hash` makes it.
    pub(crate) hash_key: Option<At<String>>,
    /// Who may read what is `"encrypted"`: the public key that `latchwork audit key auditor` prints.
    pub(crate) auditor: Option<At<String>>,
    /// Where records go besides, by name.
    pub(crate) ship: Named<Ship>,
    /// A witness that signs checkpoints, too.
    pub(crate) witness: Option<At<Witness>>,
}

/// `witness = { url = "https://…", key = "NAME+ID+KEY" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Witness {
    /// Submission prefix of a C2SP tlog-witness; `/add-checkpoint` is asked there.
    #[schemars(required)]
    pub(crate) url: Option<At<String>>,
    /// Its verifier key for Ed25519 cosignatures.
    #[schemars(required)]
    pub(crate) key: Option<At<String>>,
    /// PEM file of the authorities that may vouch for it. Default: the system's.
    pub(crate) ca: Option<At<String>>,
}
