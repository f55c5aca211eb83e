//! Refusals for clients of SOAP: the same "no" with the same status and headers, as a fault that they understand.

use crate::{front::response::Problem, watched::Watched};
use http::{HeaderValue, Method, Response, header::CONTENT_TYPE, request::Parts};
use mesh::{
    payload::Wire,
    soap::{
        Version,
        action::spoken,
        fault::{self, Told},
    },
};

/// The namespace of what a fault tells of a refusal.
const NAMESPACE: &str = "urn:latchwork:refusal";
/// The element that holds it.
const ELEMENT: &str = "refusal";

/// The version in which a request's sender reads faults, if it sent a message. It is the request alone that says so: what is
/// at that place, only those learn who are known.
pub(crate) fn version(parts: &Parts) -> Option<Version> {
    (parts.method == Method::POST).then(|| spoken(&parts.headers)).flatten()
}

/// Tells a refusal as a fault; every other answer is as it was.
///
/// A refusal keeps its status: proxies and clients act on 401, 413, 429 and 503, and receivers go by the envelope (WS-I Basic
/// Profile 1.1, R1107; SOAP 1.2 part 2, 7.5.1).
pub(crate) fn told(version: Version, response: Response<Watched>) -> Response<Watched> {
    let (mut parts, body) = response.into_parts();
    let Some(Problem { row, detail, call, passes }) = parts.extensions.remove::<Problem>() else {
        return Response::from_parts(parts, body);
    };
    let words = detail.map_or_else(|| row.title.to_owned(), |detail| format!("{}: {detail}", row.title));
    let message = fault::write(
        version,
        &Told {
            // What passes by itself is not the message's fault.
            sender: row.status < 500 && !passes,
            words: &words,
            namespace: NAMESPACE,
            element: ELEMENT,
            code: row.word,
            members: &[("word", row.word), ("call_id", &call.to_string())],
        },
    );
    let kind = match version {
        Version::V11 => HeaderValue::from_static("text/xml; charset=utf-8"),
        Version::V12 => HeaderValue::from_static("application/soap+xml; charset=utf-8"),
    };
    parts.headers.insert(CONTENT_TYPE, kind);
    Watched::unwatched(Response::from_parts(parts, Wire::Full(message.into())))
}

#[cfg(test)]
mod tests;
