//! An issuer's server that answers as the test wants, and counts what it is asked.

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::{net::TcpListener, task::JoinHandle};

/// What the server does with a request for keys.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// 200 with this body.
    Body(String),
    /// This status.
    Status(u16),
    /// 302 to the server itself, where the keys are.
    Redirect,
    /// Never.
    Silence,
    /// The body once the test says so.
    Late(Arc<tokio::sync::Semaphore>, String),
}

/// The server; it stops when it is dropped.
pub(super) struct FakeIssuer {
    pub(super) identifier: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    address: SocketAddr,
    keys: Mutex<Answer>,
    discovery: Mutex<Option<String>>,
    keys_asked: AtomicUsize,
    discovery_asked: AtomicUsize,
}

impl FakeIssuer {
    pub(super) async fn start(keys: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            address,
            keys: Mutex::new(keys),
            discovery: Mutex::default(),
            keys_asked: AtomicUsize::new(0),
            discovery_asked: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self { identifier: format!("http://{address}"), shared, accepting }
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.shared.keys.lock().unwrap() = answer;
    }

    /// The discovery document, instead of the right one.
    pub(super) fn discovery(&self, document: String) {
        *self.shared.discovery.lock().unwrap() = Some(document);
    }

    pub(super) fn keys_asked(&self) -> usize {
        self.shared.keys_asked.load(SeqCst)
    }

    pub(super) fn discovery_asked(&self) -> usize {
        self.shared.discovery_asked.load(SeqCst)
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(shared.respond(request).await) }
            });
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

impl Shared {
    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        // A real issuer would not expect credentials here.
        assert!(!request.headers().contains_key(header::AUTHORIZATION));
        match request.uri().path() {
            "/.well-known/openid-configuration" => {
                self.discovery_asked.fetch_add(1, SeqCst);
                let said = self.discovery.lock().unwrap().clone();
                let own = format!(r#"{{"issuer":"http://{0}","jwks_uri":"http://{0}/jwks"}}"#, self.address);
                body(said.unwrap_or(own))
            }
            "/jwks" => {
                self.keys_asked.fetch_add(1, SeqCst);
                let answer = self.keys.lock().unwrap().clone();
                self.keys(answer).await
            }
            other => panic!("the gateway asked for {other}"),
        }
    }

    async fn keys(&self, answer: Answer) -> Response<Full<Bytes>> {
        match answer {
            Answer::Body(text) => body(text),
            Answer::Status(status) => status_only(status),
            Answer::Redirect => {
                let mut response = status_only(302);
                let to = format!("http://{}/elsewhere", self.address);
                response.headers_mut().insert(header::LOCATION, to.parse().unwrap());
                response
            }
            Answer::Silence => std::future::pending().await,
            Answer::Late(until, text) => {
                until.acquire().await.unwrap().forget();
                body(text)
            }
        }
    }
}

fn body(text: String) -> Response<Full<Bytes>> {
    Response::new(Full::from(text))
}

fn status_only(status: u16) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
