//! Answers that come in pieces: lines of JSON, events (SSE), or bytes as they are. Each piece is a message.

use super::{
    answer::{media_type, ok, told},
    framed,
};
use crate::{
    backend::grpc::GrpcError,
    bind::transcode::Binding,
    payload::{Body, BodyError},
};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::Value;
use std::{mem, sync::Arc};

/// The status of an error that a line tells without one.
const HTTP_FAILED: u16 = 500;

/// How an answer is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One message in JSON per line.
    Lines,
    /// One message in JSON per event.
    Events,
    /// Bytes as they come, of this media type.
    Bytes(String),
}

impl Form {
    /// By the media type; `None` for an answer that is not divided.
    pub(super) fn of(kind: &str, binding: &Binding) -> Option<Self> {
        if binding.answers_bytes() {
            return Some(Self::Bytes(kind.to_owned()));
        }
        match media_type(kind).as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Some(Self::Lines)
            }
            "text/event-stream" => Some(Self::Events),
            _ => None,
        }
    }
}

struct Pieces {
    body: Body,
    form: Form,
    binding: Arc<Binding>,
    bytes_max: u64,
    pending: BytesMut,
    /// The data of an event that is not whole, and whether it is an error.
    event: (String, bool),
    /// No more is read.
    ended: bool,
    over: bool,
}

/// What a line of an answer says.
enum Said {
    Message(Bytes),
    Failed(HeaderMap),
    Nothing,
}

/// The answer as frames of gRPC.
pub(super) fn messages(body: Body, form: Form, binding: Arc<Binding>, bytes_max: u64) -> Body {
    let (pending, event) = (BytesMut::new(), (String::new(), false));
    let pieces = Pieces { body, form, binding, bytes_max, pending, event, ended: false, over: false };
    let frames = stream::unfold(pieces, |mut pieces| async move { Some((pieces.next().await?, pieces)) });
    StreamBody::new(frames).boxed_unsync()
}

impl Pieces {
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        if self.over {
            return None;
        }
        let said = self.said().await;
        self.over = !matches!(said, Ok(Said::Message(_)));
        Some(match said {
            Ok(Said::Message(message)) => Ok(Frame::data(framed(&message))),
            Ok(Said::Failed(fields)) => Ok(Frame::trailers(fields)),
            Ok(Said::Nothing) => Ok(Frame::trailers(ok())),
            Err(error) => Err(error),
        })
    }

    /// The next message, or that there is none.
    async fn said(&mut self) -> Result<Said, BodyError> {
        loop {
            if let Form::Bytes(kind) = &mut self.form {
                let data = self.pending.split().freeze();
                if !data.is_empty() {
                    let kind = mem::take(kind);
                    return self.message(&kind, data).map(Said::Message);
                }
            } else {
                while let Some(line) = self.line() {
                    match self.read(&line)? {
                        Said::Nothing => {}
                        said => return Ok(said),
                    }
                }
            }
            if self.ended {
                return if self.event.0.is_empty() { Ok(Said::Nothing) } else { self.read("") };
            }
            match self.body.frame().await.transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => self.pending.extend_from_slice(&data),
                Some(Err(_)) => {}
                None => self.ended = true,
            }
            if self.pending.len() as u64 > self.bytes_max {
                return Err(internal("a message of the function is too large"));
            }
        }
    }

    /// The next line; the last one may have no end.
    fn line(&mut self) -> Option<String> {
        let end = self.pending.iter().position(|byte| *byte == b'\n');
        let line = match end {
            Some(end) => self.pending.split_to(end + 1),
            None if self.ended && !self.pending.is_empty() => self.pending.split(),
            None => return None,
        };
        Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    fn read(&mut self, line: &str) -> Result<Said, BodyError> {
        let (text, failed) = match self.form {
            Form::Events if !line.is_empty() => {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                let (data, failed) = &mut self.event;
                match name {
                    "data" if data.is_empty() => data.push_str(value),
                    "data" => data.extend(["\n", value]),
                    "event" => *failed = value == "error",
                    _ => {}
                }
                if data.len() as u64 > self.bytes_max {
                    return Err(internal("a message of the function is too large"));
                }
                return Ok(Said::Nothing);
            }
            Form::Events => mem::take(&mut self.event),
            Form::Lines | Form::Bytes(_) => (line.to_owned(), false),
        };
        if text.trim().is_empty() {
            return Ok(Said::Nothing);
        }
        if let Some(fields) = self.error(&text, failed) {
            return Ok(Said::Failed(fields));
        }
        self.message("application/json", text.into()).map(Said::Message)
    }

    /// The status that a line tells which is no message: of an event that says so, or one whose only member is `error`.
    fn error(&self, text: &str, failed: bool) -> Option<HeaderMap> {
        if !failed && self.binding.answers("error") {
            return None;
        }
        let json: Value = serde_json::from_str(text).ok()?;
        let alone = json.as_object().is_some_and(|members| members.len() == 1 && members.contains_key("error"));
        let code = json.pointer("/error/code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        if failed || alone { told(code.unwrap_or(HTTP_FAILED), &json) } else { None }
    }

    fn message(&self, kind: &str, data: Bytes) -> Result<Bytes, BodyError> {
        let message = self.binding.heard(kind, &data);
        message.map_err(|_| internal("a message of the function does not fit its description"))
    }
}

fn internal(message: &'static str) -> BodyError {
    const INTERNAL: u8 = 13;
    GrpcError { code: INTERNAL, message }.into()
}
