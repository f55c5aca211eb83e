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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use std::time::Duration;

    #[test]
    fn the_body_goes_in_and_out_as_it_is() {
        assert_eq!(event(Bytes::new()), "{}");
        assert_eq!(event(Bytes::from("\0 x")), "\0 x");
        for (body, content_type) in [("{\"a\":1}", "application/json"), ("a,b", "application/octet-stream")] {
            let answer = reply(Bytes::from(body));
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()[CONTENT_TYPE]),
                (200, &HeaderValue::from_static(content_type))
            );
            assert!(matches!(answer.into_body(), Answer::Buffered(bytes) if bytes == body));
        }
        assert!(reply(Bytes::new()).headers().is_empty());
    }

    #[test]
    fn the_client_context_is_safe_in_a_header() {
        let mut context = samples::context(Duration::from_secs(1));
        context.principal = "corp/a\"b\n\u{f6}".into();
        let text = client_context(&context);
        assert!(HeaderValue::from_str(&text).unwrap().to_str().is_ok());
        assert!(text.contains("corp/a\\\"b%0A%C3%B6"), "{text}");
    }
}
