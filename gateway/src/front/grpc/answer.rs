//! A function's answer as `latchwork.invoke.v1` tells it: whole, or piece by piece.

use super::{message::framed, once, status};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE, response::Parts};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use mesh::payload::{Body, BodyError, Wire};
use proto::invoke::v1::{
    InvokeChunk, InvokeEnd, InvokeHead, InvokeResponse, Parameter, Payload, invoke_chunk::Piece, payload::Form,
};
use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};
use uuid::Uuid;

/// The answer of `Invoke`.
pub(crate) fn unary(parts: &Parts, bytes: Bytes, call: Uuid) -> Wire {
    let response = InvokeResponse {
        output: payload(&parts.headers, bytes),
        http_status: parts.status.as_u16().into(),
        headers: parameters(&parts.headers),
        call_id: call.to_string(),
    };
    once(framed(&response))
}

/// The answer of `InvokeStream`: head, data as it comes, end.
pub(crate) fn streamed(parts: &Parts, body: Body, call: Uuid) -> Body {
    let head = InvokeHead {
        http_status: parts.status.as_u16().into(),
        headers: parameters(&parts.headers),
        call_id: call.to_string(),
        content_type: content_type(&parts.headers),
    };
    Chunks { body, next: Next::Head(head), trailers: HeaderMap::new(), data_bytes: 0 }.boxed_unsync()
}

struct Chunks {
    body: Body,
    next: Next,
    trailers: HeaderMap,
    data_bytes: u64,
}

enum Next {
    Head(InvokeHead),
    Data,
    Status,
    Nothing,
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let piece = match mem::replace(&mut this.next, Next::Data) {
            Next::Head(head) => Piece::Head(head),
            Next::Data => loop {
                let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)).transpose()? else {
                    this.next = Next::Status;
                    let trailers = parameters(&this.trailers);
                    break Piece::End(InvokeEnd { trailers, data_bytes: this.data_bytes });
                };
                match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => {
                        this.data_bytes += data.len() as u64;
                        break Piece::Data(data);
                    }
                    Err(frame) => this.trailers = frame.into_trailers().unwrap_or_default(),
                }
            },
            Next::Status => {
                this.next = Next::Nothing;
                return Poll::Ready(Some(Ok(Frame::trailers(status::ok()))));
            }
            Next::Nothing => {
                this.next = Next::Nothing;
                return Poll::Ready(None);
            }
        };
        Poll::Ready(Some(Ok(Frame::data(framed(&InvokeChunk { piece: Some(piece) })))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }
}

fn payload(headers: &HeaderMap, bytes: Bytes) -> Option<Payload> {
    if bytes.is_empty() {
        return None;
    }
    let content_type = content_type(headers);
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = kind == "application/json" || kind.ends_with("+json");
    Some(match std::str::from_utf8(&bytes) {
        Ok(text) if json => Payload { form: Some(Form::Json(text.to_owned())), content_type: String::new() },
        Ok(_) | Err(_) => Payload { form: Some(Form::Binary(bytes)), content_type },
    })
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).map(text).unwrap_or_default()
}

pub(super) fn parameters(headers: &HeaderMap) -> Vec<Parameter> {
    headers.iter().map(|(name, value)| Parameter { name: name.as_str().to_owned(), value: text(value) }).collect()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
