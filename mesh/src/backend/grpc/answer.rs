//! What a gRPC service answered: passed on when it is an answer of gRPC, otherwise made into a status.

use super::set_content_type;
use crate::{
    invocation::InvokeError,
    payload::{Answer, Body, BodyError, Reply},
};
use bytes::Bytes;
use h2::Reason;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The code of a call that went well.
pub const OK: u8 = 0;
const CANCELLED: u8 = 1;
const UNKNOWN: u8 = 2;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const NO_METHOD: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Why a stream of messages ended without a status of the service's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcError {
    /// The status code that stands for it.
    pub code: u8,
    /// Why, in words for the caller.
    pub message: &'static str,
}

impl GrpcError {
    /// What a broken stream means.
    #[must_use]
    pub fn of(error: &BodyError) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
        while let Some(error) = cause {
            if let Some(own) = error.downcast_ref::<Self>() {
                return *own;
            }
            if let Some(reason) = error.downcast_ref::<h2::Error>().and_then(h2::Error::reason) {
                return Self { code: of_reset(reason), message: "the service reset the stream" };
            }
            cause = error.source();
        }
        Self { code: UNAVAILABLE, message: "the connection to the service broke" }
    }
}

impl fmt::Display for GrpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for GrpcError {}

/// Whether a message is one of gRPC over HTTP/2.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.and_then(|k| k.strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The code that stands for a status of HTTP, where there is none of gRPC.
#[must_use]
pub fn of_http(status: StatusCode) -> u8 {
    match status.as_u16() {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => NO_METHOD,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// The code that stands for a stream that was reset.
fn of_reset(reason: Reason) -> u8 {
    match reason {
        Reason::REFUSED_STREAM => UNAVAILABLE,
        Reason::CANCEL => CANCELLED,
        Reason::ENHANCE_YOUR_CALM => RESOURCE_EXHAUSTED,
        Reason::INADEQUATE_SECURITY => PERMISSION_DENIED,
        _ => INTERNAL,
    }
}

/// Passes an answer on; what is none of gRPC becomes a status.
pub(super) fn of(reply: Reply) -> Result<Reply, InvokeError> {
    let (mut head, answer) = reply.into_parts();
    // The length is that of the frames, which are ours to send.
    head.headers.remove(CONTENT_LENGTH);
    if head.status != StatusCode::OK || !is_grpc(&head.headers) {
        let told = head.headers.get(STATUS).filter(|code| is_code(code)).cloned();
        let message = head.headers.get(MESSAGE).filter(|_| told.is_some()).cloned();
        let code = told.unwrap_or_else(|| u16::from(of_http(head.status)).into());
        return Ok(status_only(code, message));
    }
    let answer = match answer {
        Answer::Empty if head.headers.contains_key(STATUS) => Answer::Empty,
        Answer::Empty => return Ok(status_only(u16::from(UNKNOWN).into(), None)),
        Answer::Stream(body) => Answer::Stream(Statused { body, ended: false }.boxed_unsync()),
        Answer::Buffered(_) | Answer::Duplex { .. } => return Err(InvokeError::BadAnswer("not a stream".to_owned())),
    };
    Ok(Reply::from_parts(head, answer))
}

fn is_code(value: &HeaderValue) -> bool {
    value.to_str().ok().and_then(|text| text.parse::<u8>().ok()).is_some_and(|code| code != OK && code <= 16)
}

fn status_only(code: HeaderValue, message: Option<HeaderValue>) -> Reply {
    let mut reply = Reply::new(Answer::Empty);
    set_content_type(&mut reply);
    reply.headers_mut().insert(STATUS, code);
    let message = message.unwrap_or(HeaderValue::from_static("the service's answer has no status of gRPC"));
    reply.headers_mut().insert(MESSAGE, message);
    reply
}

/// Frames of an answer; ends in trailers with a status, or in an error.
struct Statused {
    body: Body,
    ended: bool,
}

impl HttpBody for Statused {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let frame = match frame {
            Some(Ok(frame)) if frame.trailers_ref().is_some_and(|trailers| !trailers.contains_key(STATUS)) => None,
            frame => frame,
        };
        let missing = GrpcError { code: UNKNOWN, message: "the service ended the call without a status" };
        self.ended = !matches!(&frame, Some(Ok(frame)) if !frame.is_trailers());
        Poll::Ready(Some(frame.unwrap_or_else(|| Err(missing.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
