//! An HTTP service in this process that remembers every request: the witness that a denied call reached nobody.

use crate::{certificates::Certificates, client::Io};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// A request as the service saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// The running service.
#[derive(Debug)]
pub struct Origin {
    /// Where it listens.
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: JoinHandle<()>,
}

impl Origin {
    /// Starts one that answers 200 with what it was sent. A path that ends in `/slow` is never answered.
    pub async fn start() -> Self {
        Self::serve("http", None).await
    }

    /// As [`Origin::start`], over TLS.
    pub async fn start_tls(certificates: &Certificates) -> Self {
        Self::serve("https", Some(certificates.acceptor())).await
    }

    /// As [`Origin::start`], on a Unix socket.
    pub async fn start_unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let remembered = seen.clone();
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(connection(Box::new(socket), remembered.clone()));
            }
        });
        Self { url: "http://localhost".to_owned(), seen, server }
    }

    async fn serve(scheme: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let address: SocketAddr = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let remembered = seen.clone();
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (seen, tls) = (remembered.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => connection(Box::new(socket), seen).await,
                        // A caller that does not trust us: its own test looks at that.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(socket).await {
                                connection(Box::new(stream), seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url: format!("{scheme}://{address}"), seen, server }
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no reader panics").clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Longer than any caller of these tests waits.
const NEVER: Duration = Duration::from_secs(3600);

async fn connection(socket: Box<dyn Io>, seen: Arc<Mutex<Vec<Seen>>>) {
    let service = service_fn(move |request| answer(seen.clone(), request));
    drop(http1::Builder::new().serve_connection(TokioIo::new(socket), service).await);
}

async fn answer(seen: Arc<Mutex<Vec<Seen>>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let slow = path.ends_with("/slow");
    let one = Seen { method: head.method, path, headers: head.headers, body: body.clone() };
    seen.lock().expect("no reader panics").push(one);
    if slow {
        tokio::time::sleep(NEVER).await;
    }
    Ok(Response::new(Full::new(body)))
}
