//! A call on its way through the host: what an instance is given, where it is given it, and what comes of it.

use crate::{
    host::pieces::Pieces,
    invocation::{InvokeError, Outbound},
    payload::Reply,
    report::Reporting,
};
use bytes::Bytes;
use tokio::{
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        oneshot,
    },
    time::Instant,
};
use uuid::Uuid;

/// A call on its way to an instance.
#[derive(Debug)]
pub(crate) struct Work {
    /// Call id.
    pub(crate) call_id: Uuid,
    /// Since when an instance may have been started for it.
    pub(crate) expected: Instant,
    /// When the function must have answered.
    pub(crate) deadline: Instant,
    /// What it is to do.
    pub(crate) order: Order,
    /// Instances that have not taken it, though it was given to them.
    pub(crate) tries: u32,
    /// Where it is told how it ran.
    pub(crate) reporting: Reporting,
    /// Who waits for the answer; closed when the caller has hung up.
    pub(crate) answer: oneshot::Sender<Result<Done, InvokeError>>,
}

/// What an instance is given.
#[derive(Debug)]
pub(crate) enum Order {
    /// An event, for a runtime that asks for its calls.
    Event(Event),
    /// A request, for a server.
    Request(Box<Outbound>),
}

/// An event and what goes with it.
#[derive(Debug)]
pub(crate) struct Event {
    /// What the function is given.
    pub(crate) event: Bytes,
    /// `X-Amzn-Trace-Id` form of the trace.
    pub(crate) trace_id: String,
    /// Whose call it is, where the event doesn't say.
    pub(crate) client_context: Option<String>,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Done {
    /// What a runtime answered to an event.
    Event(Answered),
    /// The same, as it comes.
    Pieces(Pieces),
    /// A server's answer.
    Reply(Reply),
}

/// What a function answered to an event.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The body.
    pub(crate) body: Bytes,
}

/// What a free instance gets.
#[derive(Debug)]
pub(super) enum Turn {
    /// A call that waited.
    Work(Box<Work>),
    /// The next call that comes is given to its hand.
    Wait,
    /// Nothing any more.
    Stop,
}

/// Where an instance is given calls while it is free. Never more than it has offered room for.
#[derive(Debug)]
pub(super) struct Hand {
    /// Whose.
    pub(super) serial: u64,
    /// Where calls are put.
    pub(super) sender: UnboundedSender<Work>,
    receiver: UnboundedReceiver<Work>,
}

impl Hand {
    /// The hand of this instance.
    pub(super) fn new(serial: u64) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { serial, sender, receiver }
    }

    /// The next call that is given.
    pub(super) async fn given(&mut self) -> Work {
        match self.receiver.recv().await {
            Some(work) => work,
            // The sender is here, too.
            None => std::future::pending().await,
        }
    }

    /// A call that was given and not taken yet.
    pub(super) fn left(&mut self) -> Option<Work> {
        self.receiver.try_recv().ok()
    }
}
