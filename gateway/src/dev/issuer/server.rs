//! The development issuer over HTTP, on loopback: discovery, keys, and tokens for client credentials (RFC 6749, 4.4).

use super::{Issuer, TTL, people::People};
use crate::dev::DevError;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet};

/// Largest form, in bytes.
const FORM_BYTES_MAX: usize = 16 * 1024;
/// Most connections at once.
const CONNECTIONS_MAX: usize = 64;
/// Longest time for a request's head or body.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// The issuer, listening.
#[derive(Debug)]
pub struct Server {
    issuer: Arc<Issuer>,
    listener: TcpListener,
    address: SocketAddr,
}

/// An OAuth error.
struct Refused(StatusCode, &'static str, &'static str);

impl Server {
    pub(super) fn new(issuer: Issuer, listener: TcpListener) -> Result<Self, DevError> {
        let address = listener.local_addr().map_err(DevError::Listen)?;
        Ok(Self { issuer: Arc::new(issuer), listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The issuer, to mint with.
    #[must_use]
    pub fn issuer(&self) -> Arc<Issuer> {
        self.issuer.clone()
    }

    /// Answers until `stop`.
    ///
    /// # Errors
    /// When the listener can't be used.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), DevError> {
        let listener = tokio::net::TcpListener::from_std(self.listener).map_err(DevError::Listen)?;
        let (slots, mut connections) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), JoinSet::new());
        tokio::pin!(stop);
        loop {
            let accept = async {
                let slot = slots.clone().acquire_owned().await;
                (listener.accept().await, slot)
            };
            tokio::select! {
                () = &mut stop => return Ok(()),
                Some(_) = connections.join_next() => {}
                (accepted, slot) = accept => match accepted {
                    Ok((stream, _)) => {
                        let (issuer, port) = (self.issuer.clone(), self.address.port());
                        connections.spawn(async move {
                            connection(stream, issuer, port).await;
                            drop(slot);
                        });
                    }
                    // Out of descriptors, mostly; it passes.
                    Err(error) => {
                        tracing::warn!(%error, "the development issuer can't accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
    }
}

async fn connection(stream: TcpStream, issuer: Arc<Issuer>, port: u16) {
    let service = service_fn(move |request| {
        let issuer = issuer.clone();
        async move { Ok::<_, Infallible>(answer(&issuer, port, request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIME_MAX);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the development issuer failed");
    }
}

async fn answer(issuer: &Issuer, port: u16, request: Request<Incoming>) -> Response<Full<Bytes>> {
    // A web page that a browser on this machine shows must not reach the issuer under another name.
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    if host != format!("127.0.0.1:{port}") && host != format!("localhost:{port}") {
        return respond(StatusCode::MISDIRECTED_REQUEST, &json!({ "error": "invalid_request" }));
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/.well-known/openid-configuration") => respond(StatusCode::OK, &discovery(issuer, port)),
        (&Method::GET, "/jwks") => respond(StatusCode::OK, &issuer.jwks()),
        (&Method::POST, "/token") => match token(issuer, request).await {
            Ok(granted) => respond(StatusCode::OK, &granted),
            Err(refused) => refuse(&refused),
        },
        (_, "/.well-known/openid-configuration" | "/jwks" | "/token") => {
            respond(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "invalid_request" }))
        }
        _ => respond(StatusCode::NOT_FOUND, &json!({ "error": "not_found" })),
    }
}

fn discovery(issuer: &Issuer, port: u16) -> Value {
    let own = format!("http://127.0.0.1:{port}");
    json!({
        "issuer": issuer.identifier(),
        "jwks_uri": format!("{own}/jwks"),
        "token_endpoint": format!("{own}/token"),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

async fn token(issuer: &Issuer, request: Request<Incoming>) -> Result<Value, Refused> {
    let bad = |words| Refused(StatusCode::BAD_REQUEST, "invalid_request", words);
    let (head, body) = request.into_parts();
    let media = head.headers.get(header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(bad("the body is not a form"));
    }
    let body = tokio::time::timeout(REQUEST_TIME_MAX, Limited::new(body, FORM_BYTES_MAX).collect()).await;
    let body = body.map_err(|_| bad("the form came too slowly"))?.map_err(|_| bad("the form can't be read"))?;
    let mut form = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(&body.to_bytes()) {
        if form.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(bad("a parameter is repeated"));
        }
    }
    let people = People::load(&issuer.people_path()).map_err(|error| {
        tracing::error!(%error, "people of the development issuer can't be read");
        Refused(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "people.toml can't be read")
    })?;
    let (client, secret) = client(&head.headers, &mut form)?;
    let unknown = Refused(StatusCode::UNAUTHORIZED, "invalid_client", "no such client, or another secret");
    let person = people.authenticate(&client, &secret).ok_or(unknown)?;
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        Some(_) => {
            return Err(Refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", "only client_credentials"));
        }
        None => return Err(bad("grant_type is missing")),
    }
    let scopes = match form.get("scope") {
        None => person.scopes.clone(),
        Some(asked) => asked.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
    };
    if !scopes.iter().all(|s| person.scopes.contains(s)) {
        return Err(Refused(StatusCode::BAD_REQUEST, "invalid_scope", "a scope that the client does not have"));
    }
    let audience = form.get("resource").or_else(|| form.get("audience"));
    let audience = audience.or(people.audiences.first()).filter(|a| people.audiences.contains(a));
    let audience =
        audience.ok_or(Refused(StatusCode::BAD_REQUEST, "invalid_target", "no such audience in people.toml"))?;
    let token = issuer.mint(&person.claims(audience.clone(), scopes.clone())).map_err(|error| {
        tracing::error!(%error, "the development issuer can't mint a token");
        Refused(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "the token can't be made")
    })?;
    Ok(json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": TTL.as_secs(),
        "scope": scopes.join(" "),
    }))
}

/// The client's id and secret: by HTTP Basic or in the form, never both (RFC 6749, 2.3.1).
fn client(headers: &HeaderMap, form: &mut BTreeMap<String, String>) -> Result<(String, String), Refused> {
    let wrong = || Refused(StatusCode::UNAUTHORIZED, "invalid_client", "the client did not authenticate");
    let written = (form.remove("client_id"), form.remove("client_secret"));
    let Some(basic) = headers.get(header::AUTHORIZATION) else {
        return written.0.zip(written.1).ok_or_else(wrong);
    };
    if written.1.is_some() {
        return Err(Refused(StatusCode::BAD_REQUEST, "invalid_request", "the client authenticated twice"));
    }
    let (scheme, encoded) = basic.to_str().ok().and_then(|b| b.split_once(' ')).ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|d| String::from_utf8(d).ok()).ok_or_else(wrong)?;
    let (id, secret) = decoded.split_once(':').ok_or_else(wrong)?;
    let plain = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().map(|t| t.into_owned()).map_err(|_| wrong())
    };
    let (id, secret) = (plain(id)?, plain(secret)?);
    if written.0.is_some_and(|written| written != id) { Err(wrong()) } else { Ok((id, secret)) }
}

fn refuse(Refused(status, error, description): &Refused) -> Response<Full<Bytes>> {
    let mut response = respond(*status, &json!({ "error": error, "error_description": description }));
    if *status == StatusCode::UNAUTHORIZED {
        let challenge = http::HeaderValue::from_static("Basic realm=\"development issuer\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn respond(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}
