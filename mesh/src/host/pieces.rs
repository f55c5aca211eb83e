//! An answer that a runtime sends piece by piece, on its way to the caller.

use crate::{
    event::{EventForm, streamed::Beginning},
    invocation::InvokeError,
    payload::{BodyError, Reply},
};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::{Instant, timeout_at},
};

/// Pieces that wait for a slow caller; then the function waits.
const WAITING_MAX: usize = 16;

/// What comes of such an answer.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    /// It is whole.
    End,
    /// The function says that it failed.
    Failed(String),
}

/// What is left of such an answer.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// What came before it was known what it is.
    first: Option<Bytes>,
    rest: Receiver<Piece>,
    over: bool,
}

impl Pieces {
    /// An answer, and where its pieces are put.
    pub(super) fn new() -> (Sender<Piece>, Self) {
        let (sender, rest) = mpsc::channel(WAITING_MAX);
        (sender, Self { first: None, rest, over: false })
    }

    /// What the answer means, as soon as its beginning says so.
    pub(crate) async fn reply(
        mut self,
        form: EventForm,
        deadline: Instant,
        bytes_max: u64,
    ) -> Result<Reply, InvokeError> {
        let mut beginning = Beginning::new(form);
        loop {
            let piece = timeout_at(deadline, self.rest.recv()).await.map_err(|_| InvokeError::TimedOut)?;
            match piece {
                Some(Piece::Data(bytes)) => {
                    if let Some(begun) = beginning.take(&bytes)? {
                        self.first = Some(begun.first.clone()).filter(|first| !first.is_empty());
                        return Ok(begun.reply(self.boxed_unsync()));
                    }
                }
                Some(Piece::End) => return beginning.end(bytes_max),
                Some(Piece::Failed(words)) => return Err(InvokeError::FunctionFailed(words)),
                None => return Err(InvokeError::FunctionFailed("its instance was ended".to_owned())),
            }
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.over {
            return Poll::Ready(None);
        }
        let broken = match ready!(self.rest.poll_recv(cx)) {
            Some(Piece::Data(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Piece::End) => None,
            // The words are of the function's inside.
            Some(Piece::Failed(_)) => Some("the function failed in the midst of its answer"),
            None => Some("the function's instance ended in the midst of its answer"),
        };
        self.over = true;
        Poll::Ready(broken.map(|words| Err(words.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.over && self.first.is_none()
    }
}
