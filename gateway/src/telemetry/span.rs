//! The span of a call: collected along its way, turned into OTLP off the hot path. It holds neither path nor query, no
//! header but `tracestate`, and no payload.

use super::attribute::{number, text};
use crate::{
    call::{Arrived, Envelope, Found},
    config::Route,
    front::grpc::invoke,
    refusal::Row,
    trace::{Ids, Trace},
};
use http::{Method, Version};
use jiff::Timestamp;
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    trace::v1::{Span, Status, span::SpanKind, status::StatusCode},
};
use opentelemetry_semantic_conventions::attribute as name;
use policy::question::FunctionName;
use std::time::Duration;
use uuid::Uuid;

/// Bits of `flags` that say whether the parent is in another process (OTLP 1.3).
const PARENT_IS_KNOWN_TO_BE: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// What a span says of its call.
#[derive(Debug)]
pub struct CallSpan {
    trace: Trace,
    call: Uuid,
    started: Timestamp,
    secure: bool,
    grpc: bool,
    by_name: Option<invoke::Kind>,
    method: Option<Method>,
    version: Option<Version>,
    function: Option<FunctionName>,
    route: Option<Route>,
    ended: Ended,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    /// `refused`, or the outcome of its last record.
    pub outcome: &'static str,
    /// HTTP status; 0 when nothing was sent.
    pub status: u16,
    /// What the gateway refused it with.
    pub refused: Option<Row>,
    /// How long it took.
    pub took: Duration,
}

impl CallSpan {
    pub(crate) fn begin(envelope: &Envelope) -> Self {
        Self {
            trace: envelope.trace.clone(),
            call: envelope.id,
            started: envelope.at,
            secure: envelope.peer.tls > 0,
            grpc: envelope.grpc,
            by_name: envelope.invoke,
            method: None,
            version: None,
            function: None,
            route: None,
            ended: Ended::default(),
        }
    }

    pub(crate) fn arrived(&mut self, arrived: &Arrived) {
        self.method = Some(arrived.head.method.clone());
        self.version = Some(arrived.head.version);
    }

    pub(crate) fn routed(&mut self, found: &Found) {
        self.function = Some(found.function.function.name.clone());
        self.route.clone_from(&found.function.config.route);
    }

    pub(crate) fn end(mut self, ended: Ended) -> Self {
        self.ended = ended;
        self
    }

    /// As OTLP has it.
    pub(super) fn into_proto(self) -> Span {
        let Ids { trace, span, sampled } = self.trace.ids();
        let parent = self.trace.parent();
        let start = nanos(self.started);
        let took = u64::try_from(self.ended.took.as_nanos()).unwrap_or(u64::MAX);
        let state = self.trace.tracestate();
        let error = self.error();
        let code = if error.is_some() { StatusCode::Error } else { StatusCode::Unset };
        Span {
            trace_id: trace.to_be_bytes().to_vec(),
            span_id: span.to_be_bytes().to_vec(),
            parent_span_id: parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
            trace_state: state.and_then(|state| state.to_str().map(str::to_owned).ok()).unwrap_or_default(),
            flags: u32::from(sampled) | PARENT_IS_KNOWN_TO_BE | if parent.is_some() { REMOTE } else { 0 },
            name: self.name(),
            kind: SpanKind::Server.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: start.saturating_add(took),
            attributes: self.attributes(error),
            status: Some(Status { code: code.into(), message: String::new() }),
            ..Span::default()
        }
    }

    /// The method of gRPC, without its leading slash.
    fn rpc(&self) -> Option<&str> {
        match self.by_name {
            Some(invoke::Kind::Unary) => Some("latchwork.invoke.v1.Invoke/Invoke"),
            Some(invoke::Kind::Stream) => Some("latchwork.invoke.v1.Invoke/InvokeStream"),
            None => {
                let route = self.route.as_ref().filter(|route| route.grpc)?;
                Some(route.pattern.trim_start_matches('/'))
            }
        }
    }

    /// Of few values: a path has too many, and may hold what is nobody's business.
    fn name(&self) -> String {
        if let Some(rpc) = self.rpc() {
            return rpc.to_owned();
        }
        let method = self.method.as_ref().map_or("HTTP", Method::as_str);
        match &self.route {
            Some(route) => format!("{method} {}", route.pattern),
            None => method.to_owned(),
        }
    }

    /// What went wrong, if it went wrong here or behind; a caller's own fault is none (conventions for servers).
    fn error(&self) -> Option<String> {
        let Ended { outcome, status, refused, .. } = self.ended;
        let broken = !matches!(outcome, "completed" | "refused");
        match refused {
            Some(row) => (broken || row.status >= 500).then(|| row.word.to_owned()),
            None if broken => Some(outcome.to_owned()),
            None => (status >= 500).then(|| status.to_string()),
        }
    }

    fn attributes(&self, error: Option<String>) -> Vec<KeyValue> {
        let Ended { outcome, status, refused, .. } = self.ended;
        let method = self.method.as_ref().map_or("_OTHER", Method::as_str);
        let mut attributes = vec![
            text(name::HTTP_REQUEST_METHOD, method),
            text(name::URL_SCHEME, if self.secure { "https" } else { "http" }),
            text("latchwork.call_id", self.call.to_string()),
            text("latchwork.outcome", outcome),
        ];
        if let Some(version) = self.version.and_then(version) {
            attributes.push(text(name::NETWORK_PROTOCOL_VERSION, version));
        }
        if let Some(route) = &self.route {
            attributes.push(text(name::HTTP_ROUTE, &*route.pattern));
        }
        if let Some(function) = &self.function {
            attributes.push(text("latchwork.function", function.as_str()));
        }
        if let Some(row) = refused {
            attributes.push(text("latchwork.refusal", row.word));
        }
        if self.grpc {
            attributes.push(text(name::RPC_SYSTEM_NAME, "grpc"));
            attributes.extend(self.rpc().map(|rpc| text(name::RPC_METHOD, rpc)));
            attributes.extend(refused.map(|row| text(name::RPC_RESPONSE_STATUS_CODE, code(row.grpc))));
        } else if status > 0 {
            attributes.push(number(name::HTTP_RESPONSE_STATUS_CODE, status));
        }
        attributes.extend(error.map(|error| text(name::ERROR_TYPE, error)));
        attributes
    }
}

fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

/// A status of gRPC as its specification writes it, such as `NOT_FOUND`.
fn code(number: u8) -> String {
    let mut word = String::new();
    for letter in format!("{:?}", tonic::Code::from(i32::from(number))).chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_uppercase());
    }
    word
}

/// Nanoseconds since 1970.
pub(crate) fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or_default()
}
