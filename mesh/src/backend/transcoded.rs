//! A method of gRPC on a target that does not speak it: its message goes out as a request of HTTP, and what is answered
//! comes back as messages and a status.

mod answer;
mod lines;

use super::{
    Backend,
    grpc::{is_grpc, set_content_type},
};
use crate::{
    bind::{
        protobuf,
        transcode::{Binding, Sent},
    },
    event,
    invocation::{Head, InvokeError, Invoking, Outbound},
    payload::{Payload, Reply},
};
use bytes::{Buf, Bytes};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{self, ACCEPT, CONTENT_TYPE},
};
use std::{collections::BTreeMap, sync::Arc};

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The media type of a message as it is.
const MESSAGE: HeaderValue = HeaderValue::from_static("application/protobuf");

/// What a target that does not speak gRPC is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Speech {
    /// JSON, by a rule of google.api.http.
    Json(Arc<Binding>),
    /// The message as it is.
    Bytes,
}

impl Speech {
    /// By the first rule where the target takes requests; else all of the message is the body.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn json(method: &protobuf::Method, first: Option<&Arc<Binding>>, target: &Backend) -> Result<Self, String> {
        match first.filter(|_| target.takes_requests()) {
            Some(first) => Ok(Self::Json(first.clone())),
            None => Binding::plain(method).map(|binding| Self::Json(Arc::new(binding))),
        }
    }
}

/// The backend around another. A clone shares what that shares.
#[derive(Clone, Debug)]
pub struct Transcoded {
    inner: Box<Backend>,
    speech: Speech,
}

impl Transcoded {
    /// Around a backend that does not speak gRPC.
    #[must_use]
    pub fn new(inner: Backend, speech: Speech) -> Self {
        Self { inner: Box::new(inner), speech }
    }

    /// The backend itself.
    #[must_use]
    pub fn inner(&self) -> &Backend {
        &self.inner
    }

    /// What it is given.
    #[must_use]
    pub fn speech(&self) -> &Speech {
        &self.speech
    }

    /// Runs the function.
    pub(super) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Outbound { mut head, payload, context } = outbound;
            if head.method != Method::POST || !is_grpc(&head.headers) {
                return Err(InvokeError::Unsupported("a call that is not gRPC"));
            }
            let message = one(event::whole(payload, &context).await?)?;
            let sent = match &self.speech {
                Speech::Json(binding) => binding.sent(&message).map_err(|why| {
                    tracing::debug!(%why, "a message is no request of this target");
                    InvokeError::Unsupported("a message that its rule has no place for")
                })?,
                Speech::Bytes => as_it_is(&head, message),
            };
            let payload = request(&mut head, sent, &self.speech);
            let reply = self.inner.invoke(Outbound { head, payload, context: context.clone() }).await?;
            let mut reply = answer::of(reply, &self.speech, &context).await?;
            set_content_type(&mut reply);
            Ok(reply)
        })
    }
}

/// The one message of a call.
fn one(mut bytes: Bytes) -> Result<Bytes, InvokeError> {
    const TORN: InvokeError = InvokeError::Unsupported("anything but one message that is whole and not compressed");
    if bytes.len() < PREFIX_BYTES || bytes.get_u8() != 0 {
        return Err(TORN);
    }
    let length = bytes.get_u32() as usize;
    if bytes.len() == length { Ok(bytes) } else { Err(TORN) }
}

fn as_it_is(head: &Head, body: Bytes) -> Sent {
    Sent {
        method: Method::POST,
        path: head.path.to_string(),
        query: None,
        parameters: BTreeMap::new(),
        content_type: Some(MESSAGE),
        body,
    }
}

/// Makes the head that of the request.
fn request(head: &mut Head, sent: Sent, speech: &Speech) -> Payload {
    head.method = sent.method;
    head.pattern = sent.path.as_str().into();
    head.path = sent.path.into();
    head.query = sent.query.map(Into::into);
    head.parameters = sent.parameters;
    let doomed: Vec<HeaderName> = head.headers.keys().filter(|name| is_of_grpc(name)).cloned().collect();
    for name in doomed {
        head.headers.remove(name);
    }
    head.headers.extend(sent.content_type.map(|kind| (CONTENT_TYPE, kind)));
    let accepted = match speech {
        Speech::Json(binding) if binding.answers_bytes() => HeaderValue::from_static("*/*"),
        Speech::Json(binding) if binding.method().answers_stream() => {
            HeaderValue::from_static("application/x-ndjson, text/event-stream, application/json")
        }
        Speech::Json(_) => HeaderValue::from_static("application/json"),
        Speech::Bytes => MESSAGE,
    };
    head.headers.insert(ACCEPT, accepted);
    if sent.body.is_empty() { Payload::Empty } else { Payload::Buffered(sent.body) }
}

/// Fields that say how a call of gRPC is framed.
fn is_of_grpc(name: &HeaderName) -> bool {
    name.as_str().starts_with("grpc-")
        || [CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::ACCEPT_ENCODING, header::TE]
            .contains(name)
}

/// What of an answer's header is metadata: text that is the function's own to say.
fn metadata(headers: &HeaderMap) -> HeaderMap {
    let own = |name: &HeaderName, value: &HeaderValue| {
        let text = name.as_str();
        !is_of_grpc(name)
            && !text.starts_with("content-")
            && !text.ends_with("-bin")
            && ![header::DATE, header::TRANSFER_ENCODING, header::TRAILER, header::CONNECTION].contains(name)
            && value.to_str().is_ok()
    };
    let kept = headers.iter().filter(|(name, value)| own(name, value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A message as it goes over the wire.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

/// A reply whose headers are metadata.
fn replied(headers: &HeaderMap, answer: crate::payload::Answer) -> Reply {
    let mut reply = Reply::new(answer);
    *reply.headers_mut() = metadata(headers);
    reply
}

#[cfg(test)]
mod tests;
