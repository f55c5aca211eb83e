//! Methods of gRPC for callers of plain HTTP: a request becomes the method's message, its answer JSON or lines of it.

mod problem;
mod stream;

use super::{
    grpc::{
        message::frame,
        messages::bad_input,
        replies::{Messages, Next, ended, metadata},
    },
    path::CanonicalPath,
};
use crate::{call::RequestHead, refusal::Refusal};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{self, ACCEPT, CONTENT_TYPE},
    response::Parts,
};
use mesh::{
    bind::transcode::{Binding, Told, request::Request},
    payload::{Body, Wire},
};
use std::{mem, sync::Arc};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Fields of HTTP that say nothing to a service of gRPC, and some that would lie about its messages.
const OF_HTTP: [HeaderName; 12] = [
    ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    CONTENT_TYPE,
    header::EXPECT,
    header::RANGE,
    header::TE,
];

/// How an answer is told.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    binding: Arc<Binding>,
    /// Largest message, in bytes.
    bytes_max: u64,
    /// A stream is told as events (SSE) instead of lines.
    events: bool,
    /// Only the head is asked for.
    head: bool,
}

/// Makes a request the one that a client of the service would have sent; answers its message, framed.
///
/// # Errors
/// [`Refusal::BadInput`], [`Refusal::UnsupportedMedia`].
pub(crate) fn message(binding: &Binding, head: &mut RequestHead, body: &Bytes) -> Result<Bytes, Refusal> {
    let request = Request { path: head.path.as_str(), query: head.query.as_deref(), headers: &head.headers, body };
    let message = binding.message(request).map_err(bad_input)?;
    // That the body is not wanted is known until it has come.
    if head.method != Method::HEAD {
        head.method = Method::POST;
    }
    head.path = CanonicalPath::parse(&binding.method().path()).map_err(|_| Refusal::Internal)?;
    head.query = None;
    Ok(frame(&message))
}

impl Telling {
    /// What the caller's method and headers ask for; makes them those of a call of gRPC.
    pub(crate) fn of(binding: Arc<Binding>, method: &mut Method, headers: &mut HeaderMap, bytes_max: u64) -> Self {
        let head = mem::replace(method, Method::POST) == Method::HEAD;
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut kinds =
            accepted.flat_map(|value| value.split(',')).map(|kind| kind.split(';').next().unwrap_or_default());
        let events = kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"));
        let doomed: Vec<HeaderName> = headers
            .keys()
            .filter(|name| OF_HTTP.contains(name) || name.as_str().starts_with("grpc-"))
            .cloned()
            .collect();
        for name in doomed {
            headers.remove(name);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Self { binding, bytes_max, events, head }
    }

    /// The answer of the method. A status that is not OK becomes one of HTTP.
    ///
    /// # Errors
    /// [`Refusal::FunctionFailed`] for an answer that is none.
    pub(crate) async fn answer(self, parts: &mut Parts, body: Body) -> Result<Wire, Refusal> {
        let initial = mem::take(&mut parts.headers);
        parts.headers = kept(&initial);
        let mut messages = Messages::new(body, self.bytes_max);
        let first = match messages.next().await.map_err(|_| Refusal::FunctionFailed)? {
            Next::Message(first) => Some(first),
            Next::End(trailers) => {
                let (fields, good) = ended(&initial, trailers);
                if !good {
                    return Ok(self.failed(parts, &fields));
                }
                None
            }
        };
        if self.binding.method().answers_stream() {
            return self.streamed(parts, first, messages, initial);
        }
        let first = first.ok_or(Refusal::FunctionFailed)?;
        let Next::End(trailers) = messages.next().await.map_err(|_| Refusal::FunctionFailed)? else {
            return Err(Refusal::FunctionFailed);
        };
        let (fields, good) = ended(&initial, trailers);
        if !good {
            return Ok(self.failed(parts, &fields));
        }
        let told = self.binding.told(&first, self.bytes_max).map_err(|_| Refusal::FunctionFailed)?;
        let (kind, bytes) = match told {
            Told::Json(text) => (JSON, text.into()),
            Told::Raw { content_type, data } => (media_type(&content_type), data),
        };
        parts.status = StatusCode::OK;
        parts.headers.insert(CONTENT_TYPE, kind);
        // All of it has come, so what is said at its end has room in its head.
        besides(&mut parts.headers, &fields);
        Ok(self.whole(parts, bytes))
    }

    fn whole(&self, parts: &mut Parts, bytes: Bytes) -> Wire {
        if !self.head {
            return Wire::Full(bytes);
        }
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        Wire::Empty
    }

    fn failed(&self, parts: &mut Parts, fields: &HeaderMap) -> Wire {
        let problem = problem::Problem::of(fields);
        parts.status = StatusCode::from_u16(problem.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        parts.headers.insert(CONTENT_TYPE, JSON);
        if let Some(wait) = problem.retry_after() {
            parts.headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        besides(&mut parts.headers, fields);
        self.whole(parts, problem.json(&self.binding).into())
    }
}

/// What the service says besides, without what is gRPC's or the connection's.
fn kept(initial: &HeaderMap) -> HeaderMap {
    let mut kept = metadata(initial);
    let doomed: Vec<HeaderName> = kept.keys().filter(|name| OF_HTTP.contains(name)).cloned().collect();
    for name in doomed {
        kept.remove(name);
    }
    kept
}

/// Adds what the service says at the end, where its head says nothing under that name.
fn besides(headers: &mut HeaderMap, fields: &HeaderMap) {
    let trailing = kept(fields);
    let new: Vec<HeaderName> = trailing.keys().filter(|name| !headers.contains_key(*name)).cloned().collect();
    for name in new {
        for value in trailing.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
}

fn media_type(text: &str) -> HeaderValue {
    let written = HeaderValue::from_str(text).ok().filter(|_| !text.is_empty());
    written.unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
