//! The functions that exist, and how each is run. Nothing runs without a permit.

pub mod backend;
pub mod bind;
pub mod cost;
pub mod dial;
pub mod dispatch;
#[cfg(test)]
mod double;
mod event;
pub mod function;
mod hop;
pub mod host;
mod introduce;
pub mod invocation;
pub mod nats;
pub mod payload;
pub mod report;
#[cfg(test)]
mod samples;
mod secret;
mod sign;
pub mod soap;
mod token;
