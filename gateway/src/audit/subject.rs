//! Encryption by data subject: every caller has keys of its own, wrapped to the auditor's key, so that erasing them
//! makes what was encrypted unreadable without a change to the log.

pub mod act;
pub mod auditor;
pub mod hold;
pub mod seal;
pub mod store;
#[cfg(test)]
mod tests;

pub use auditor::{Auditor, AuditorKey};
pub use store::Subjects;

/// The subject of what is recorded of calls whose caller nobody identified.
pub const NOBODY: &str = "anonymous";
