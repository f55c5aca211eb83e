//! What comes back from NATS: a stream's acknowledgement, or a function's answer.

use crate::{
    backend::{exchange::plain, record},
    hop,
    invocation::InvokeError,
    payload::{Answer, Reply},
};
use async_nats::{
    Message,
    jetstream::{self, ErrorCode, publish::PublishAck, response::Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;

/// Headers of an answer that are the gateway's or the server's to say.
const OWN: [&str; 3] = ["nats-", "latchwork-", "content-length"];

/// What a service sets that failed, as the project's own libraries write services.
const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";

/// Codes of a server that has no room, or not now.
const FULL: [ErrorCode; 5] = [
    ErrorCode::INSUFFICIENT_RESOURCES,
    ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ErrorCode::MEMORY_RESOURCES_EXCEEDED,
    ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED,
    ErrorCode::STREAM_STORE_FAILED,
];

/// A stream's acknowledgement.
pub(super) fn acknowledged(message: &Message) -> Result<Reply, InvokeError> {
    let said: Response<PublishAck> = serde_json::from_slice(&message.payload)
        .map_err(|_| InvokeError::BadAnswer("no acknowledgement of a stream".to_owned()))?;
    match said {
        Response::Ok(PublishAck { stream, sequence, duplicate, .. }) => Ok(record::kept(
            StatusCode::ACCEPTED,
            &json!({ "stream": stream, "sequence": sequence, "duplicate": duplicate }),
        )),
        Response::Err { error } => Err(refused(&error)),
    }
}

/// Why a stream did not take it. It kept nothing.
fn refused(error: &jetstream::Error) -> InvokeError {
    let code = error.error_code();
    let words = format!("{} {}", code.0, plain(&error.to_string()));
    match code {
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => InvokeError::RequestTooLarge { bytes_max: None },
        code if FULL.contains(&code) => InvokeError::Throttled { retry_after: None },
        _ if error.code() == 503 => InvokeError::Throttled { retry_after: None },
        _ => InvokeError::Refused(words),
    }
}

/// A function's answer: its bytes, and the headers that it gives them.
pub(super) fn answered(message: Message, bytes_max: usize) -> Result<Reply, InvokeError> {
    let said = message.headers.unwrap_or_default();
    if let Some(code) = said.get(SERVICE_ERROR_CODE) {
        return Err(InvokeError::FunctionFailed(plain(code.as_str())));
    }
    if message.payload.len() > bytes_max {
        return Err(InvokeError::AnswerTooLarge { bytes_max: bytes_max as u64 });
    }
    let mut headers = HeaderMap::new();
    for (name, values) in said.iter() {
        let name: &str = name.as_ref();
        let Ok(name) = HeaderName::try_from(name) else { continue };
        if OWN.iter().any(|own| name.as_str().starts_with(own)) {
            continue;
        }
        for value in values {
            headers.extend(HeaderValue::from_str(value.as_str()).ok().map(|value| (name.clone(), value)));
        }
    }
    hop::strip(&mut headers);
    let body = if message.payload.is_empty() { Answer::Empty } else { Answer::Buffered(message.payload) };
    let mut reply = http::Response::new(body);
    *reply.headers_mut() = headers;
    Ok(reply)
}
