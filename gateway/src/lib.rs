//! The front door of Latchwork: authenticates callers, asks policy, runs functions, records every decision.

pub mod audit;
pub mod command;
pub mod config;
pub mod refusal;
