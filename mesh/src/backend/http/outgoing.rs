//! What goes out to a backend: headers that say whose call it is, and a body that remembers why it broke.

use crate::{
    hop,
    invocation::CallContext,
    payload::{BodyError, Wire},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, EXPECT, FORWARDED, HOST, TE},
};
use http_body::{Body, Frame, SizeHint};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

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

/// Makes the caller's headers into the backend's.
pub(super) fn prepare(headers: &mut HeaderMap, host: &str, context: &CallContext, http2: bool) {
    hop::strip(headers);
    // `host` is the backend's authority; the length follows from the body; 100-continue was the front's affair.
    for name in [HOST, CONTENT_LENGTH, EXPECT, FORWARDED] {
        headers.remove(name);
    }
    let call_id = context.call_id.to_string();
    let caller = utf8_percent_encode(&context.principal, NOT_VISIBLE).to_string();
    let source = context.source.to_string();
    set(headers, CALL_ID, HeaderValue::try_from(call_id).ok());
    set(headers, CALLER, HeaderValue::try_from(caller).ok());
    set(headers, CALLER_KIND, HeaderValue::from_str(context.principal_kind).ok());
    set(headers, X_FORWARDED_FOR, HeaderValue::try_from(source).ok());
    set(headers, X_FORWARDED_HOST, HeaderValue::from_str(host).ok());
    set(headers, X_FORWARDED_PROTO, Some(HeaderValue::from_static("https")));
    set(headers, TRACEPARENT, Some(context.traceparent.clone()));
    set(headers, TRACESTATE, context.tracestate.clone());
    if http2 {
        // Trailers are passed on, and gRPC servers insist on hearing so.
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Replaces what a caller may have sent under a name of ours, also when there is nothing to put there.
fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}

/// Why a request body broke, if it did: hyper tells it apart from a broken connection only for HTTP/1.
#[derive(Clone, Debug, Default)]
pub(super) struct Breakage(Arc<Mutex<Option<BodyError>>>);

impl Breakage {
    /// The cause, once.
    pub(super) fn take(&self) -> Option<BodyError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A request body.
#[derive(Debug)]
pub(super) struct Outgoing {
    wire: Wire,
    breakage: Breakage,
}

impl Outgoing {
    /// A body that tells `breakage` when it breaks.
    pub(super) fn new(wire: Wire, breakage: Breakage) -> Self {
        Self { wire, breakage }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match ready!(Pin::new(&mut self.wire).poll_frame(cx)) {
            Some(Err(cause)) => {
                *self.breakage.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
                Poll::Ready(Some(Err("the request's body broke off".into())))
            }
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.wire.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.wire.size_hint()
    }
}
