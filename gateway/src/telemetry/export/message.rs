//! The requests of OTLP: what is sent, wrapped in what it is of.

use crate::telemetry::attribute::text;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::InstrumentationScope,
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{Metric, ResourceMetrics, ScopeMetrics},
    resource::v1,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use opentelemetry_semantic_conventions::attribute as name;
use std::sync::Arc;

/// `service.name` unless configured.
const SERVICE: &str = "latchwork";

/// The gateway, as every request names it.
#[derive(Clone, Debug)]
pub(crate) struct Resource(v1::Resource);

/// One request.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

impl Resource {
    pub(crate) fn new(configured: &[(Arc<str>, Arc<str>)], node: &str) -> Self {
        let mut attributes: Vec<_> = configured.iter().map(|(name, value)| text(name, &**value)).collect();
        if attributes.iter().all(|attribute| attribute.key != name::SERVICE_NAME) {
            attributes.push(text(name::SERVICE_NAME, SERVICE));
        }
        attributes.push(text(name::SERVICE_INSTANCE_ID, node));
        attributes.push(text(name::SERVICE_VERSION, env!("CARGO_PKG_VERSION")));
        Self(v1::Resource { attributes, ..v1::Resource::default() })
    }

    pub(super) fn spans(&self, spans: Vec<Span>) -> Message {
        let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
        let resource = Some(self.0.clone());
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
        Message::Traces(ExportTraceServiceRequest { resource_spans })
    }

    pub(crate) fn lines(&self, log_records: Vec<LogRecord>) -> Message {
        let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }];
        let resource = Some(self.0.clone());
        let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
        Message::Logs(ExportLogsServiceRequest { resource_logs })
    }

    pub(super) fn metrics(&self, metrics: Vec<Metric>) -> Message {
        let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.0.clone());
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        Message::Metrics(ExportMetricsServiceRequest { resource_metrics })
    }
}

fn scope() -> Option<InstrumentationScope> {
    let (name, version) = (SERVICE.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    Some(InstrumentationScope { name, version, ..InstrumentationScope::default() })
}
