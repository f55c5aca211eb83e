//! A request that may have to be sent again: what a body gave so far is kept, up to a limit, while it passes.

mod lent;

use super::{Body, BodyError, Payload};
use crate::{
    invocation::{CallContext, Head, Outbound},
    report::Reporting,
};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use lent::Shelf;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Longest body of which is kept what passed, in bytes. One that was read whole before is sent again whatever its length.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// Longest wait for what a sender that gave up has not sent.
const BACK_MAX: Duration = Duration::from_millis(100);

/// What further attempts are made of.
#[derive(Debug)]
pub(crate) struct Source {
    head: Head,
    context: CallContext,
    payload: Kept,
}

#[derive(Debug)]
enum Kept {
    Empty,
    Buffered(Bytes),
    Passing(Arc<Shared>),
    /// A connection, while no attempt has it.
    Connection(Arc<Shelf>),
    /// It can be sent once.
    No,
}

/// What its senders share.
#[derive(Debug)]
struct Shared {
    passing: Mutex<Passing>,
    /// Told when a sender gives back what it has not sent.
    back: Notify,
}

/// A body on its way.
#[derive(Debug)]
struct Passing {
    /// The rest of it; away while a sender has it.
    rest: Option<Body>,
    pieces: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    length: usize,
    /// All of it passed.
    whole: bool,
    /// More passed than is kept, or it broke off.
    lost: bool,
}

impl Source {
    /// The first attempt, and what is needed for others.
    pub(crate) fn split(outbound: Outbound) -> (Outbound, Self) {
        let Outbound { head, payload, context } = outbound;
        let (payload, kept) = match payload {
            Payload::Empty => (Payload::Empty, Kept::Empty),
            Payload::Buffered(bytes) => (Payload::Buffered(bytes.clone()), Kept::Buffered(bytes)),
            Payload::Stream(body) if body.size_hint().lower() > KEPT_BYTES_MAX as u64 => {
                (Payload::Stream(body), Kept::No)
            }
            Payload::Stream(body) => {
                let shared = Arc::new(Shared { passing: Mutex::new(Passing::new(body)), back: Notify::new() });
                (Payload::Stream(Replay::take(&shared).boxed_unsync()), Kept::Passing(shared))
            }
            Payload::Duplex(promise) => {
                let (shelf, lent) = Shelf::lending(promise);
                (Payload::Duplex(lent), Kept::Connection(shelf))
            }
        };
        let source = Self { head: head.clone(), context: context.clone(), payload: kept };
        (Outbound { head, payload, context }, source)
    }

    /// The request once more, after the attempt before ended.
    pub(crate) async fn again(&self) -> Option<Outbound> {
        let payload = match &self.payload {
            Kept::Passing(shared) => {
                // hyper can hold a request's body for a moment after it gave up on it.
                let _ = tokio::time::timeout(BACK_MAX, shared.back()).await;
                let there = lock(&shared.passing).is_there();
                Payload::Stream(there.then(|| Replay::take(shared))?.boxed_unsync())
            }
            Kept::Connection(shelf) => Payload::Duplex(shelf.lend()?),
            Kept::Empty | Kept::Buffered(_) | Kept::No => return self.whole_again(),
        };
        Some(self.outbound(payload))
    }

    /// The request once more, while an attempt goes on: only if all of it is here.
    pub(crate) fn whole_again(&self) -> Option<Outbound> {
        let payload = match &self.payload {
            Kept::Passing(shared) => {
                let passing = lock(&shared.passing);
                if !passing.whole || passing.lost || passing.trailers.is_some() {
                    return None;
                }
                Payload::Buffered(passing.pieces.concat().into())
            }
            Kept::Empty => Payload::Empty,
            Kept::Buffered(bytes) => Payload::Buffered(bytes.clone()),
            // There is one, and the attempt before has it.
            Kept::Connection(_) | Kept::No => return None,
        };
        Some(self.outbound(payload))
    }

    fn outbound(&self, payload: Payload) -> Outbound {
        let expected = Instant::now();
        let context = CallContext { expected, reporting: Reporting::default(), ..self.context.clone() };
        Outbound { head: self.head.clone(), payload, context }
    }
}

impl Shared {
    /// Once no sender has the rest.
    async fn back(&self) {
        loop {
            let told = self.back.notified();
            let away = {
                let passing = lock(&self.passing);
                passing.rest.is_none() && !passing.whole && !passing.lost
            };
            if !away {
                return;
            }
            told.await;
        }
    }
}

impl Passing {
    fn new(body: Body) -> Self {
        Self { rest: Some(body), pieces: Vec::new(), trailers: None, length: 0, whole: false, lost: false }
    }

    /// Whether all of it can be sent from the beginning.
    fn is_there(&self) -> bool {
        !self.lost && (self.whole || self.rest.is_some())
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
        } else if let Some(piece) = frame.data_ref()
            && !self.lost
        {
            self.length += piece.len();
            self.lost = self.length > KEPT_BYTES_MAX;
            if self.lost {
                self.pieces = Vec::new();
            } else {
                self.pieces.push(piece.clone());
            }
        }
    }
}

/// One sender's view: what was kept, then the rest as it comes.
struct Replay {
    shared: Arc<Shared>,
    /// The rest, while this sender has it.
    rest: Option<Body>,
    /// How many of the kept pieces were sent.
    sent: usize,
    ended: bool,
}

impl Replay {
    fn take(shared: &Arc<Shared>) -> Self {
        let rest = lock(&shared.passing).rest.take();
        Self { shared: shared.clone(), rest, sent: 0, ended: false }
    }
}

impl HttpBody for Replay {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let mut passing = lock(&this.shared.passing);
        if let Some(piece) = passing.pieces.get(this.sent).cloned() {
            this.sent += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if passing.whole {
            this.ended = true;
            return Poll::Ready(passing.trailers.clone().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let Some(rest) = &mut this.rest else {
            this.ended = true;
            return Poll::Ready(Some(Err("the body was given to another attempt".into())));
        };
        let polled = Pin::new(&mut *rest).poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                passing.keep(frame);
                this.sent = passing.pieces.len();
                if frame.is_trailers() {
                    passing.whole = true;
                    this.ended = true;
                }
            }
            Poll::Ready(Some(Err(_))) => {
                passing.lost = true;
                this.ended = true;
            }
            Poll::Ready(None) => {
                passing.whole = true;
                this.ended = true;
            }
        }
        if rest.is_end_stream() {
            passing.whole = true;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let passing = lock(&self.shared.passing);
        let sent = passing.whole && self.sent == passing.pieces.len() && passing.trailers.is_none();
        self.ended || sent && !passing.lost
    }

    fn size_hint(&self) -> SizeHint {
        let kept = {
            let passing = lock(&self.shared.passing);
            passing.pieces.iter().skip(self.sent).map(Bytes::len).sum::<usize>() as u64
        };
        let Some(rest) = &self.rest else { return SizeHint::with_exact(kept) };
        let rest = rest.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + kept);
        }
        hint.set_lower(rest.lower() + kept);
        hint
    }
}

impl Drop for Replay {
    /// The rest goes back for whoever sends next.
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            lock(&self.shared.passing).rest = Some(rest);
            self.shared.back.notify_one();
        }
    }
}

fn lock(passing: &Mutex<Passing>) -> MutexGuard<'_, Passing> {
    passing.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
