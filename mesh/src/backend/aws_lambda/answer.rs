//! What the Invoke API's answer means: the function's, a failure of the function, or a refusal of the service.

use super::report;
use crate::{
    backend::exchange::{plain, retry_after},
    event::{ANSWER_BYTES_MAX, REQUEST_BYTES_MAX},
    host::work::Answered,
    invocation::{CallContext, InvokeError},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use serde_json::Value;

/// The service counts six million bytes and a little; what is beyond is no answer of a function.
pub(super) const BODY_BYTES_MAX: usize = ANSWER_BYTES_MAX + 1024;

/// What services of this provider call it when they take no more for now, whatever the status; the function did not run.
const THROTTLES: [&str; 15] = [
    "TooManyRequestsException",
    "EC2ThrottledException",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "BandwidthLimitExceeded",
    "ProvisionedThroughputExceededException",
    "KMSThrottlingException",
    "TransactionInProgressException",
    "PriorRequestNotComplete",
    "SlowDown",
];

/// What they call keys that count no more.
const STALE: [&str; 5] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidClientTokenIdException",
    "UnrecognizedClientException",
];

/// Bandwidth limit exceeded, which no standard names.
const BANDWIDTH_LIMIT_EXCEEDED: u16 = 509;

const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
pub(super) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The function's answer, or why there is none.
pub(super) fn answered(response: Response<Bytes>, context: &CallContext) -> Result<Answered, InvokeError> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(refused(head.status, &head.headers, &body));
    }
    report::note(text(&head.headers, &LOG_RESULT), request_id(&head.headers), context);
    match head.headers.get(FUNCTION_ERROR) {
        // The function ran: whatever the value says, it failed, and is not run again.
        Some(kind) => Err(InvokeError::FunctionFailed(failure(kind.as_bytes(), &body))),
        None => Ok(Answered { body }),
    }
}

/// That the service took a call of which nothing else comes back.
pub(super) fn taken(response: &Response<Bytes>, status: StatusCode) -> Result<(), InvokeError> {
    match response.status() {
        said if said == status => Ok(()),
        // It would have done something else than what it was asked for.
        said if said.is_success() => Err(InvokeError::BadAnswer(format!("status {}", said.as_u16()))),
        said => Err(refused(said, response.headers(), response.body())),
    }
}

/// Whether the answer says that the keys of the call count no more.
pub(super) fn is_stale(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> bool {
    // Services that speak JSON alone say all that is wrong with 400.
    matches!(status, StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST) && STALE.contains(&&*kind(headers, body))
}

/// The service's own id of the call, under which the function's log has it.
pub(super) fn request_id(headers: &HeaderMap) -> Option<&str> {
    text(headers, &REQUEST_ID)
}

/// What a failure means that has a name and no status, as in the midst of an answer.
pub(super) fn named(kind: &str) -> InvokeError {
    match is_throttle(kind) {
        true => InvokeError::Throttled { retry_after: None },
        false => InvokeError::FunctionFailed(plain(kind)),
    }
}

/// The kind of failure. The message and the stack are the function's own and stay where its log is.
fn failure(kind: &[u8], body: &[u8]) -> String {
    let error_type = serde_json::from_slice::<Value>(body).ok();
    let error_type = error_type.as_ref().and_then(|v| v.get("errorType")).and_then(Value::as_str);
    format!("{}: {}", plain(&String::from_utf8_lossy(kind)), plain(error_type.unwrap_or("unknown")))
}

/// What a status other than success means. The body may repeat names and accounts; the error's type says enough.
pub(super) fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> InvokeError {
    let kind = kind(headers, body);
    let named = if kind.is_empty() { "no error type" } else { &kind };
    let words = format!("{} {named}", status.as_u16());
    match status {
        _ if is_throttle(&kind) => throttled(headers, body),
        StatusCode::TOO_MANY_REQUESTS => throttled(headers, body),
        _ if status.as_u16() == BANDWIDTH_LIMIT_EXCEEDED => throttled(headers, body),
        StatusCode::PAYLOAD_TOO_LARGE => InvokeError::RequestTooLarge { bytes_max: Some(REQUEST_BYTES_MAX as u64) },
        // Networks, keys or files of the function that aren't right: like all 4xx, for operators to mend.
        StatusCode::BAD_GATEWAY => InvokeError::Refused(words),
        _ if status.is_server_error() => InvokeError::FunctionFailed(words),
        _ => InvokeError::Refused(words),
    }
}

/// The limit that was reached is the operator's affair.
fn throttled(headers: &HeaderMap, body: &[u8]) -> InvokeError {
    let reason = member(body, "Reason").map(|reason| plain(&reason));
    tracing::info!(reason, "the service takes no more calls for now");
    InvokeError::Throttled { retry_after: retry_after(headers) }
}

/// Whether an error of this type means that no more is taken for now.
pub(in crate::backend) fn is_throttle(kind: &str) -> bool {
    THROTTLES.contains(&kind)
}

/// The error's type: a header, or where there is none, a member of the body. Empty if neither is there.
pub(in crate::backend) fn kind(headers: &HeaderMap, body: &[u8]) -> String {
    let said = text(headers, &ERROR_TYPE).map(str::to_owned).or_else(|| member(body, "__type")).unwrap_or_default();
    // `Name:address` and `namespace#Name`.
    let name = said.split(':').next().and_then(|name| name.rsplit('#').next());
    plain(name.unwrap_or_default())
}

fn member(body: &[u8], name: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get(name)?.as_str().map(str::to_owned)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
