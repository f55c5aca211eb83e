//! Records as OTLP logs: the record itself is the body, byte for byte, and its id an attribute.

use super::{Status, Stop, feed::Batch, id, sink::Trouble};
use crate::{
    audit::query::Line,
    config,
    telemetry::{
        attribute,
        export::{
            client::{Client, ExportError},
            message::{Message, Resource},
        },
        span::nanos,
    },
};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, any_value::Value},
    logs::v1::{LogRecord, SeverityNumber},
};
use std::{sync::Arc, time::Duration};
use tokio::runtime::{Builder, Runtime};

/// A collector.
#[derive(Debug)]
pub(super) struct Logs {
    settings: config::Collector,
    node: Arc<str>,
    /// A connection that failed is not used again.
    link: Option<Link>,
}

/// A connection, and the runtime that it lives and ends with.
#[derive(Debug)]
struct Link {
    runtime: Runtime,
    client: Client,
}

impl Logs {
    /// Opens nothing yet.
    pub(super) fn new(settings: config::Collector, node: Arc<str>) -> Self {
        Self { settings, node, link: None }
    }

    pub(super) fn take(&mut self, batch: &Batch, status: &Status) -> Result<u64, Trouble> {
        if batch.records.is_empty() {
            return Ok(batch.next);
        }
        let link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.settings)?,
        };
        let records = batch.records.iter().map(|line| of(&self.node, line)).collect();
        let message = Resource::new(&[], &self.node).lines(records);
        let (rejected, why) = link.send(message, self.settings.timeout).map_err(|error| Trouble(error.to_string()))?;
        self.link = Some(link);
        // OTLP forbids to send these again: the collector has judged them.
        if let Some(rejected) = u64::try_from(rejected).ok().filter(|rejected| *rejected > 0) {
            status.refused(rejected, &why);
        }
        Ok(batch.next)
    }

    pub(super) fn pause(&mut self, time: Duration, stop: &Stop) {
        match &self.link {
            // What the collector says meanwhile is heard.
            Some(link) if !stop.is_stopped() => link.runtime.block_on(async { tokio::time::sleep(time).await }),
            _ => stop.wait(time),
        }
    }
}

impl Link {
    fn open(settings: &config::Collector) -> Result<Self, Trouble> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Trouble(format!("no connection can be made: {error}")))?;
        let client = Client::new(settings).map_err(|error| Trouble(error.to_string()))?;
        Ok(Self { runtime, client })
    }

    fn send(&self, message: Message, longest: Duration) -> Result<(i64, String), ExportError> {
        let sent = async { tokio::time::timeout(longest, self.client.send(message)).await };
        self.runtime.block_on(sent).unwrap_or_else(|_| Err(ExportError::late(longest)))
    }
}

/// A record as OTLP has it.
fn of(node: &str, line: &Line) -> LogRecord {
    let head = &line.head;
    let mut attributes = vec![
        attribute::text("latchwork.audit.id", id(node, head.incarnation, head.seq)),
        attribute::text("latchwork.audit.kind", head.kind.as_str()),
    ];
    attributes.extend(head.call.map(|call| attribute::text("latchwork.call_id", call.to_string())));
    LogRecord {
        time_unix_nano: nanos(head.at),
        observed_time_unix_nano: nanos(head.at),
        severity_number: SeverityNumber::Info.into(),
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(String::from_utf8_lossy(&line.bytes).into_owned())) }),
        attributes,
        event_name: format!("latchwork.audit.{}", head.kind.as_str()),
        ..LogRecord::default()
    }
}
