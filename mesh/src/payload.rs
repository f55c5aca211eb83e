//! The four shapes that a payload has, on the way in and on the way out.

pub(crate) mod replay;
pub(crate) mod whole;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Why a body broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Unread frames, trailers included. `Send`, not `Sync`: calls are moved, never shared.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Both directions of an upgraded connection.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// An upgraded connection exists only after the 101 is on the wire: a promise, not a socket.
pub type Promise = Pin<Box<dyn Future<Output = Result<Box<dyn Io>, BodyError>> + Send>>;

/// What a caller sent.
pub enum Payload {
    /// No body.
    Empty,
    /// All of it, because something had to read it whole.
    Buffered(Bytes),
    /// Not read yet.
    Stream(Body),
    /// The caller asked for an upgrade.
    Duplex(Promise),
}

/// What a backend answered.
pub enum Answer {
    /// No body.
    Empty,
    /// All of it.
    Buffered(Bytes),
    /// Not read yet.
    Stream(Body),
    /// Only a backend that was given `near` can answer so; the gateway splices, counts and cuts.
    Duplex {
        /// The caller's end.
        near: Promise,
        /// The backend's end.
        far: Promise,
    },
}

/// Status, headers and answer.
pub type Reply = http::Response<Answer>;

/// What hyper is given, in both directions: no box for the two common shapes.
pub enum Wire {
    /// No body.
    Empty,
    /// One frame.
    Full(Bytes),
    /// Frames as they come.
    Stream(Body),
}

impl HttpBody for Wire {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(_) => false,
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Payload {
    /// Names the shape only: payloads may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Payload::Empty",
            Self::Buffered(_) => "Payload::Buffered",
            Self::Stream(_) => "Payload::Stream",
            Self::Duplex(_) => "Payload::Duplex",
        })
    }
}

impl fmt::Debug for Answer {
    /// Names the shape only: answers may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Answer::Empty",
            Self::Buffered(_) => "Answer::Buffered",
            Self::Stream(_) => "Answer::Stream",
            Self::Duplex { .. } => "Answer::Duplex",
        })
    }
}

impl fmt::Debug for Wire {
    /// Names the shape only: bodies may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Wire::Empty",
            Self::Full(_) => "Wire::Full",
            Self::Stream(_) => "Wire::Stream",
        })
    }
}
