//! What the Invoke API's answer means: the function's, a failure of the function, or a refusal of the service.

use crate::{
    backend::exchange::{plain, retry_after},
    event::{ANSWER_BYTES_MAX, REQUEST_BYTES_MAX},
    host::pool::Answered,
    invocation::InvokeError,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use serde_json::Value;

/// The service counts six million bytes and a little; what is beyond is no answer of a function.
pub(super) const BODY_BYTES_MAX: usize = ANSWER_BYTES_MAX + 1024;

const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// The function's answer, or why there is none.
pub(super) fn answered(response: Response<Bytes>) -> Result<Answered, InvokeError> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(refused(head.status, &head.headers));
    }
    match head.headers.get(FUNCTION_ERROR) {
        // The function ran: whatever the value says, it failed, and is not run again.
        Some(kind) => Err(InvokeError::FunctionFailed(failure(kind.as_bytes(), &body))),
        None => Ok(Answered { body, content_type: None, streamed: false }),
    }
}

/// The kind of failure. The message and the stack are the function's own and stay where its log is.
fn failure(kind: &[u8], body: &[u8]) -> String {
    let error_type = serde_json::from_slice::<Value>(body).ok();
    let error_type = error_type.as_ref().and_then(|v| v.get("errorType")).and_then(Value::as_str);
    format!("{}: {}", plain(&String::from_utf8_lossy(kind)), plain(error_type.unwrap_or("unknown")))
}

/// What a status other than 200 means. The body may repeat names and accounts; the error's type says enough.
fn refused(status: StatusCode, headers: &HeaderMap) -> InvokeError {
    let kind = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("no error type");
    let words = format!("{} {}", status.as_u16(), plain(kind.split(':').next().unwrap_or_default()));
    match status {
        StatusCode::TOO_MANY_REQUESTS => InvokeError::Throttled { retry_after: retry_after(headers) },
        StatusCode::PAYLOAD_TOO_LARGE => InvokeError::RequestTooLarge { bytes_max: Some(REQUEST_BYTES_MAX as u64) },
        // Networks, keys or files of the function that aren't right: like all 4xx, for operators to mend.
        StatusCode::BAD_GATEWAY => InvokeError::Refused(words),
        _ if status.is_server_error() => InvokeError::FunctionFailed(words),
        _ => InvokeError::Refused(words),
    }
}
