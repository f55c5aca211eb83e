//! A stream of messages as lines of JSON, or as events; a bad end is told in the last of them, and breaks the answer off.

use super::{EVENTS, LINES, Telling, media_type, problem::Problem};
use crate::{
    front::grpc::{
        replies::{Messages, Next, ended},
        status,
    },
    refusal::Refusal,
};
use bytes::Bytes;
use futures_util::stream;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
    response::Parts,
};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use mesh::{
    backend::grpc::GrpcError,
    bind::transcode::Told,
    payload::{BodyError, Wire},
};
use std::{mem, time::Duration};

/// How long the last line of an answer that breaks off has to get out: what is not on the wire by then goes with it.
const LAST_LINE_GRACE: Duration = Duration::from_millis(200);

struct Lines {
    telling: Telling,
    messages: Messages,
    initial: HeaderMap,
    next: Step,
}

enum Step {
    /// This has been read already.
    First(Bytes),
    Message,
    BreakOff,
    Nothing,
}

impl Telling {
    /// The answer of a method that answers with a stream, of which the first message has come, if there is one.
    pub(super) fn streamed(
        self,
        parts: &mut Parts,
        first: Option<Bytes>,
        messages: Messages,
        initial: HeaderMap,
    ) -> Result<Wire, Refusal> {
        let mut kind = if self.events { EVENTS } else { LINES };
        if let Some(first) = &first
            && let Told::Raw { content_type, .. } = self.told(first).map_err(|_| Refusal::FunctionFailed)?
        {
            kind = media_type(&content_type);
        }
        parts.status = StatusCode::OK;
        parts.headers.insert(CONTENT_TYPE, kind);
        if self.events {
            parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        let Some(first) = first else { return Ok(Wire::Empty) };
        let lines = Lines { telling: self, messages, initial, next: Step::First(first) };
        let frames = stream::unfold(lines, |mut lines| async move { Some((lines.next().await?, lines)) });
        Ok(Wire::Stream(StreamBody::new(frames).boxed_unsync()))
    }

    fn told(&self, message: &[u8]) -> Result<Told, BodyError> {
        self.binding.told(message, self.bytes_max).map_err(Into::into)
    }

    fn line(&self, told: Told) -> Bytes {
        match told {
            Told::Raw { data, .. } => data,
            Told::Json(text) if self.events => format!("data: {text}\n\n").into(),
            Told::Json(text) => format!("{text}\n").into(),
        }
    }
}

impl Lines {
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        let message = match mem::replace(&mut self.next, Step::Message) {
            Step::First(message) => Ok(Next::Message(message)),
            Step::Message => self.messages.next().await,
            Step::BreakOff => {
                tokio::time::sleep(LAST_LINE_GRACE).await;
                self.next = Step::Nothing;
                return Some(Err("the function's answer broke off".into()));
            }
            Step::Nothing => return None,
        };
        let told = message.and_then(|next| match next {
            Next::Message(message) => self.telling.told(&message).map(|told| Ok(self.telling.line(told))),
            Next::End(trailers) => Ok(Err(trailers)),
        });
        match told {
            Ok(Ok(line)) => Some(Ok(Frame::data(line))),
            Ok(Err(trailers)) => {
                let (fields, good) = ended(&self.initial, trailers);
                self.next = Step::Nothing;
                if good { None } else { Some(Ok(self.last(&fields))) }
            }
            Err(error) => Some(Ok(self.last(&status::broken(&GrpcError::of(&error))))),
        }
    }

    /// Says why there is no more.
    fn last(&mut self, fields: &HeaderMap) -> Frame<Bytes> {
        self.next = Step::BreakOff;
        let problem = Problem::of(fields).json(&self.telling.binding);
        Frame::data(match self.telling.events {
            true => format!("event: error\ndata: {problem}\n\n").into(),
            false => format!("{problem}\n").into(),
        })
    }
}
