//! The front door of Latchwork: authenticates callers, asks policy, runs functions, records every decision.
//!
//! Read [`pipeline`] first: it is the life of a call, one line per step.

pub mod address;
pub mod admin;
pub mod admit;
pub mod approvals;
pub mod ask;
pub mod audit;
pub mod authorize;
pub mod budget;
pub mod build;
pub mod call;
mod causes;
pub mod client;
pub mod command;
pub mod config;
mod cors;
pub mod cut;
pub mod dev;
mod door;
pub mod emergency;
pub mod front;
pub mod generation;
pub mod identify;
pub mod invoke;
pub mod listener;
pub mod meter;
pub mod pipeline;
pub mod prove;
pub mod refusal;
pub mod reload;
pub mod route;
pub mod running;
pub mod scaffold;
pub mod server;
pub mod shadow;
pub mod signed;
pub mod socket;
pub mod state;
pub mod telemetry;
pub mod tls;
pub mod trace;
pub mod trail;
pub mod warm;
pub mod watched;
