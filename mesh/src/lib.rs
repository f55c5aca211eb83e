//! The functions that exist, and how each is run. Nothing runs without a permit.

pub mod backend;
pub mod bind;
pub mod function;
mod hop;
pub mod host;
pub mod invocation;
pub mod payload;
