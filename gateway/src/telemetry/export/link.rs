//! The way of one signal to the collector: tries again what may pass, gives up what takes too long, and says so once.

use super::{
    FLUSH_GRACE, Signal,
    client::{Client, ExportError},
    message::Message,
};
use crate::{config, telemetry::Metrics};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long one batch is tried again before the next one has its turn.
const RETRY_TIME_MAX: Duration = Duration::from_secs(20);
/// First and longest wait before another try.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// The way of one signal.
#[derive(Debug)]
pub(super) struct Link {
    signal: Signal,
    pub(super) settings: config::Telemetry,
    /// Opened anew after a failure: a connection that went silent is not used again.
    client: Option<Client>,
    pub(super) stopping: watch::Receiver<bool>,
    exported: Counter,
    dropped: Counter,
    healthy: Gauge,
    /// What was dropped when it last was healthy; `None` while it is.
    failing: Option<u64>,
}

impl Link {
    pub(super) fn new(
        signal: Signal,
        settings: config::Telemetry,
        metrics: &Metrics,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let meters = &metrics.telemetry;
        let (exported, dropped, healthy) = (meters.exported(signal), meters.dropped(signal), meters.healthy(signal));
        // Nothing has failed yet.
        healthy.set(1);
        Self { signal, settings, client: None, stopping, exported, dropped, healthy, failing: None }
    }

    /// Sends a message of so many items. However that ends, it ends in bounded time.
    pub(super) async fn deliver(&mut self, message: Message, items: u64) {
        let began = Instant::now();
        let mut wait = WAIT.0;
        loop {
            let error = match self.attempt(message.clone()).await {
                Ok(rejected) => return self.delivered(items, rejected),
                Err(error) => error,
            };
            self.client = None;
            self.failed(&error);
            let late = began.elapsed() + wait > RETRY_TIME_MAX;
            if !error.passing || late || *self.stopping.borrow() {
                self.dropped.inc_by(items);
                return;
            }
            let mut stopping = self.stopping.clone();
            tokio::select! {
                () = tokio::time::sleep(jittered(wait)) => {}
                // Once more, and then no more.
                _ = stopping.wait_for(|stop| *stop) => {}
            }
            wait = (wait * 2).min(WAIT.1);
        }
    }

    async fn attempt(&mut self, message: Message) -> Result<(i64, String), ExportError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::new(&self.settings.collector)?,
        };
        let timeout = self.settings.collector.timeout;
        let longest = if *self.stopping.borrow() { FLUSH_GRACE } else { timeout };
        let sent = tokio::time::timeout(longest.min(timeout), client.send(message)).await;
        let rejected = sent.unwrap_or_else(|_| Err(ExportError::late(longest)))?;
        self.client = Some(client);
        Ok(rejected)
    }

    fn delivered(&mut self, items: u64, (rejected, why): (i64, String)) {
        let rejected = u64::try_from(rejected).unwrap_or_default().min(items);
        self.exported.inc_by(items - rejected);
        self.dropped.inc_by(rejected);
        self.healthy.set(1);
        if let Some(before) = self.failing.take() {
            let dropped = self.dropped.get() - before;
            tracing::info!(
                target: "gateway::telemetry",
                signal = self.signal.as_str(),
                dropped,
                "the collector takes telemetry again"
            );
        }
        if rejected > 0 {
            tracing::debug!(target: "gateway::telemetry", signal = self.signal.as_str(), rejected, why, "rejected in part");
        }
    }

    /// One line when it begins to fail; after that, metrics tell.
    fn failed(&mut self, error: &ExportError) {
        self.healthy.set(0);
        if self.failing.is_none() {
            self.failing = Some(self.dropped.get());
            tracing::warn!(
                target: "gateway::telemetry",
                signal = self.signal.as_str(),
                collector = %self.settings.collector.endpoint,
                %error,
                "the collector does not take telemetry; calls go on, what can't be sent is dropped"
            );
        }
    }
}

/// Up to a fifth less, so that gateways do not come back all at once.
fn jittered(wait: Duration) -> Duration {
    let part = uuid::Uuid::new_v4().as_u128() as u8;
    wait.mul_f64(1.0 - f64::from(part) / 255.0 / 5.0)
}
