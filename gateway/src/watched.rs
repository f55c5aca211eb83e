//! The body of an answer: settles the call's trail at its end, and ends early when the call is no longer permitted.

use crate::{
    audit::record::Outcome,
    cut::Cut,
    front::{grpc::status, http::activity::Open},
    refusal::Refusal,
    telemetry::InFlight,
    trail::Trail,
};
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use mesh::{
    backend::grpc::GrpcError,
    payload::{BodyError, Io, Promise, Wire},
};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, Sleep},
};

/// What lives as long as a streamed answer: its trail, its slot, its cut.
#[derive(Debug)]
pub struct Tail {
    trail: Trail,
    slot: OwnedSemaphorePermit,
    in_flight: InFlight,
    cut: Cut,
    status: u16,
    bytes_out: u64,
    /// When a call of gRPC ends, whatever is still under way.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What hyper is given.
#[derive(Debug)]
pub struct Watched {
    wire: Wire,
    tail: Option<Box<Tail>>,
    grpc: bool,
    /// Counts the request as open until the body is gone.
    open: Option<Open>,
}

impl Tail {
    pub(crate) fn new(trail: Trail, slot: OwnedSemaphorePermit, in_flight: InFlight, cut: Cut, status: u16) -> Self {
        Self { trail, slot, in_flight, cut, status, bytes_out: 0, deadline: None }
    }

    /// The answer must be whole by then.
    pub(crate) fn until(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline.map(|at| Box::pin(tokio::time::sleep_until(at)));
        self
    }

    /// Whether the answer must end now, and why.
    fn over(&mut self, cx: &mut Context<'_>) -> Option<(Outcome, Refusal)> {
        if Pin::new(&mut self.cut).poll(cx).is_ready() {
            return Some((Outcome::Revoked, Refusal::Revoked));
        }
        let late = self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
        late.then_some((Outcome::TimedOut, Refusal::TimedOut))
    }

    /// The status of an answer that broke off: the caller's own fault, if it was that.
    fn broken(&self, error: &BodyError) -> HeaderMap {
        let envelope = self.trail.envelope();
        match envelope.fault.get() {
            Some(fault) => status::refusal(&fault.refusal(), envelope.id),
            None => status::broken(&GrpcError::of(error)),
        }
    }

    fn close(self, outcome: Outcome) {
        let Self { trail, slot, in_flight, cut, status, bytes_out, deadline: _ } = self;
        drop((slot, in_flight, cut));
        trail.close_later(outcome, status, bytes_out);
    }
}

impl Watched {
    /// An answer that has been settled already.
    #[must_use]
    pub fn unwatched(response: Response<Wire>) -> Response<Self> {
        response.map(|wire| Self { wire, tail: None, grpc: false, open: None })
    }

    pub(crate) fn with_tail(response: Response<Wire>, tail: Tail, grpc: bool) -> Response<Self> {
        response.map(|wire| Self { wire, tail: Some(Box::new(tail)), grpc, open: None })
    }

    pub(crate) fn hold(&mut self, open: Open) {
        self.open = Some(open);
    }

    fn close(&mut self, outcome: Outcome) {
        if let Some(tail) = self.tail.take() {
            tail.close(outcome);
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(tail) = &mut this.tail
            && let Some((outcome, refusal)) = tail.over(cx)
        {
            let status = this.grpc.then(|| status::refusal(&refusal, tail.trail.envelope().id));
            this.close(outcome);
            this.wire = Wire::Empty; // Drops the backend's stream.
            return Poll::Ready(Some(match status {
                Some(status) => Ok(Frame::trailers(status)),
                None => Err("the call is no longer permitted".into()),
            }));
        }
        let frame = ready!(Pin::new(&mut this.wire).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(tail), Some(data)) = (&mut this.tail, frame.data_ref()) {
                    tail.bytes_out += data.len() as u64;
                }
                // hyper asks this too, and then never polls again: the end must be seen here.
                if frame.is_trailers() || this.wire.is_end_stream() {
                    // A service that was told the deadline says itself that it is over.
                    let late = this.grpc && frame.trailers_ref().is_some_and(status::is_late);
                    this.close(if late { Outcome::TimedOut } else { Outcome::Completed });
                }
            }
            Some(Err(error)) => {
                let status = this.tail.as_ref().filter(|_| this.grpc).map(|tail| tail.broken(error));
                this.close(Outcome::Failed);
                if let Some(status) = status {
                    this.wire = Wire::Empty;
                    return Poll::Ready(Some(Ok(Frame::trailers(status))));
                }
            }
            None => this.close(Outcome::Completed),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.wire.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.wire.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // An empty body is never polled; one that was dropped midway means that the caller hung up.
        let outcome = if self.wire.is_end_stream() { Outcome::Completed } else { Outcome::Abandoned };
        self.close(outcome);
    }
}

/// Joins the two ends of an upgraded call until one closes, one fails, the call is no longer permitted, or the gateway
/// stops.
pub(crate) async fn splice(near: Promise, far: Promise, mut tail: Tail, mut stop: watch::Receiver<bool>) {
    let counted = Arc::new(AtomicU64::new(0));
    let joined = async {
        let (near, mut far) = tokio::try_join!(near, far).map_err(|_| Outcome::Failed)?;
        // `copy_bidirectional` loses its counts when it is cut, so the ends count themselves.
        let mut near = Counted { io: near, written: counted.clone() };
        tokio::io::copy_bidirectional(&mut near, &mut far).await.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Outcome::TimedOut,
            io::ErrorKind::ConnectionAborted => Outcome::Abandoned,
            _ => Outcome::Failed,
        })
    };
    let outcome = tokio::select! {
        ended = joined => ended.map_or_else(|outcome| outcome, |_| Outcome::Completed),
        () = &mut tail.cut => Outcome::Revoked,
        _ = stop.wait_for(|stop| *stop) => Outcome::Abandoned,
    };
    tail.bytes_out = counted.load(Relaxed);
    tail.close(outcome);
}

/// The caller's end of an upgraded connection; counts what is written to it.
struct Counted {
    io: Box<dyn Io>,
    written: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.written.fetch_add(written as u64, Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
