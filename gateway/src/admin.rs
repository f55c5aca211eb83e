//! The administrative interface: its own port, thread and runtime, so that it answers while calls are saturated.

mod audit;
mod emergency;
mod peer;
mod publish;

use crate::{
    address::Address,
    config,
    reload::{self, Wish},
    server::Gateway,
    socket::{Accepting, Socket, Stream},
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use peer::Peer;
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Arc, thread::JoinHandle, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

/// Everything is under this path; the short forms are for people and scrapers.
const PREFIX: &str = "/latchwork/v1/";
/// Connections at once.
const CONNECTIONS_MAX: usize = 64;
/// A head must be there within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A body must be there within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Must be sent with everything that changes something: a web page can't send it to another origin.
pub const CHANGE_HEADER: &str = "latchwork-admin";

/// A bound interface.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    address: Address,
}

/// A serving interface.
#[derive(Debug)]
pub struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bound {
    /// Takes the socket, or binds the address.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn bind(socket: Option<Socket>, admin: &config::Admin) -> std::io::Result<Self> {
        let socket = socket.map_or_else(|| Socket::bind(&admin.address, &admin.access), Ok)?;
        let address = socket.address()?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Serves on a thread of its own.
    #[must_use]
    pub fn serve(self, gateway: Arc<Gateway>, reloads: reload::Handle) -> Serving {
        let (stop, stopped) = oneshot::channel();
        let work = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(async {
                tokio::select! {
                    () = accept(self.socket, &gateway, &reloads) => {}
                    _ = stopped => {}
                }
            }),
            Err(error) => tracing::error!(%error, "the administrative interface can't run"),
        };
        let thread = std::thread::Builder::new().name("latchwork-admin".to_owned()).spawn(work);
        if let Err(error) = &thread {
            tracing::error!(%error, "the administrative interface has no thread");
        }
        Serving { stop: Some(stop), thread: thread.ok() }
    }
}

impl Serving {
    /// Stops and frees the port.
    pub fn stop(mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(socket: Socket, gateway: &Arc<Gateway>, reloads: &reload::Handle) {
    let Ok(socket) = socket.accepting() else { return };
    // A Unix socket has no name that could resolve to it.
    let named = matches!(socket, Accepting::Tcp(_));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (gateway, reloads) = (gateway.clone(), reloads.clone());
        match socket.accept().await {
            Ok(Stream::Tcp(stream, _)) => {
                drop(tokio::spawn(connection(stream, (named, Peer::Loopback), gateway, reloads, place)));
            }
            Ok(Stream::Unix(stream)) => {
                let peer = Peer::of(&stream);
                drop(tokio::spawn(connection(stream, (named, peer), gateway, reloads, place)));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection<I>(
    io: I,
    (named, peer): (bool, Peer),
    gateway: Arc<Gateway>,
    reloads: reload::Handle,
    place: OwnedSemaphorePermit,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(|request| {
        let (gateway, reloads) = (gateway.clone(), reloads.clone());
        async move {
            let answer = match !named || local(&request) {
                true => answer(&gateway, &reloads, &peer, request).await,
                false => {
                    let title = "the administrative interface answers only to a loopback host";
                    error(StatusCode::MISDIRECTED_REQUEST, title)
                }
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    // A client that breaks off is no news.
    let _ = server.serve_connection(TokioIo::new(io), service).await;
    drop(place);
}

async fn answer(
    gateway: &Gateway,
    reloads: &reload::Handle,
    peer: &Peer,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let name = path.strip_prefix(PREFIX).or_else(|| path.strip_prefix('/')).unwrap_or_default();
    if let Some(rest) = name.strip_prefix("emergency").filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        let id = rest.strip_prefix('/').map(str::to_owned);
        return emergency::answer(gateway, reloads, id, peer, request).await;
    }
    if let Some(rest) = name.strip_prefix("audit/").map(str::to_owned) {
        return audit::answer(gateway, &rest, peer, request).await;
    }
    match (request.method(), name) {
        (&Method::GET | &Method::HEAD, "live") => json_answer(StatusCode::OK, &json!({"live": true})),
        (&Method::GET | &Method::HEAD, "ready") => ready(gateway),
        (&Method::GET | &Method::HEAD, "metrics") => metrics(gateway),
        (&Method::GET | &Method::HEAD, "functions") => json_answer(StatusCode::OK, &functions(gateway)),
        (&Method::GET | &Method::HEAD, "bundle") => json_answer(StatusCode::OK, &publish::bundle(gateway)),
        (&Method::POST, "bundle") => publish::publish(reloads, peer, request).await,
        (&Method::POST, "reload") => reload(reloads, &request).await,
        (_, "live" | "ready" | "metrics" | "functions" | "bundle" | "reload") => {
            error(StatusCode::METHOD_NOT_ALLOWED, "the method is not supported here")
        }
        _ => error(
            StatusCode::NOT_FOUND,
            "there is live, ready, metrics, functions, bundle, reload, emergency and audit",
        ),
    }
}

/// Refuses names that resolve to loopback by accident or by design (DNS rebinding).
fn local(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn ready(gateway: &Gateway) -> Response<Full<Bytes>> {
    let generation = gateway.generation();
    let stats = generation.identify.stats();
    let issuers: Vec<Value> = stats
        .iter()
        .map(|s| json!({"alias": s.alias, "available": s.available, "keys": s.keys, "problem": s.problem}))
        .collect();
    let quarantined: Vec<Value> = generation
        .served
        .values()
        .filter_map(|s| Some(json!({"function": s.function.name, "problem": s.quarantine.as_ref()?.finding})))
        .collect();
    let (healthy, ready) = (gateway.log.healthy(), gateway.ready());
    let detail = json!({
        "ready": ready,
        "audit": {"healthy": healthy, "problem": gateway.log.stats().failing.map(|f| f.error)},
        "bundle": generation.policy.id(),
        "reload": gateway.reloads.last(),
        "emergencies": generation.emergencies.list(),
        "issuers": issuers,
        "quarantined": quarantined,
    });
    json_answer(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &detail)
}

fn metrics(gateway: &Gateway) -> Response<Full<Bytes>> {
    let Ok(text) = gateway.metrics.text() else {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "metrics can't be written");
    };
    let mut response = Response::new(Full::new(text.into()));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn functions(gateway: &Gateway) -> Value {
    let generation = gateway.generation();
    let mut all: Vec<_> = generation.served.values().collect();
    all.sort_by(|a, b| a.function.name.cmp(&b.function.name));
    let one = |served: &&Arc<crate::generation::Served>| {
        let targets: Vec<Value> = served
            .function
            .targets
            .iter()
            .map(|t| json!({"index": t.index, "kind": t.backend.kind(), "region": t.region}))
            .collect();
        let route =
            served.config.route.as_ref().map(
                |r| json!({"method": r.method.as_ref().map(Method::as_str), "host": r.host, "pattern": r.pattern}),
            );
        json!({
            "name": served.function.name,
            "app": served.function.app,
            "route": route,
            "targets": targets,
            "running": served.function.concurrency_max - served.slots.available_permits(),
            "waiting": served.waiting.load(std::sync::atomic::Ordering::Relaxed),
            "quarantine": served.quarantine.as_ref().map(|q| &q.finding),
        })
    };
    json!({"functions": all.iter().map(one).collect::<Vec<_>>()})
}

async fn reload(reloads: &reload::Handle, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if let Err(refused) = change(request) {
        return refused;
    }
    let wish = match request.uri().query() {
        Some("dry_run=true") => Wish::DryRun,
        Some("accept_removals=true") => Wish::Accepted,
        None | Some("") => Wish::Confirmed,
        Some(_) => {
            return error(StatusCode::BAD_REQUEST, "the only queries are `dry_run=true`, `accept_removals=true`");
        }
    };
    match reloads.reload(wish).await {
        None => error(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping"),
        Some(outcome) => {
            let failed = matches!(outcome.result, "failed" | "held");
            json_answer(if failed { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &json!(outcome))
        }
    }
}

/// Sees that a change is meant.
#[expect(clippy::result_large_err, reason = "it is the answer, moved once and then sent")]
fn change<B>(request: &Request<B>) -> Result<(), Response<Full<Bytes>>> {
    let meant = request.headers().contains_key(CHANGE_HEADER);
    if meant { Ok(()) } else { Err(error(StatusCode::FORBIDDEN, "a change needs the header `latchwork-admin`")) }
}

async fn read(request: Request<Incoming>, bytes_max: usize) -> Result<Bytes, Response<Full<Bytes>>> {
    let whole = tokio::time::timeout(BODY_TIMEOUT, Limited::new(request.into_body(), bytes_max).collect()).await;
    match whole {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(error(StatusCode::PAYLOAD_TOO_LARGE, "the body broke off or is too large")),
        Err(_) => Err(error(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

fn error(status: StatusCode, title: &str) -> Response<Full<Bytes>> {
    json_answer(status, &json!({"type": "about:blank", "title": title, "status": status.as_u16()}))
}

fn json_answer(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(value.to_string().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
