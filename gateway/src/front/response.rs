//! Refusals on the wire: RFC 9457 problems, or a gRPC status where the caller speaks gRPC.

use super::grpc;
use crate::{call::Envelope, refusal::Refusal};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use mesh::payload::Wire;
use serde_json::json;

/// Says which call a response belongs to.
pub const CALL_ID: HeaderName = HeaderName::from_static("latchwork-call-id");

/// Where a problem's `type` is described; the last part is the refusal's word.
const PROBLEM_TYPE: &str = "urn:latchwork:refusal:";

/// How long browsers must keep to TLS, in seconds (RFC 6797): one year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The response to a refused call.
#[must_use]
pub fn refused(refusal: &Refusal, envelope: &Envelope) -> Response<Wire> {
    let mut response = if envelope.grpc { status_only(refusal, envelope) } else { problem(refusal, envelope) };
    let headers = response.headers_mut();
    if let Refusal::Unauthenticated(challenge) = refusal {
        for value in challenge.headers() {
            headers.append(header::WWW_AUTHENTICATE, value);
        }
    }
    if let Some(wait) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if matches!(refusal, Refusal::TooLarge { .. } | Refusal::RequestTimeout) {
        // The rest of the body is still under way: this connection is of no further use.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    stamp(headers, envelope);
    response
}

/// Adds what every answer carries.
pub fn stamp(headers: &mut HeaderMap, envelope: &Envelope) {
    let mut buffer = uuid::Uuid::encode_buffer();
    if let Ok(id) = HeaderValue::from_str(envelope.id.hyphenated().encode_lower(&mut buffer)) {
        headers.insert(CALL_ID, id);
    }
    if envelope.peer.tls > 0 && !headers.contains_key(header::STRICT_TRANSPORT_SECURITY) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

fn problem(refusal: &Refusal, envelope: &Envelope) -> Response<Wire> {
    let row = refusal.public();
    let mut body = json!({
        "type": format!("{PROBLEM_TYPE}{}", row.word),
        "title": row.title,
        "status": row.status,
        "call_id": envelope.id,
    });
    if let (Some(detail), Some(members)) = (refusal.detail(), body.as_object_mut()) {
        members.insert("detail".to_owned(), detail.into());
    }
    let mut response = Response::new(Wire::Full(body.to_string().into()));
    *response.status_mut() = StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// Trailers-only response of gRPC over HTTP/2: status 200, the code in the head.
fn status_only(refusal: &Refusal, envelope: &Envelope) -> Response<Wire> {
    let mut response = Response::new(Wire::Empty);
    *response.headers_mut() = grpc::head();
    response.headers_mut().extend(grpc::status::refusal(refusal, envelope.id));
    response
}
