//! Tells a backend whose call it is, in headers that no caller can set.

use crate::invocation::CallContext;
use http::{HeaderMap, HeaderName, HeaderValue, header::FORWARDED};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The call's id, as the records have it.
const CALL_ID: HeaderName = HeaderName::from_static("latchwork-call-id");
/// The principal's id, percent-encoded where it is not visible ASCII.
const CALLER: HeaderName = HeaderName::from_static("latchwork-caller");
/// The principal's kind.
const CALLER_KIND: HeaderName = HeaderName::from_static("latchwork-caller-kind");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Not visible ASCII (other bytes are encoded anyway), and the sign that would make decoding ambiguous.
const NOT_VISIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Sets our headers, and removes what a caller may have sent under their names.
pub(crate) fn introduce(headers: &mut HeaderMap, host: &str, context: &CallContext) {
    headers.remove(FORWARDED);
    set(headers, CALL_ID, HeaderValue::try_from(context.call_id.to_string()).ok());
    set(headers, CALLER, HeaderValue::try_from(visible(&context.principal)).ok());
    set(headers, CALLER_KIND, HeaderValue::from_str(context.principal_kind).ok());
    set(headers, X_FORWARDED_FOR, context.source.and_then(|source| HeaderValue::try_from(source.to_string()).ok()));
    set(headers, X_FORWARDED_HOST, HeaderValue::from_str(host).ok());
    let proto = if context.secure { "https" } else { "http" };
    set(headers, X_FORWARDED_PROTO, Some(HeaderValue::from_static(proto)));
    set(headers, TRACEPARENT, Some(context.traceparent.clone()));
    set(headers, TRACESTATE, context.tracestate.clone());
}

/// A text that is safe in a header: percent-encoded where it is not visible ASCII.
pub(crate) fn visible(text: &str) -> String {
    utf8_percent_encode(text, NOT_VISIBLE).to_string()
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}
