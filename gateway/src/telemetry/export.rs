//! Sends spans, metrics and log lines to a collector (OTLP over gRPC), on a thread and a runtime of its own.
//!
//! A call hands over what it leaves behind and goes on: what the collector does not take is counted and dropped.

pub(crate) mod client;
mod link;
pub(crate) mod message;
mod pump;

use super::{Metrics, lines, lines::Line, span::CallSpan};
use crate::config;
use link::Link;
use message::Resource;
use std::{
    cell::Cell,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// How long what still waits may take to be sent when the gateway stops.
pub const FLUSH_GRACE: Duration = Duration::from_secs(2);

thread_local! {
    static ON_EXPORTER_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is an exporter's.
pub(super) fn on_exporter_thread() -> bool {
    ON_EXPORTER_THREAD.with(Cell::get)
}

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log lines.
    Logs,
}

/// What may wait for the collector: bounded, and never waited for.
#[derive(Debug)]
pub struct Queue<T> {
    sender: mpsc::Sender<T>,
    dropped: prometheus_client::metrics::counter::Counter,
}

/// A running exporter.
#[derive(Debug)]
pub struct Exporter {
    sampling: config::Sampling,
    spans: Option<Queue<CallSpan>>,
    lines: Option<Queue<Line>>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Signal {
    /// The word in metrics and log lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

impl<T> Queue<T> {
    /// Hands over, or counts as dropped.
    pub(super) fn push(&self, item: T) {
        if self.sender.try_send(item).is_err() {
            self.dropped.inc();
        }
    }

    fn waiting(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), dropped: self.dropped.clone() }
    }
}

impl Exporter {
    /// Starts the thread. `None`, and a line in the log, when there can be none: calls do not depend on it.
    #[must_use]
    pub fn start(settings: &config::Telemetry, node: &str, metrics: &Metrics) -> Option<Arc<Self>> {
        let (stop, stopping) = watch::channel(false);
        let resource = Resource::new(&settings.resource, node);
        let link = |signal| Link::new(signal, settings.clone(), metrics, stopping.clone());
        let (spans, traces) = queue(settings.signals.traces, Signal::Traces, settings, metrics);
        let (lines, logs) = queue(settings.signals.logs, Signal::Logs, settings, metrics);
        let traces = traces.map(|from| pump::spans(from, link(Signal::Traces), resource.clone()));
        let logs = logs.map(|from| pump::lines(from, link(Signal::Logs), resource.clone()));
        let measures =
            settings.signals.metrics.then(|| pump::metrics(metrics.clone(), link(Signal::Metrics), resource));
        let work = move || {
            ON_EXPORTER_THREAD.with(|here| here.set(true));
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    runtime.block_on(pump::all(traces, logs, measures, stopping));
                    // Looking up a name may hang for longer than anybody should wait at the end.
                    runtime.shutdown_background();
                }
                Err(error) => tracing::error!(%error, "telemetry can't be sent"),
            }
        };
        let thread = std::thread::Builder::new().name("latchwork-otlp".to_owned()).spawn(work);
        let thread = thread.map_err(|error| tracing::error!(%error, "telemetry has no thread")).ok()?;
        lines::go_to(lines.clone());
        let thread = Mutex::new(Some(thread));
        Some(Arc::new(Self { sampling: settings.sampling, spans, lines, stop, thread }))
    }

    /// Which calls have a span; `None` when none has.
    #[must_use]
    pub fn sampling(&self) -> Option<config::Sampling> {
        self.spans.is_some().then_some(self.sampling)
    }

    /// Takes a call's span.
    pub fn span(&self, span: CallSpan) {
        if let Some(spans) = &self.spans {
            spans.push(span);
        }
    }

    /// How much waits, by signal.
    #[must_use]
    pub fn waiting(&self) -> Vec<(Signal, usize)> {
        let spans = self.spans.as_ref().map(|spans| (Signal::Traces, spans.waiting()));
        let lines = self.lines.as_ref().map(|lines| (Signal::Logs, lines.waiting()));
        spans.into_iter().chain(lines).collect()
    }

    /// Tells the thread to send what still waits, within [`FLUSH_GRACE`], and to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the end of the thread.
    pub fn join(&self) {
        self.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It says itself what went wrong.
            let _ = thread.join();
        }
    }
}

fn queue<T>(
    wanted: bool,
    signal: Signal,
    settings: &config::Telemetry,
    metrics: &Metrics,
) -> (Option<Queue<T>>, Option<mpsc::Receiver<T>>) {
    if !wanted {
        return (None, None);
    }
    let (sender, receiver) = mpsc::channel(settings.queue_max);
    (Some(Queue { sender, dropped: metrics.telemetry.dropped(signal) }), Some(receiver))
}
