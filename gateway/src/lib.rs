//! The front door of Latchwork: authenticates callers, asks policy, runs functions, records every decision.

pub mod command;
pub mod config;
pub mod refusal;
pub mod scaffold;
