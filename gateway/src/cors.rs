//! Callers in browsers (CORS, Fetch §3.2): preflights answered by route, and who may read an answer.

use crate::{
    call::{Arrived, Envelope, Found},
    config::{Cors, Origins},
    front::response,
    route,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use mesh::payload::Wire;

/// What scripts may read of every answer besides the harmless headers.
const EXPOSED: HeaderValue = HeaderValue::from_static("latchwork-call-id, retry-after, www-authenticate");

/// A preflight's answer depends on these.
const PREFLIGHT_VARY: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");

/// Headers by which servers speak of CORS. Where the gateway does, backends do not.
const SPOKEN: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
];

/// What an answer says to browsers.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The origin that may read it, if the one that asks may.
    origin: Option<HeaderValue>,
    credentials: bool,
}

/// The answer to a preflight that a route allows. Any other `OPTIONS` goes on, and ends as it would without CORS: so
/// nobody learns from it what exists.
pub(crate) fn preflight(arrived: &Arrived, envelope: &Envelope) -> Option<Response<Wire>> {
    let headers = &arrived.head.headers;
    let asked =
        headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).filter(|_| arrived.head.method == Method::OPTIONS)?;
    let method = Method::from_bytes(asked.as_bytes()).ok()?;
    let found = route::named(arrived, &method)?;
    let cors = found.function.config.cors.as_ref()?;
    let origin = cors.admits(headers.get(header::ORIGIN)?)?;
    if cors.methods.as_ref().is_some_and(|methods| !methods.contains(&method)) {
        return None;
    }
    let mut response = Response::new(Wire::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    Grant { origin: Some(origin), credentials: cors.credentials }.allow(headers);
    headers.insert(header::VARY, PREFLIGHT_VARY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, asked.clone());
    if let Some(allowed) = names(&cors.headers) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
    response::stamp(headers, envelope);
    Some(response)
}

/// What the answer of a function will say; `None` when its configuration says nothing of browsers.
pub(crate) fn grant(found: Option<&Found>, headers: &HeaderMap) -> Option<Grant> {
    let cors = found?.function.config.cors.as_ref()?;
    let origin = headers.get(header::ORIGIN).and_then(|origin| cors.admits(origin));
    Some(Grant { origin, credentials: cors.credentials })
}

impl Grant {
    /// Says it.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for name in &SPOKEN {
            headers.remove(name);
        }
        // Also for other origins and for none: a cache must not hand one origin's answer to another.
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if self.origin.is_some() {
            self.allow(headers);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    fn allow(&self, headers: &mut HeaderMap) {
        let Some(origin) = &self.origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

impl Cors {
    /// What the answer names as the origin that may read it, if this one may.
    fn admits(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::Only(origins) => {
                let text = origin.to_str().ok()?;
                origins.contains(text).then(|| origin.clone())
            }
        }
    }
}

fn names(headers: &[HeaderName]) -> Option<HeaderValue> {
    let names: Vec<&str> = headers.iter().map(HeaderName::as_str).collect();
    HeaderValue::try_from(names.join(", ")).ok().filter(|value| !value.is_empty())
}
