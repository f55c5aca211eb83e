//! What a function of gRPC answered, as `latchwork.invoke.v1` tells it: messages as bytes or JSON, and its own status.

use super::{answer, head, message, status};
use crate::refusal::Refusal;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderName, response::Parts};
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, StreamBody};
use mesh::{
    backend::grpc::GrpcError,
    bind::protobuf::Method,
    payload::{Body, BodyError, Wire},
};
use proto::invoke::v1::{
    InvokeChunk, InvokeEnd, InvokeHead, InvokeResponse, Payload, invoke_chunk::Piece, payload::Form,
};
use std::{future::poll_fn, mem, pin::Pin};
use uuid::Uuid;

/// Why `Invoke` can't tell an answer.
pub(super) const STREAMED: &str = "the function answers with a stream of messages: call it with `InvokeStream`";

const BINARY: &str = "application/protobuf";
const JSON: &str = "application/json";

/// How an answer is told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// As JSON, if its messages are described so.
    pub(crate) json: Option<Method>,
    /// Largest message, in bytes.
    pub(crate) bytes_max: u64,
    /// The call.
    pub(crate) call: Uuid,
}

/// Messages as they come, then trailers.
pub(crate) struct Messages {
    body: Body,
    pending: BytesMut,
    bytes_max: u64,
}

pub(crate) enum Next {
    Message(Bytes),
    End(HeaderMap),
}

/// The answer of `Invoke`, and how long its message was. A status that is not OK is passed on as it is.
///
/// # Errors
/// [`Refusal::FunctionFailed`]; [`Refusal::Malformed`] when there are several messages.
pub(crate) async fn whole(parts: &mut Parts, body: Body, told: &Told) -> Result<(Wire, u64), Refusal> {
    let mut messages = Messages::new(body, told.bytes_max);
    let mut answer = None;
    let trailers = loop {
        match messages.next().await.map_err(|_| Refusal::FunctionFailed)? {
            Next::Message(_) if answer.is_some() => return Err(Refusal::Malformed(STREAMED.into())),
            Next::Message(message) => answer = Some(message),
            Next::End(trailers) => break trailers,
        }
    };
    let initial = mem::replace(&mut parts.headers, head());
    let (fields, good) = ended(&initial, trailers);
    if !good {
        parts.headers.extend(fields);
        return Ok((Wire::Empty, 0));
    }
    let message = answer.ok_or(Refusal::FunctionFailed)?;
    let length = message.len() as u64;
    let response = InvokeResponse {
        output: Some(told.payload(message).map_err(|_| Refusal::FunctionFailed)?),
        http_status: parts.status.as_u16().into(),
        headers: answer::parameters(&metadata(&initial)),
        call_id: told.call.to_string(),
    };
    let frames = [Frame::data(message::framed(&response)), Frame::trailers(fields)].map(Ok);
    Ok((Wire::Stream(StreamBody::new(stream::iter(frames)).boxed_unsync()), length))
}

/// The answer of `InvokeStream`: head, each message as one piece of data, end; or the function's own status.
pub(crate) fn streamed(parts: &mut Parts, body: Body, told: Told) -> Body {
    let initial = mem::replace(&mut parts.headers, head());
    let first = InvokeHead {
        http_status: parts.status.as_u16().into(),
        headers: answer::parameters(&metadata(&initial)),
        call_id: told.call.to_string(),
        content_type: if told.json.is_some() { JSON } else { BINARY }.to_owned(),
    };
    let messages = Messages::new(body, told.bytes_max);
    let state = Pieces { told, initial, messages, next: Step::Head(first), data_bytes: 0 };
    let frames = stream::unfold(state, |mut pieces| async move { Some((pieces.next().await?, pieces)) });
    StreamBody::new(frames).boxed_unsync()
}

struct Pieces {
    told: Told,
    initial: HeaderMap,
    messages: Messages,
    next: Step,
    data_bytes: u64,
}

enum Step {
    Head(InvokeHead),
    Message,
    Status(HeaderMap),
    Nothing,
}

impl Pieces {
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        let piece = match mem::replace(&mut self.next, Step::Nothing) {
            Step::Head(head) => Piece::Head(head),
            Step::Message => match self.messages.next().await {
                Ok(Next::Message(message)) => match self.told.payload(message) {
                    Ok(payload) => self.counted(payload),
                    Err(error) => return Some(Err(error)),
                },
                Ok(Next::End(trailers)) => {
                    let told = answer::parameters(&metadata(&trailers));
                    let (fields, good) = ended(&self.initial, trailers);
                    if !good {
                        return Some(Ok(Frame::trailers(fields)));
                    }
                    self.next = Step::Status(fields);
                    let end = Piece::End(InvokeEnd { trailers: told, data_bytes: self.data_bytes });
                    return Some(Ok(Frame::data(message::framed(&InvokeChunk { piece: Some(end) }))));
                }
                Err(error) => return Some(Err(error)),
            },
            Step::Status(fields) => return Some(Ok(Frame::trailers(fields))),
            Step::Nothing => return None,
        };
        self.next = Step::Message;
        Some(Ok(Frame::data(message::framed(&InvokeChunk { piece: Some(piece) }))))
    }

    fn counted(&mut self, payload: Payload) -> Piece {
        let data = match payload.form {
            Some(Form::Json(text)) => text.into(),
            Some(Form::Binary(bytes)) => bytes,
            None => Bytes::new(),
        };
        self.data_bytes += data.len() as u64;
        Piece::Data(data)
    }
}

impl Told {
    fn payload(&self, message: Bytes) -> Result<Payload, BodyError> {
        let Some(method) = &self.json else {
            return Ok(Payload { form: Some(Form::Binary(message)), content_type: BINARY.to_owned() });
        };
        let text = method.told(&message, self.bytes_max);
        let text = text.map_err(|_| internal("the service's message does not fit its description"))?;
        Ok(Payload { form: Some(Form::Json(text)), content_type: String::new() })
    }
}

impl Messages {
    pub(crate) fn new(body: Body, bytes_max: u64) -> Self {
        Self { body, pending: BytesMut::new(), bytes_max }
    }

    pub(crate) async fn next(&mut self) -> Result<Next, BodyError> {
        loop {
            let mut pending = self.pending.split().freeze();
            let whole = message::split(&mut pending, self.bytes_max);
            self.pending = BytesMut::from(pending);
            if let Some(message) = whole.map_err(|_| internal("the service's message is compressed or too large"))? {
                return Ok(Next::Message(message));
            }
            let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await.transpose()?;
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => self.pending.extend_from_slice(&data),
                Some(Err(frame)) => return self.end(frame.into_trailers().unwrap_or_default()),
                None => return self.end(HeaderMap::new()),
            }
        }
    }

    fn end(&self, trailers: HeaderMap) -> Result<Next, BodyError> {
        let torn = internal("the service's last message is not whole");
        if self.pending.is_empty() { Ok(Next::End(trailers)) } else { Err(torn) }
    }
}

/// The function's status and metadata as the end of our own answer, and whether the status is good. An answer without
/// messages has its status in its head.
pub(crate) fn ended(initial: &HeaderMap, trailers: HeaderMap) -> (HeaderMap, bool) {
    let fields = if status::is_there(&trailers) { trailers } else { initial.clone() };
    let good = status::is_good(&fields);
    let mut kept = metadata(&fields);
    if good {
        kept.extend(status::ok());
    } else {
        let own = fields.iter().filter(|(name, _)| status::is_field(name));
        kept.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    }
    (kept, good)
}

/// What is the service's own to say: nothing of the protocol.
pub(crate) fn metadata(fields: &HeaderMap) -> HeaderMap {
    let own = |name: &HeaderName| !name.as_str().starts_with("grpc-") && name != http::header::CONTENT_TYPE;
    let kept = fields.iter().filter(|(name, _)| own(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn internal(message: &'static str) -> BodyError {
    const INTERNAL: u8 = 13;
    GrpcError { code: INTERNAL, message }.into()
}
