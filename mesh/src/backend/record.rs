//! What kinds share whose effect is a record that somebody keeps: what it is called, and the answer that says that it is kept.

pub(super) mod batch;
pub(super) mod naming;

use crate::{
    introduce::introduce,
    invocation::{CallContext, Head},
    payload::{Answer, Reply},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde_json::Value;

/// What the gateway says of the call beside a record. Addresses and hosts are of interest to who answers, not to who reads
/// later.
const TOLD: [&str; 5] = ["latchwork-call-id", "latchwork-caller", "latchwork-caller-kind", "traceparent", "tracestate"];

/// Names beside a record that are the gateway's or the platform's, by how they begin.
pub(super) const OWN: [&str; 5] = ["latchwork-", "nats-", "goog", "traceparent", "tracestate"];

/// What stands beside a record: whose call it was, and how its bytes are to be read.
pub(super) fn beside(head: &Head, context: &CallContext) -> HeaderMap {
    let mut said = HeaderMap::new();
    introduce(&mut said, &head.host, context);
    let mut beside = HeaderMap::new();
    for name in TOLD {
        let name = HeaderName::from_static(name);
        if let Some(value) = said.remove(&name) {
            beside.insert(name, value);
        }
    }
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        if let Some(value) = head.headers.get(&name) {
            beside.insert(name, value.clone());
        }
    }
    beside
}

/// The answer that says what is kept, and under what. The caller waits for no more.
pub(super) fn kept(status: StatusCode, said: &Value) -> Reply {
    let mut reply = Response::new(Answer::Buffered(Bytes::from(said.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}
