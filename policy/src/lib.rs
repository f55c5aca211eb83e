//! May this caller run this function? Pure: no socket, clock, file or task.

pub mod bundle;
pub mod cases;
pub mod command;
pub mod declared;
pub mod emergency;
pub mod engine;
pub mod explain;
pub mod finding;
#[cfg(test)]
mod fixture;
mod index;
pub mod lint;
pub mod permit;
pub mod question;
pub mod replay;
pub mod review;
pub mod shadow;
pub mod suggest;
pub mod usage;
pub mod vocabulary;
