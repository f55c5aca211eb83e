//! Takes what waits in batches and sends it, until the gateway stops: then once more what is left.

use super::{
    FLUSH_GRACE,
    link::Link,
    message::{Message, Resource},
};
use crate::telemetry::{
    Metrics,
    lines::Line,
    measures::{self, Period},
    span::{CallSpan, nanos},
};
use jiff::Timestamp;
use std::{future::Future, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};

/// Most items of one request.
const BATCH_MAX: usize = 512;
/// Longest time that an item waits for others.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// Runs everything until it has ended, and no longer than [`FLUSH_GRACE`] after the stop.
pub(super) async fn all(
    traces: Option<impl Future<Output = ()>>,
    logs: Option<impl Future<Output = ()>>,
    measures: Option<impl Future<Output = ()>>,
    mut stopping: watch::Receiver<bool>,
) {
    let late = async {
        // The sender is gone only with the gateway.
        let _ = stopping.wait_for(|stop| *stop).await;
        tokio::time::sleep(FLUSH_GRACE).await;
    };
    let work = async { tokio::join!(ended(traces), ended(logs), ended(measures)) };
    tokio::select! {
        _ = work => {}
        () = late => {}
    }
}

async fn ended(work: Option<impl Future<Output = ()>>) {
    if let Some(work) = work {
        work.await;
    }
}

/// Sends spans.
pub(super) async fn spans(from: mpsc::Receiver<CallSpan>, link: Link, resource: Resource) {
    batches(from, link, |spans| resource.spans(spans.into_iter().map(CallSpan::into_proto).collect())).await;
}

/// Sends log lines.
pub(super) async fn lines(from: mpsc::Receiver<Line>, link: Link, resource: Resource) {
    batches(from, link, |lines| resource.lines(lines.into_iter().map(Line::into_proto).collect())).await;
}

async fn batches<T>(mut from: mpsc::Receiver<T>, mut link: Link, message: impl Fn(Vec<T>) -> Message) {
    let linger = link.settings.interval.min(LINGER_MAX);
    let mut stopping = link.stopping.clone();
    loop {
        let mut batch = Vec::new();
        let first = tokio::select! {
            taken = from.recv_many(&mut batch, BATCH_MAX) => taken,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        if first == 0 {
            return;
        }
        let until = Instant::now() + linger;
        while batch.len() < BATCH_MAX && !*stopping.borrow() {
            let room = BATCH_MAX - batch.len();
            if !matches!(timeout_at(until, from.recv_many(&mut batch, room)).await, Ok(1..)) {
                break;
            }
        }
        let items = batch.len() as u64;
        link.deliver(message(batch), items).await;
    }
    from.close();
    let mut left = Vec::new();
    while from.recv_many(&mut left, BATCH_MAX).await > 0 {
        let batch = std::mem::take(&mut left);
        let items = batch.len() as u64;
        link.deliver(message(batch), items).await;
    }
}

/// Sends metrics at every interval, and at the end.
pub(super) async fn metrics(metrics: Metrics, mut link: Link, resource: Resource) {
    let since = nanos(metrics.since());
    let mut stopping = link.stopping.clone();
    loop {
        let over = tokio::time::timeout(link.settings.interval, stopping.wait_for(|stop| *stop)).await.is_ok();
        // Writing to a `String` can't fail.
        let Ok(text) = metrics.text() else { return };
        let (read, points) = measures::read(&text, Period { since, until: nanos(Timestamp::now()) });
        link.deliver(resource.metrics(read), points).await;
        if over {
            return;
        }
    }
}
