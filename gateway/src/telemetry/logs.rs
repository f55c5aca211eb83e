//! Structured logs on standard error: JSON, or text when a person looks. Never blocks a call: lines are dropped first.

use super::lines::Exported;
use std::io::IsTerminal;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// The variable that sets what is logged, such as `info` or `gateway::identify=debug`.
pub const FILTER_VARIABLE: &str = "LATCHWORK_LOG";

/// Starts logging. Dropping the guard writes what is left.
///
/// `quiet` keeps everything below warnings out unless the variable says otherwise.
#[must_use]
pub fn start(quiet: bool) -> Option<WorkerGuard> {
    // What a client of a sink says of each try, our own line says once.
    let fallback = if quiet { "warn,async_nats=off" } else { "info,async_nats=off" };
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(fallback));
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = if std::io::stderr().is_terminal() {
        let builder = builder.with_ansi(std::env::var_os("NO_COLOR").is_none()).with_target(false);
        builder.finish().with(Exported).try_init()
    } else {
        let builder = builder.json().flatten_event(true).with_current_span(false).with_span_list(false);
        builder.finish().with(Exported).try_init()
    };
    started.is_ok().then_some(guard)
}
