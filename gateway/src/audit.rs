//! The audit log: what is recorded of every call, before it has an effect and after.
//!
//! [`log::Log`] is opened once per incarnation of the gateway; a [`guard::Guard`] is opened per call and settled by
//! its outcome. [`query`] reads what was written, and [`search`] answers questions about it.

pub(crate) mod archive;
pub(crate) mod charges;
pub mod checkpoint;
pub mod conceal;
pub mod detect;
pub(crate) mod early;
pub mod export;
pub mod field;
pub(crate) mod follow;
pub mod guard;
pub mod hash;
pub mod index;
pub mod log;
pub(crate) mod notary;
pub mod note;
mod opening;
pub(crate) mod packed;
pub mod proof;
pub mod prove;
pub mod query;
pub(crate) mod queue;
pub mod record;
pub mod redact;
pub(crate) mod repair;
pub mod retention;
pub mod search;
pub(crate) mod segment;
pub mod ship;
pub mod signer;
mod spare;
pub mod subject;
pub mod tombstone;
pub mod tree;
pub mod verify;
pub(crate) mod writer;

#[cfg(test)]
pub(crate) mod tests;

/// The log can't take a record, so what it would have recorded must not happen or be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrecorded {
    /// The disk refuses: it is full, read-only or broken. The log recovers by itself.
    #[error("the audit log can't be written")]
    Failing,
    /// Too many calls are pending, or too many bytes wait to be written.
    #[error("the audit log has no room for another call")]
    NoRoom,
    /// The log was shut down.
    #[error("the audit log is closed")]
    Closed,
    /// The disk did not answer in time; whether the record is there is not known.
    #[error("the audit log did not answer in time")]
    TimedOut,
}
