//! An answer that comes in frames while the function writes it, and says at its end whether the function failed.

use super::{answer, report};
use crate::{
    backend::exchange::plain,
    event::{EventForm, streamed::Beginning},
    invocation::{CallContext, InvokeError},
    payload::{BodyError, Reply},
};
use aws_smithy_eventstream::{
    frame::{DecodedFrame, MessageFrameDecoder},
    smithy::parse_response_headers,
};
use bytes::{Bytes, BytesMut};
use http::{Response, header::CONTENT_TYPE};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::timeout_at;

/// The content type of an answer in frames.
const FRAMED: &str = "application/vnd.amazon.eventstream";

/// Longest frame, in bytes: what the framing allows.
const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024 + 128 * 1024;

/// What the last frame says.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Complete {
    error_code: Option<String>,
    log_result: Option<String>,
}

/// What a frame is.
enum Event {
    /// A piece of the answer.
    Chunk(Bytes),
    /// The answer is complete.
    Complete,
    /// Something that is not known and not needed.
    Other,
}

/// The pieces of an answer.
struct Pieces<B> {
    frames: B,
    decoder: MessageFrameDecoder,
    buffer: BytesMut,
    ended: bool,
    request_id: Option<String>,
    context: CallContext,
}

/// The rest of an answer whose first piece was read to understand it.
struct Rest<B> {
    first: Bytes,
    pieces: Pieces<B>,
    /// Why it breaks off, once what came before has had its chance to be sent.
    broken: Option<InvokeError>,
}

/// The function's answer: its head, and a body that has the rest as it comes.
pub(super) async fn reply(
    response: Response<Incoming>,
    form: EventForm,
    context: &CallContext,
) -> Result<Reply, InvokeError> {
    let framed =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(FRAMED.as_bytes()));
    if !framed {
        return Err(InvokeError::BadAnswer("it does not come in frames".to_owned()));
    }
    let request_id = answer::request_id(response.headers()).map(str::to_owned);
    let pieces = Pieces::new(response.into_body(), request_id, context);
    timeout_at(context.deadline, pieces.reply(form)).await.map_err(|_| InvokeError::TimedOut)?
}

impl<B> Pieces<B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Send + Unpin + 'static,
{
    fn new(frames: B, request_id: Option<String>, context: &CallContext) -> Self {
        let (decoder, buffer) = (MessageFrameDecoder::new(), BytesMut::new());
        Self { frames, decoder, buffer, ended: false, request_id, context: context.clone() }
    }

    async fn reply(mut self, form: EventForm) -> Result<Reply, InvokeError> {
        let mut beginning = Beginning::new(form);
        loop {
            let Some(piece) = poll_fn(|cx| self.poll_piece(cx)).await.transpose()? else {
                return beginning.end(self.context.response_bytes_max);
            };
            if let Some(begun) = beginning.take(&piece)? {
                let rest = Rest { first: begun.first.clone(), pieces: self, broken: None };
                return Ok(begun.reply(rest.boxed_unsync()));
            }
        }
    }

    /// The next piece; none once the answer is complete, and an error once only.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, InvokeError>>> {
        let piece = if self.ended { None } else { ready!(self.poll_event(cx)).transpose() };
        self.ended |= !matches!(piece, Some(Ok(_)));
        Poll::Ready(piece)
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, InvokeError>> {
        loop {
            match self.decode()? {
                Some(Event::Chunk(bytes)) if !bytes.is_empty() => return Poll::Ready(Ok(Some(bytes))),
                Some(Event::Complete) => return Poll::Ready(Ok(None)),
                Some(Event::Chunk(_) | Event::Other) => continue,
                None => {}
            }
            match ready!(Pin::new(&mut self.frames).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if self.buffer.len() + data.len() > FRAME_BYTES_MAX {
                        return Poll::Ready(Err(malformed("a frame is too long")));
                    }
                    self.buffer.extend_from_slice(&data);
                }
                Some(Err(error)) => return Poll::Ready(Err(InvokeError::Broken(error.into()))),
                None => {
                    let broken = "the answer ended before it was complete".into();
                    return Poll::Ready(Err(InvokeError::Broken(broken)));
                }
            }
        }
    }

    /// The next frame, if all of it has come.
    fn decode(&mut self) -> Result<Option<Event>, InvokeError> {
        let decoded = self.decoder.decode_frame(&mut self.buffer);
        // The cause could repeat parts of the answer.
        let DecodedFrame::Complete(message) = decoded.map_err(|_| malformed("a frame can't be read"))? else {
            return Ok(None);
        };
        let headers = parse_response_headers(&message).map_err(|_| malformed("a frame does not say what it is"))?;
        match (headers.message_type.as_str(), headers.smithy_type.as_str()) {
            ("event", "PayloadChunk") => Ok(Some(Event::Chunk(message.payload().clone()))),
            ("event", "InvokeComplete") => self.complete(message.payload()).map(|()| Some(Event::Complete)),
            ("event", _) => Ok(Some(Event::Other)),
            (_, exception) => Err(answer::named(exception)),
        }
    }

    /// What the last frame means.
    fn complete(&self, payload: &[u8]) -> Result<(), InvokeError> {
        let complete = if payload.is_empty() { Ok(Complete::default()) } else { serde_json::from_slice(payload) };
        let Complete { error_code, log_result } = complete.map_err(|_| malformed("the last frame is no JSON"))?;
        report::note(log_result.as_deref(), self.request_id.as_deref(), &self.context);
        match error_code.filter(|code| !code.is_empty()) {
            // Its details are the function's own.
            Some(code) => Err(InvokeError::FunctionFailed(plain(&code))),
            None => Ok(()),
        }
    }
}

impl<B> Body for Rest<B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error.into())));
        }
        match ready!(self.pieces.poll_piece(cx)) {
            Some(Err(error)) => {
                // Status and headers are gone: all that is left is to break off. What was handed over is flushed first, or
                // the caller would not even see them.
                tracing::warn!(call = %self.pieces.context.call_id, %error, "an answer broke off");
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Ok(piece)) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => Poll::Ready(None),
        }
    }
}

fn malformed(words: &str) -> InvokeError {
    InvokeError::BadAnswer(words.to_owned())
}

#[cfg(test)]
mod tests;
