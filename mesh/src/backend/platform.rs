//! Answers that come from a platform in front of the function and not from the function itself.

use super::exchange::retry_after;
use crate::{
    invocation::InvokeError,
    payload::{Answer, Reply},
};
use http::{
    HeaderMap, HeaderName, Response, StatusCode,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS},
};

/// Removes what only a platform or the gateway may say: headers that begin so. `_` counts as `-`, since many servers fold
/// them.
pub(crate) fn reserve(headers: &mut HeaderMap, prefixes: &[&str]) {
    let same = |(byte, of_prefix): (u8, u8)| byte == of_prefix || (byte == b'_' && of_prefix == b'-');
    let begins = |name: &str, prefix: &str| name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(same);
    let theirs = |name: &&HeaderName| prefixes.iter().any(|prefix| begins(name.as_str(), prefix));
    let theirs: Vec<HeaderName> = headers.keys().filter(theirs).cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
}

/// An answer without a body that says that the call was taken, and no more.
pub(super) fn accepted() -> Reply {
    let mut reply = Response::new(Answer::Empty);
    *reply.status_mut() = StatusCode::ACCEPTED;
    reply
}

/// An answer without a body that says that the call would have been taken.
pub(super) fn no_content() -> Reply {
    let mut reply = Response::new(Answer::Empty);
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

/// What a platform's own refusal means by its status. `words` are for the log; `bytes_max` is its limit, if it is known.
pub(super) fn refused(status: StatusCode, headers: &HeaderMap, words: String, bytes_max: Option<usize>) -> InvokeError {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            InvokeError::Throttled { retry_after: retry_after(headers) }
        }
        StatusCode::PAYLOAD_TOO_LARGE => InvokeError::RequestTooLarge { bytes_max: bytes_max.map(|max| max as u64) },
        StatusCode::GATEWAY_TIMEOUT => InvokeError::TimedOut,
        // What is not supported there will not be the next time either.
        StatusCode::NOT_IMPLEMENTED => InvokeError::Refused(words),
        _ if status.is_server_error() => InvokeError::FunctionFailed(words),
        _ => InvokeError::Refused(words),
    }
}

/// The function's answer, or what the platform's means. A function's own answer passes whatever its status: it has a body
/// with a type that is no page for browsers. A platform refuses with an empty body or such a page.
pub(super) fn told(reply: Reply) -> Result<Reply, InvokeError> {
    let (status, headers) = (reply.status(), reply.headers());
    let own = !is_page(&reply);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !own || asks_for_token(headers) => {
            Err(InvokeError::Refused(status.as_u16().to_string()))
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE if !own => {
            Err(InvokeError::Throttled { retry_after: retry_after(headers) })
        }
        // What is in front gave up on a function that may have run.
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT if !own => {
            Err(InvokeError::FunctionFailed(status.as_u16().to_string()))
        }
        _ => Ok(reply),
    }
}

/// Whether an answer is plain text.
pub(super) fn is_plain(reply: &Reply) -> bool {
    says(reply, &CONTENT_TYPE, b"text/plain")
}

/// Whether an answer looks like those that platforms written in Go give of themselves: plain text that is not to be taken
/// for anything else.
pub(super) fn is_terse(reply: &Reply) -> bool {
    is_plain(reply) && says(reply, &X_CONTENT_TYPE_OPTIONS, b"nosniff")
}

fn says(reply: &Reply, name: &HeaderName, start: &[u8]) -> bool {
    reply
        .headers()
        .get(name)
        .and_then(|value| value.as_bytes().get(..start.len()))
        .is_some_and(|v| v.eq_ignore_ascii_case(start))
}

/// Whether an answer has no body or is a page for browsers.
pub(super) fn is_page(reply: &Reply) -> bool {
    if matches!(reply.body(), Answer::Empty) {
        return true;
    }
    !reply.headers().contains_key(CONTENT_TYPE) || says(reply, &CONTENT_TYPE, b"text/html")
}

/// What asks for a bearer token names tenants and issuers, and speaks of the gateway's own token.
fn asks_for_token(headers: &HeaderMap) -> bool {
    let asks = |value: &http::HeaderValue| value.as_bytes().get(..6).is_some_and(|s| s.eq_ignore_ascii_case(b"bearer"));
    headers.get_all(WWW_AUTHENTICATE).iter().any(asks)
}
