//! The quickstart's service that speaks gRPC (`shop.v1.Inventory`): knows nothing of tokens or policies.

use super::legacy::STOCK;
use crate::front::grpc::{self, message, status};
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh::payload::Wire;
use proto::{
    prost::Message,
    shop::v1::{LevelRequest, LevelResponse},
};
use std::{convert::Infallible, net::TcpListener};
use tokio::task::JoinSet;

/// Largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 4096;
/// How many levels a watcher is told: the present one, and what is sold meanwhile.
const CHANGES: u32 = 3;

/// The service, listening.
#[derive(Debug)]
pub struct Inventory(TcpListener);

impl Inventory {
    /// Takes a bound socket.
    ///
    /// # Errors
    /// When the socket can't be used.
    pub fn new(socket: TcpListener) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Serves until it is aborted, and its connections with it.
    ///
    /// # Errors
    /// When the socket can't be used.
    pub async fn serve(self) -> std::io::Result<()> {
        let socket = tokio::net::TcpListener::from_std(self.0)?;
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                Some(_) = connections.join_next() => continue,
                accepted = socket.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else { continue };
            let service = service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
            connections.spawn(async move {
                // A client that breaks off is no news.
                let server = http2::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}

async fn answer(request: Request<Incoming>) -> Response<Wire> {
    let (head, body) = request.into_parts();
    let changes = match head.uri.path() {
        "/shop.v1.Inventory/Level" => 1,
        "/shop.v1.Inventory/Watch" => CHANGES,
        _ => return failed(12),
    };
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await;
    let message = body.ok().and_then(|body| message::next(&mut body.to_bytes()).ok().flatten());
    let Some(asked) = message.and_then(|message| LevelRequest::decode(message).ok()) else { return failed(3) };
    let Some((sku, level)) = STOCK.iter().find(|(sku, _)| *sku == asked.sku) else { return failed(5) };
    let told = (0..changes).map(|sold| LevelResponse { sku: (*sku).to_owned(), level: level.saturating_sub(sold) });
    let frames: Vec<_> = told.map(|level| Frame::data(message::framed(&level))).collect();
    let frames = frames.into_iter().chain([Frame::trailers(status::ok())]).map(Ok);
    let mut response = Response::new(Wire::Stream(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()));
    *response.headers_mut() = grpc::head();
    response
}

/// A status alone.
fn failed(code: u16) -> Response<Wire> {
    let mut response = Response::new(Wire::Empty);
    *response.headers_mut() = grpc::head();
    response.headers_mut().insert("grpc-status", HeaderValue::from(code));
    response
}
