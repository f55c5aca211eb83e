//! The front door of Latchwork: authenticates callers, asks policy, runs functions, records every decision.

pub mod config;
pub mod refusal;
