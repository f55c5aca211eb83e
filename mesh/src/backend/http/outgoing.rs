//! What goes out to a backend: headers that say whose call it is, and a body that remembers why it broke.

use crate::{
    hop,
    introduce::introduce,
    invocation::CallContext,
    payload::{BodyError, Wire},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_LENGTH, EXPECT, HOST, TE},
};
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

/// Makes the caller's headers into the backend's.
pub(super) fn prepare(headers: &mut HeaderMap, host: &str, context: &CallContext, http2: bool) {
    hop::strip(headers);
    // `host` is the backend's authority; the length follows from the body; 100-continue was the front's affair.
    for name in [HOST, CONTENT_LENGTH, EXPECT] {
        headers.remove(name);
    }
    introduce(headers, host, context);
    if http2 {
        // Trailers are passed on, and gRPC servers insist on hearing so.
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
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
