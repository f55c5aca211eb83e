//! Why a gateway can't start.

use crate::{
    address::Address,
    audit::{Unrecorded, log::OpenError},
    listener::BindError,
};
use policy::finding::Finding;
use std::io;

/// Why a gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Configuration, catalog or policies are broken.
    #[error("the configuration has errors")]
    Findings(Vec<Finding>),
    /// The audit log can't be opened.
    #[error("the audit log can't be opened: {0}")]
    Audit(#[source] OpenError),
    /// The start can't be recorded.
    #[error("the start can't be recorded: {0}")]
    Unrecorded(#[source] Unrecorded),
    /// A listener can't be bound.
    #[error(transparent)]
    Listener(#[from] BindError),
    /// The administrative interface can't be bound.
    #[error("the administrative interface can't listen on {address}: {source}")]
    Admin {
        /// The address.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process host can't start.
    #[error("processes can't be run here: {0}")]
    Host(#[source] io::Error),
}
