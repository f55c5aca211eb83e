//! Answers that come from a platform in front of the function and not from the function itself.

use super::exchange::retry_after;
use crate::{
    invocation::InvokeError,
    payload::{Answer, Reply},
};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE},
};

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

fn is_page(reply: &Reply) -> bool {
    if matches!(reply.body(), Answer::Empty) {
        return true;
    }
    match reply.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes()) {
        None => true,
        Some(kind) => kind.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"text/html")),
    }
}

/// What asks for a bearer token names tenants and issuers, and speaks of the gateway's own token.
fn asks_for_token(headers: &HeaderMap) -> bool {
    let asks = |value: &http::HeaderValue| value.as_bytes().get(..6).is_some_and(|s| s.eq_ignore_ascii_case(b"bearer"));
    headers.get_all(WWW_AUTHENTICATE).iter().any(asks)
}
