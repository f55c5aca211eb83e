//! The administrative interface: its own port, thread and runtime, so that it answers while calls are saturated.

mod approve;
mod asker;
mod audit;
mod emergency;
mod page;
mod peer;
mod publish;
mod read;
mod read_log;
mod strangers;

use crate::{
    address::Address,
    config,
    reload::{self, Wish},
    server::Gateway,
    socket::{Socket, Stream},
};
use asker::Asker;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use mesh::backend::grpc::is_grpc;
use peer::Peer;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use strangers::Strangers;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Runtime,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

/// Everything is under this path; the short forms are for people and scrapers.
const PREFIX: &str = "/latchwork/v1/";
/// Connections at once.
const CONNECTIONS_MAX: usize = 64;
/// Threads for what blocks: questions about the log, keys of subjects.
const BLOCKING_MAX: usize = 8;
/// Requests at once over one connection of HTTP/2.
const STREAMS_MAX: u32 = 16;
/// Longest head over HTTP/2, in bytes.
const HEAD_BYTES_MAX: u32 = 64 * 1024;
/// A head must be there within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection on which nothing more was asked ends after this time; every answer takes less.
const IDLE_MAX: Duration = Duration::from_secs(180);
/// A body must be there within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Must be sent with everything that changes something: a web page can't send it to another origin.
pub const CHANGE_HEADER: &str = "latchwork-admin";

/// What every request is answered from.
#[derive(Debug)]
struct Interface {
    gateway: Arc<Gateway>,
    reloads: reload::Handle,
    /// The user of this process.
    own: Peer,
    strangers: Strangers,
    /// Places for questions about the log.
    questions: Arc<Semaphore>,
}

/// A body that goes out, whole or as it comes.
type Outgoing = UnsyncBoxBody<Bytes, Infallible>;

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
        let config = &gateway.generation().config;
        if config.admin.identify.is_none() && matches!(self.address, Address::Tcp(_)) {
            tracing::warn!("whoever reaches the administrative interface may do everything: `identify` is not set");
        }
        let (stop, stopped) = oneshot::channel();
        let work = move || match runtime() {
            Ok(runtime) => runtime.block_on(async {
                let (own, strangers) = (Peer::own(), Strangers::default());
                let questions = read_log::places();
                let interface = Arc::new(Interface { gateway, reloads, own, strangers, questions });
                tokio::select! {
                    () = accept(self.socket, &interface) => {}
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

/// One thread for the interface, and some for what blocks.
fn runtime() -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().thread_name("latchwork-admin-work").max_blocking_threads(BLOCKING_MAX).build()
}

async fn accept(socket: Socket, interface: &Arc<Interface>) {
    let Ok(socket) = socket.accepting() else { return };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let interface = interface.clone();
        match socket.accept().await {
            Ok(Stream::Tcp(stream, from)) => {
                let peer = (Peer::Loopback, Some(from.ip()));
                drop(tokio::spawn(connection(stream, peer, interface, place)));
            }
            Ok(Stream::Unix(stream)) => {
                let peer = (Peer::of(&stream), None);
                drop(tokio::spawn(connection(stream, peer, interface, place)));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection<I>(io: I, peer: (Peer, Option<IpAddr>), interface: Arc<Interface>, place: OwnedSemaphorePermit)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let requests = Arc::new(AtomicU64::new(0));
    let counted = requests.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        counted.fetch_add(1, Ordering::Relaxed);
        let interface = interface.clone();
        async move {
            // A Unix socket has no name that could resolve to it.
            let answer = if peer.1.is_some() && !page::names_loopback(&request) {
                let title = "the administrative interface answers only to a loopback host";
                whole(error(StatusCode::MISDIRECTED_REQUEST, title))
            } else if page::is_made_by_one(request.headers()) {
                whole(error(StatusCode::FORBIDDEN, "the administrative interface takes no requests of web pages"))
            } else {
                answered(&interface, peer, request).await
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX).max_header_list_size(HEAD_BYTES_MAX);
    tokio::select! {
        // A client that breaks off is no news.
        _ = server.serve_connection(TokioIo::new(io), service) => {}
        () = silence(&requests) => {}
    }
    drop(place);
}

/// Ends when nothing was asked for too long: whoever says nothing, or half a word, keeps no place from others.
async fn silence(requests: &AtomicU64) {
    let mut before = 0;
    let mut wait = HEADER_TIMEOUT;
    loop {
        tokio::time::sleep(wait).await;
        let now = requests.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        (before, wait) = (now, IDLE_MAX);
    }
}

/// Answers a request; what comes as a stream is told apart here.
async fn answered(
    interface: &Interface,
    peer: (Peer, Option<IpAddr>),
    request: Request<Incoming>,
) -> Response<Outgoing> {
    if is_grpc(request.headers()) {
        let asker = Asker::of(interface, peer, request.headers()).await;
        return read_log::answer_grpc(interface, &asker, request).await;
    }
    let path = request.uri().path();
    let name = path.strip_prefix(PREFIX).or_else(|| path.strip_prefix('/')).unwrap_or_default();
    if name == "audit/query" && *request.method() == Method::GET {
        let asker = Asker::of(interface, peer, request.headers()).await;
        return read_log::answer(interface, &asker, request.uri().query().unwrap_or_default()).await;
    }
    whole(answer(interface, peer, request).await)
}

fn whole(response: Response<Full<Bytes>>) -> Response<Outgoing> {
    response.map(BodyExt::boxed_unsync)
}

async fn answer(
    interface: &Interface,
    peer: (Peer, Option<IpAddr>),
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let gateway = &*interface.gateway;
    let path = request.uri().path();
    let name = path.strip_prefix(PREFIX).or_else(|| path.strip_prefix('/')).unwrap_or_default().to_owned();
    if name == "live" && matches!(*request.method(), Method::GET | Method::HEAD) {
        return json_answer(StatusCode::OK, &json!({"live": true}));
    }
    let asker = Asker::of(interface, peer, request.headers()).await;
    if let Some(rest) = name.strip_prefix("emergency").filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        let id = rest.strip_prefix('/').map(str::to_owned);
        return emergency::answer(interface, id, &asker, request).await;
    }
    if let Some(rest) = name.strip_prefix("audit/") {
        return audit::answer(&asker, rest, request).await;
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match (reads, request.method(), name.as_str()) {
        (true, _, "ready") => read::ready(gateway, asker.sees("gateway.read")),
        (true, _, "metrics") if !asker.generation().config.admin.metrics_asked => read::metrics(gateway),
        (true, _, "metrics") => permitted(&asker, "metrics.read", || read::metrics(gateway)).await,
        (true, _, "functions") => {
            permitted(&asker, "gateway.read", || json_answer(StatusCode::OK, &read::functions(gateway))).await
        }
        (true, _, "bundle") => {
            permitted(&asker, "gateway.read", || json_answer(StatusCode::OK, &publish::bundle(gateway))).await
        }
        (_, &Method::POST, "bundle") => publish::publish(interface, &asker, request).await,
        (_, &Method::POST, "bundle/approval") => approve::approve(&asker, request).await,
        (_, &Method::POST, "reload") => reload(interface, &asker, &request).await,
        (_, _, "live" | "ready" | "metrics" | "functions" | "bundle" | "bundle/approval" | "reload") => {
            error(StatusCode::METHOD_NOT_ALLOWED, "the method is not supported here")
        }
        _ => {
            let title =
                "there is live, ready, metrics, functions, bundle, bundle/approval, reload, emergency and audit";
            error(StatusCode::NOT_FOUND, title)
        }
    }
}

async fn permitted(
    asker: &Asker<'_>,
    verb: &'static str,
    answer: impl FnOnce() -> Response<Full<Bytes>>,
) -> Response<Full<Bytes>> {
    asker.may(verb, None).await.map_or_else(|refused| refused, |_| answer())
}

async fn reload(interface: &Interface, asker: &Asker<'_>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
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
    // What would change is read, and changes nothing.
    let verb = if wish == Wish::DryRun { "gateway.read" } else { "gateway.reload" };
    let actor = match asker.may(verb, None).await {
        Ok(actor) => actor,
        Err(refused) => return refused,
    };
    match interface.reloads.reload(wish, actor).await {
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

async fn read_body(request: Request<Incoming>, bytes_max: usize) -> Result<Bytes, Response<Full<Bytes>>> {
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
