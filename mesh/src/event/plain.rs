//! The body alone, in and out.

use crate::{
    introduce::visible,
    invocation::CallContext,
    payload::{Answer, Reply},
};
use bytes::Bytes;
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use serde::de::IgnoredAny;
use serde_json::json;

/// The body as it is. Runtimes parse it as JSON, so no body is an empty object.
pub(super) fn event(body: Bytes) -> Bytes {
    if body.is_empty() { Bytes::from_static(b"{}") } else { body }
}

/// Whose call it is, where functions look for what their client says of itself.
pub(super) fn client_context(context: &CallContext) -> String {
    let custom = json!({
        "call_id": context.call_id.to_string(),
        "caller": visible(&context.principal),
        "caller_kind": context.principal_kind,
    });
    json!({ "custom": custom }).to_string()
}

/// The answer as it is.
pub(super) fn reply(body: Bytes) -> Reply {
    if body.is_empty() {
        return Response::new(Answer::Empty);
    }
    let is_json = serde_json::from_slice::<IgnoredAny>(&body).is_ok();
    let content_type = if is_json { "application/json" } else { "application/octet-stream" };
    let mut reply = Response::new(Answer::Buffered(body));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
