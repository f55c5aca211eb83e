//! A call as an answer has it.

use super::field::OPEN;
use crate::audit::index::{
    block::{Block, Row},
    entry::Word,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// A call, its records joined. What no record says is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its id.
    pub call: Uuid,
    /// When it was recorded first.
    pub at: Timestamp,
    /// Who recorded it.
    pub node: Arc<str>,
    /// In which log of that node.
    pub incarnation: Uuid,
    /// How it ended: `completed`, `failed`, `timed_out`, `abandoned`, `revoked`, `denied` (by policy), `refused`
    /// (otherwise), `open` (not yet, or the gateway was killed).
    pub outcome: Arc<str>,
    /// Who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Arc<str>>,
    /// What kind of caller that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Arc<str>>,
    /// The function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Arc<str>>,
    /// The function's tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Arc<str>>,
    /// HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Audit word of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Arc<str>>,
    /// The step that refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Arc<str>>,
    /// Why policy said no, also where that was only observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
    /// The policies that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Arc<str>>,
    /// Number of the target that was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<u16>,
    /// How many targets were asked after the first.
    #[serde(default, skip_serializing_if = "is_none")]
    pub attempts: u32,
    /// Why the function failed, as a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
    /// Listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<Arc<str>>,
    /// The caller's address, or what stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Arc<str>>,
    /// The bundle that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Arc<str>>,
    /// From arrival to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// Bytes of the request body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_in: Option<u64>,
    /// Bytes of the reply's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<u64>,
    /// How many records tell of it.
    pub records: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_none(number: &u32) -> bool {
    *number == 0
}

impl Call {
    pub(crate) fn of(row: &Row, block: &Block, node: &Arc<str>, incarnation: Uuid) -> Self {
        let word = |word: Word| block.text(row.word(word)).cloned();
        let ended = |number: u64| row.ended.map(|_| number);
        Self {
            call: Uuid::from_bytes(row.call),
            at: Timestamp::from_microsecond(row.at()).unwrap_or_default(),
            node: node.clone(),
            incarnation,
            outcome: word(Word::Outcome).unwrap_or_else(|| Arc::from(OPEN)),
            caller: word(Word::Caller),
            principal: word(Word::Principal),
            function: word(Word::Function),
            tenant: word(Word::Tenant),
            status: row.status,
            refusal: word(Word::Refusal),
            stage: word(Word::Stage),
            reason: word(Word::Reason),
            policies: block.set(row.policies).cloned().collect(),
            target: row.target,
            attempts: row.attempts,
            error: word(Word::Error),
            listener: word(Word::Listener),
            source: word(Word::Source),
            bundle: word(Word::Bundle),
            duration_us: ended(row.duration_us),
            bytes_in: ended(row.bytes_in),
            bytes_out: ended(row.bytes_out),
            records: row.records,
        }
    }
}
