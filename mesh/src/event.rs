//! What a function is given and what its answer means, in the forms that functions are written for.

mod alb;
mod api_gateway_v1;
mod api_gateway_v2;
pub(crate) mod cloud_events;
mod form;
mod http_answer;
mod parts;
mod plain;
pub(crate) mod streamed;

use crate::{
    backend::ConfigError,
    host::work::Answered,
    invocation::{CallContext, Head, InvokeError},
    payload::{Answer, Body, Payload, Reply},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout_at;

pub use form::{CloudEventForm, EventForm};

/// Largest request body that is put into an event, in bytes.
pub(crate) const REQUEST_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Largest event of a call that is not waited for, in bytes.
pub(crate) const ASYNC_BYTES_MAX: usize = 1024 * 1024;

/// Largest answer that is taken from a function, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;

impl EventForm {
    /// What is wrong with it as it is written.
    pub(crate) fn problems(&self) -> Vec<ConfigError> {
        match self {
            Self::CloudEvent(form) => form.config().problems(),
            _ => Vec::new(),
        }
    }

    /// What the function is given.
    pub(crate) fn event(&self, head: &Head, context: &CallContext, body: Bytes) -> Result<Bytes, InvokeError> {
        match self {
            Self::ApiGatewayV2 => Ok(api_gateway_v2::event(head, context, &body)),
            Self::ApiGatewayV1 => Ok(api_gateway_v1::event(head, context, &body)),
            Self::Alb => Ok(alb::event(head, context, &body, false)),
            Self::AlbMultiValue => Ok(alb::event(head, context, &body, true)),
            Self::FunctionUrl => Ok(api_gateway_v2::url_event(head, context, &body)),
            Self::Body => Ok(plain::event(body)),
            Self::CloudEvent(form) => form.config().apply(&mut head.headers.clone(), body, context),
        }
    }

    /// Whether the function is given a request, and answers with status, headers and body.
    pub(crate) fn is_request(&self) -> bool {
        match self {
            Self::ApiGatewayV2 | Self::ApiGatewayV1 | Self::Alb | Self::AlbMultiValue | Self::FunctionUrl => true,
            Self::Body | Self::CloudEvent(_) => false,
        }
    }

    /// Whose call it is, where the event has no place for it.
    pub(crate) fn client_context(&self, context: &CallContext) -> Option<String> {
        (!self.is_request()).then(|| plain::client_context(context))
    }

    /// What its answer means.
    pub(crate) fn reply(&self, answered: Answered, bytes_max: u64) -> Result<Reply, InvokeError> {
        let reply = match self.is_request() {
            true => http_answer::reply(answered.body)?,
            false => plain::reply(answered.body),
        };
        match reply.body() {
            Answer::Buffered(body) if body.len() as u64 > bytes_max => Err(InvokeError::AnswerTooLarge { bytes_max }),
            _ => Ok(reply),
        }
    }
}

/// Reads a payload whole.
pub(crate) async fn whole(payload: Payload, context: &CallContext) -> Result<Bytes, InvokeError> {
    match payload {
        Payload::Empty => Ok(Bytes::new()),
        Payload::Buffered(bytes) if bytes.len() > REQUEST_BYTES_MAX => Err(too_large()),
        Payload::Buffered(bytes) => Ok(bytes),
        Payload::Duplex(_) => Err(InvokeError::Unsupported("an upgrade")),
        Payload::Stream(body) => {
            timeout_at(context.deadline, collect(body)).await.map_err(|_| InvokeError::TimedOut)?
        }
    }
}

async fn collect(mut body: Body) -> Result<Bytes, InvokeError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers have no place in an event.
        let Ok(data) = frame.map_err(InvokeError::RequestBroken)?.into_data() else { continue };
        if bytes.len() + data.len() > REQUEST_BYTES_MAX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn too_large() -> InvokeError {
    InvokeError::RequestTooLarge { bytes_max: Some(REQUEST_BYTES_MAX as u64) }
}

#[cfg(test)]
mod tests;
