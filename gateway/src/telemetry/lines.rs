//! Log lines for the collector: what is logged on standard error, with the ids of the call's trace.

use super::{
    attribute,
    export::{Queue, on_exporter_thread},
    span::nanos,
};
use crate::trace::Ids;
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, any_value::Value},
    logs::v1::{LogRecord, SeverityNumber},
};
use std::{fmt, sync::Arc};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::Context;

/// Longest text of a line or of one of its fields, in bytes.
const TEXT_BYTES_MAX: usize = 1024;
/// Most fields of a line.
const FIELDS_MAX: usize = 24;

/// Where lines go besides standard error. The subscriber of a process is one, so this is too.
static QUEUE: ArcSwapOption<Queue<Line>> = ArcSwapOption::const_empty();

tokio::task_local! {
    /// The call that this task works for.
    pub(crate) static CALL: Ids;
}

/// A line.
#[derive(Debug)]
pub(crate) struct Line {
    at: Timestamp,
    level: Level,
    target: &'static str,
    body: String,
    fields: Vec<(&'static str, Value)>,
    call: Option<Ids>,
}

/// From now on lines go there, or nowhere.
pub(crate) fn go_to(queue: Option<Queue<Line>>) {
    QUEUE.store(queue.map(Arc::new));
}

/// Hands lines to the exporter, if there is one.
#[derive(Debug)]
pub(super) struct Exported;

impl<S: Subscriber> tracing_subscriber::Layer<S> for Exported {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let queue = QUEUE.load();
        let Some(queue) = &*queue else { return };
        let metadata = event.metadata();
        // What sending logs would otherwise be sent, and so on.
        if on_exporter_thread() && !metadata.target().starts_with("gateway::telemetry") {
            return;
        }
        let mut line = Line {
            at: Timestamp::now(),
            level: *metadata.level(),
            target: metadata.target(),
            body: String::new(),
            fields: Vec::new(),
            call: CALL.try_with(|ids| *ids).ok(),
        };
        event.record(&mut line);
        queue.push(line);
    }
}

impl Line {
    fn field(&mut self, field: &Field, value: Value) {
        if self.fields.len() < FIELDS_MAX {
            self.fields.push((field.name(), value));
        }
    }

    /// As OTLP has it.
    pub(super) fn into_proto(self) -> LogRecord {
        let (severity, word) = match self.level {
            Level::ERROR => (SeverityNumber::Error, "ERROR"),
            Level::WARN => (SeverityNumber::Warn, "WARN"),
            Level::INFO => (SeverityNumber::Info, "INFO"),
            Level::DEBUG => (SeverityNumber::Debug, "DEBUG"),
            Level::TRACE => (SeverityNumber::Trace, "TRACE"),
        };
        let mut attributes: Vec<_> = self.fields.into_iter().map(|(name, value)| attribute::of(name, value)).collect();
        attributes.push(attribute::text("log.target", self.target));
        let (trace_id, span_id, flags) = self.call.map_or_else(Default::default, |ids| {
            (ids.trace.to_be_bytes().to_vec(), ids.span.to_be_bytes().to_vec(), u32::from(ids.sampled))
        });
        LogRecord {
            time_unix_nano: nanos(self.at),
            observed_time_unix_nano: nanos(self.at),
            severity_number: severity.into(),
            severity_text: word.to_owned(),
            body: Some(AnyValue { value: Some(Value::StringValue(self.body)) }),
            attributes,
            flags,
            trace_id,
            span_id,
            ..LogRecord::default()
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        let text = bounded(value.to_owned());
        if field.name() == "message" { self.body = text } else { self.field(field, Value::StringValue(text)) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, Value::IntValue(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, Value::DoubleValue(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, Value::BoolValue(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = bounded(format!("{value:?}"));
        if field.name() == "message" { self.body = text } else { self.field(field, Value::StringValue(text)) }
    }
}

fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}
