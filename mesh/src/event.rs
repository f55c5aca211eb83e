//! What a function is given and what its answer means, in the forms that functions are written for.

mod api_gateway_v2;
pub(crate) mod cloud_events;
mod http_answer;
mod plain;
pub(crate) mod streamed;

use crate::{
    host::pool::Answered,
    invocation::{CallContext, Head, InvokeError},
    payload::{Answer, Body, Payload, Reply},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use tokio::time::timeout_at;

/// Largest request body that is put into an event, in bytes.
pub(crate) const REQUEST_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Largest event of a call that is not waited for, in bytes.
pub(crate) const ASYNC_BYTES_MAX: usize = 1024 * 1024;

/// Largest answer that is taken from a function, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;

/// What a function is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventForm {
    /// An API Gateway HTTP API event, payload format 2.0; the answer may set status and headers.
    #[default]
    ApiGatewayV2,
    /// The body as it is; the answer is the body as it is, with status 200.
    Body,
}

impl EventForm {
    /// What the function is given.
    pub(crate) fn event(self, head: &Head, context: &CallContext, body: Bytes) -> Bytes {
        match self {
            Self::ApiGatewayV2 => api_gateway_v2::event(head, context, &body),
            Self::Body => plain::event(body),
        }
    }

    /// Whose call it is, where the event has no place for it.
    pub(crate) fn client_context(self, context: &CallContext) -> Option<String> {
        match self {
            Self::ApiGatewayV2 => None,
            Self::Body => Some(plain::client_context(context)),
        }
    }

    /// What its answer means.
    pub(crate) fn reply(self, answered: Answered, bytes_max: u64) -> Result<Reply, InvokeError> {
        let reply = match self {
            _ if http_answer::has_prelude(&answered) => http_answer::streamed_reply(&answered.body)?,
            Self::ApiGatewayV2 => http_answer::reply(answered.body)?,
            Self::Body => plain::reply(answered.body),
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
