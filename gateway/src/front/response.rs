//! Refusals on the wire: RFC 9457 problems, or a gRPC status where the caller speaks gRPC.

use super::grpc;
use crate::{
    call::Envelope,
    refusal::{Refusal, Row},
    watched::Watched,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use mesh::payload::Wire;
use serde_json::json;
use uuid::Uuid;

/// Says which call a response belongs to.
pub const CALL_ID: HeaderName = HeaderName::from_static("latchwork-call-id");

/// Where a problem's `type` is described; the last part is the refusal's word.
const PROBLEM_TYPE: &str = "urn:latchwork:refusal:";

/// How long browsers must keep to TLS, in seconds (RFC 6797): one year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What a problem says, beside it (an extension of the response): for a front whose callers read it in another form.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// The row as the caller sees it.
    pub(crate) row: Row,
    /// What it is told beyond the title.
    pub(crate) detail: Option<String>,
    /// Which call it was.
    pub(crate) call: Uuid,
    /// The same call may be answered later.
    pub(crate) passes: bool,
}

impl Problem {
    pub(crate) fn of(refusal: &Refusal, call: Uuid) -> Self {
        let passes = refusal.retry_after().is_some();
        Self { row: refusal.public(), detail: refusal.detail(), call, passes }
    }
}

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

/// A refusal for whoever asked for the head alone. hyper leaves the body out over HTTP/1.1 only; over HTTP/2 it is an error.
pub(crate) fn bodiless(response: Response<Watched>) -> Response<Watched> {
    let (parts, body) = response.into_parts();
    match parts.extensions.get::<Problem>() {
        Some(_) => Watched::unwatched(Response::from_parts(parts, Wire::Empty)),
        None => Response::from_parts(parts, body),
    }
}

/// Adds what every answer carries.
pub fn stamp(headers: &mut HeaderMap, envelope: &Envelope) {
    let mut buffer = Uuid::encode_buffer();
    if let Ok(id) = HeaderValue::from_str(envelope.id.hyphenated().encode_lower(&mut buffer)) {
        headers.insert(CALL_ID, id);
    }
    if envelope.peer.tls > 0 && !headers.contains_key(header::STRICT_TRANSPORT_SECURITY) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

fn problem(refusal: &Refusal, envelope: &Envelope) -> Response<Wire> {
    let problem = Problem::of(refusal, envelope.id);
    let mut body = json!({
        "type": format!("{PROBLEM_TYPE}{}", problem.row.word),
        "title": problem.row.title,
        "status": problem.row.status,
        "call_id": problem.call,
    });
    if let (Some(detail), Some(members)) = (&problem.detail, body.as_object_mut()) {
        members.insert("detail".to_owned(), detail.as_str().into());
    }
    let mut response = Response::new(Wire::Full(body.to_string().into()));
    *response.status_mut() = StatusCode::from_u16(problem.row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.extensions_mut().insert(problem);
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
