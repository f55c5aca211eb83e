//! The quickstart's service that was there before: plain HTTP/1.1, knows nothing of tokens or policies.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio::task::JoinSet;

/// What it has in stock.
pub(super) const STOCK: [(&str, u32); 3] = [("tea-001", 140), ("tea-002", 12), ("cup-001", 0)];
/// A head must be there within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The service, listening.
#[derive(Debug)]
pub struct Legacy {
    socket: TcpListener,
    address: SocketAddr,
}

impl Legacy {
    /// Takes a bound socket.
    ///
    /// # Errors
    /// When the socket can't be used.
    pub fn new(socket: TcpListener) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves.
    ///
    /// # Errors
    /// When the socket can't be used.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> std::io::Result<()> {
        let socket = tokio::net::TcpListener::from_std(self.socket)?;
        let mut stop = std::pin::pin!(stop);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return Ok(()),
                Some(_) = connections.join_next() => continue,
                accepted = socket.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else { continue };
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request)));
            connections.spawn(async move {
                // A client that breaks off is no news.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let item = request.uri().path().strip_prefix("/stock/").filter(|_| request.method() == Method::GET);
    let level = item.and_then(|item| STOCK.iter().find(|(sku, _)| *sku == item));
    let (status, body): (_, Value) = match level {
        Some((sku, level)) => (StatusCode::OK, json!({"sku": sku, "level": level})),
        None => (StatusCode::NOT_FOUND, json!({"error": "no such item"})),
    };
    let mut response = Response::new(Full::new(format!("{body}\n").into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
