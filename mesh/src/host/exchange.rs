//! One call of an instance that is a server: its room there, from the request to the last byte of the answer.

use crate::{
    host::{
        output::Current,
        pool::Pool,
        usage::Usage,
        way::Server,
        work::{Done, Order, Work},
    },
    invocation::{InvokeError, Outbound},
    payload::{Answer, Body, BodyError, Io, Promise, Reply, replay::Source},
};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        watch,
    },
    time::{Instant, timeout, timeout_at},
};

/// A call goes to at most this many instances, or connections of one, that turn out to be gone.
const TRIES_MAX: u32 = 3;

/// A connection that broke is explained by the process's end if that comes within this time.
const EXPLAINED_WITHIN: Duration = Duration::from_millis(250);

/// The rooms of one instance.
#[derive(Debug)]
pub(super) struct Slots {
    /// Whose the log is, where one call runs at a time: what is written comes later than the answer, so it stays the last
    /// call's until there is another.
    current: Option<Current>,
    freed: (UnboundedSender<Freed>, UnboundedReceiver<Freed>),
    ended: watch::Sender<Option<String>>,
}

/// How room became free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freed {
    /// The call is over.
    Over,
    /// The instance may still be at it, or can't be reached: it gets no more.
    Unfit,
}

/// The room of one call. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Slot {
    deadline: Instant,
    usage: Option<Usage>,
    freed: UnboundedSender<Freed>,
    ended: watch::Receiver<Option<String>>,
    verdict: Option<Freed>,
}

/// A call and what it needs.
pub(super) struct Exchange {
    pub(super) server: Server,
    pub(super) slot: Slot,
    pub(super) pool: Arc<Pool>,
}

impl Slots {
    /// All free.
    pub(super) fn new(current: Option<Current>) -> Self {
        Self { current, freed: mpsc::unbounded_channel(), ended: watch::Sender::new(None) }
    }

    /// Room for this call.
    pub(super) fn take(&self, work: &Work, usage: Usage) -> Slot {
        if let Some(current) = &self.current {
            current.set(Some(work.call_id));
        }
        Slot {
            deadline: work.deadline,
            usage: Some(usage),
            freed: self.freed.0.clone(),
            ended: self.ended.subscribe(),
            verdict: None,
        }
    }

    /// The next room that becomes free.
    pub(super) async fn freed(&mut self) -> Freed {
        match self.freed.1.recv().await {
            Some(freed) => freed,
            // The sender is here, too.
            None => std::future::pending().await,
        }
    }

    /// The instance has ended: calls whose connection breaks have this reason.
    pub(super) fn ended(&self, words: String) {
        self.ended.send_replace(Some(words));
    }
}

impl Exchange {
    /// Runs the call and tells its caller. A caller who hangs up does not end it: the instance is at it all the same.
    pub(super) async fn run(mut self, work: Work) {
        let Work { call_id, expected, deadline, order, mut tries, reporting, answer } = work;
        let Order::Request(outbound) = order else {
            let _ = answer.send(Err(InvokeError::Unsupported("an event")));
            return;
        };
        let (outbound, source) = Source::split(*outbound);
        let error = match self.ask(outbound, &source, deadline).await {
            Ok(reply) => {
                let _ = answer.send(Ok(Done::Reply(self.slot.held_by(reply))));
                return;
            }
            Err(error) => error,
        };
        tries += 1;
        let gone = matches!(error, InvokeError::Unreachable(_));
        let late = matches!(error, InvokeError::TimedOut);
        self.pool.counters.time_outs.fetch_add(u64::from(late), Ordering::Relaxed);
        self.slot.verdict = (gone || late).then_some(Freed::Unfit);
        let again = gone && tries < TRIES_MAX && Instant::now() < deadline;
        match if again { source.again().await } else { None } {
            // Nothing was sent: another instance can have it.
            Some(outbound) => {
                self.slot.usage = None;
                let order = Order::Request(Box::new(outbound));
                self.pool.give_back(Work { call_id, expected, deadline, order, tries, reporting, answer });
            }
            None => {
                let error = self.slot.explain(error).await;
                drop(self.slot);
                let _ = answer.send(Err(error));
            }
        }
    }

    /// The answer's head. A connection that was kept and is gone is no reason to give up the instance.
    async fn ask(&self, outbound: Outbound, source: &Source, deadline: Instant) -> Result<Reply, InvokeError> {
        let late = |_| InvokeError::TimedOut;
        match timeout_at(deadline, self.server.run(outbound)).await.map_err(late)? {
            Err(InvokeError::Unreachable(cause)) => match source.again().await {
                Some(outbound) => timeout_at(deadline, self.server.run(outbound)).await.map_err(late)?,
                None => Err(InvokeError::Unreachable(cause)),
            },
            asked => asked,
        }
    }
}

impl Slot {
    /// Why the instance ended, if it did or just does.
    async fn explained(&mut self) -> Option<String> {
        let ended = timeout(EXPLAINED_WITHIN, self.ended.wait_for(Option::is_some)).await;
        ended.ok()?.ok()?.clone()
    }

    /// A connection that broke with its process is the function's failure.
    async fn explain(&mut self, error: InvokeError) -> InvokeError {
        match error {
            InvokeError::Broken(cause) => match self.explained().await {
                Some(words) => InvokeError::FunctionFailed(words),
                None => InvokeError::Broken(cause),
            },
            other => other,
        }
    }

    /// The same answer, whose end frees the room.
    fn held_by(self, reply: Reply) -> Reply {
        reply.map(|answer| match answer {
            Answer::Stream(body) => Answer::Stream(Held { body, slot: Some(self) }.boxed_unsync()),
            Answer::Duplex { near, far } => Answer::Duplex { near, far: self.held_by_connection(far) },
            whole @ (Answer::Empty | Answer::Buffered(_)) => whole,
        })
    }

    fn held_by_connection(self, far: Promise) -> Promise {
        Box::pin(async move {
            let io = far.await?;
            Ok(Box::new(HeldIo { io, _slot: self }) as Box<dyn Io>)
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(usage) = self.usage.take() {
            usage.end();
        }
        let _ = self.freed.send(self.verdict.unwrap_or(Freed::Over));
    }
}

/// A body that holds its call's room.
struct Held {
    body: Body,
    slot: Option<Slot>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            drop(self.slot.take());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let at_end = self.body.is_end_stream();
        if let Some(slot) = &mut self.slot {
            // Nobody waits for the rest, and it should have been there: what makes it may never stop.
            let overdue = !at_end && Instant::now() >= slot.deadline;
            slot.verdict = overdue.then_some(Freed::Unfit);
        }
    }
}

/// An upgraded connection that holds its call's room.
struct HeldIo {
    io: Box<dyn Io>,
    _slot: Slot,
}

impl AsyncRead for HeldIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for HeldIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
