//! The TCP front: a connection is a call. Who connects is known by a client certificate alone, and what is said passes
//! unread, within limits.

use super::http::Session;
use crate::{
    call::{Arrived, Envelope, Named, Peer, RequestHead, Unread},
    config::Tcp,
    front::path::CanonicalPath,
    listener::Connection,
    pipeline,
    refusal::Refusal,
    telemetry::lines::CALL,
    trace::Trace,
};
use http::{HeaderMap, Method, Version};
use jiff::Timestamp;
use mesh::payload::{Io, Promise};
use policy::question::Provenance;
use std::{
    collections::BTreeMap,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::Sleep,
};

/// Serves one connection until either side ends it, a limit does, or it is no longer permitted.
pub(crate) async fn serve<I>(connection: Connection, io: I, session: Session, tcp: &Tcp, name: Option<String>)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Connection { gateway, listener, source, .. } = connection;
    let generation = gateway.generation();
    let Some(listener) = gateway.listening(&listener) else { return };
    let (tls, certificate) = session.settled();
    let headers = HeaderMap::new();
    let envelope = Envelope {
        id: uuid::Uuid::now_v7(),
        at: Timestamp::now(),
        started: Instant::now(),
        peer: Peer { source, provenance: Provenance::Socket, tls, certificate },
        trace: Trace::of(&headers, gateway.exporter().and_then(|exporter| exporter.sampling())),
        grpc: false,
        deadline: None,
        invoke: None,
        bytes_in: Arc::default(),
        fault: Arc::default(),
        pass: None,
        listener,
    };
    let (done, ended) = oneshot::channel();
    let near: Box<dyn Io> = Box::new(Limited::new(io, tcp, envelope.bytes_in.clone(), done));
    let near: Promise = Box::pin(async move { Ok(near) });
    let named = tcp.function(name.as_deref()).map(|function| Named { function, path: BTreeMap::new() });
    let arrived = match (named, CanonicalPath::parse("/")) {
        (Some(named), Ok(path)) => {
            let host = name.unwrap_or_default().to_ascii_lowercase().into();
            let head = RequestHead {
                method: Method::CONNECT,
                path,
                query: None,
                host,
                version: Version::HTTP_09,
                headers,
                json: false,
            };
            let (envelope, body) = (envelope.clone(), Unread::Duplex(near));
            Ok(Arrived { envelope, head, body, named: Some(named), operation: None, generation })
        }
        // There is a function for other names only; the connection goes with its promise.
        (_, _) => {
            drop(near);
            Err(Refusal::Misdirected)
        }
    };
    let ids = envelope.trace.ids();
    // What is answered is the connection itself; of a refusal nobody is told but by its end.
    drop(CALL.scope(ids, pipeline::call(&gateway, envelope, arrived)).await);
    // It lives on in a task of its own, and counts as open until it is gone.
    let _ = ended.await;
}

/// The caller's end: counted, and ended when it is silent for too long or has carried too much.
struct Limited<I> {
    io: I,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    /// Bytes that it may still carry, both ways together.
    left: u64,
    received: Arc<AtomicU64>,
    /// Tells, by going, that it is gone.
    _done: oneshot::Sender<()>,
}

impl<I> Limited<I> {
    fn new(io: I, tcp: &Tcp, received: Arc<AtomicU64>, done: oneshot::Sender<()>) -> Self {
        let silence = Box::pin(tokio::time::sleep(tcp.idle));
        Self { io, idle: tcp.idle, silence, left: tcp.bytes_max, received, _done: done }
    }

    /// Something went through.
    fn carried(&mut self, bytes: usize) -> io::Result<()> {
        self.silence.as_mut().reset(tokio::time::Instant::now() + self.idle);
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(io::Error::new(io::ErrorKind::FileTooLarge, "the connection has carried what it may")),
        }
    }

    /// Nothing goes through now; an error when that lasts.
    fn waits<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.silence.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was said for too long")))
    }
}

/// A caller that is gone without a word of TLS hung up; nothing failed.
fn hung_up(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            io::Error::new(io::ErrorKind::ConnectionAborted, error)
        }
        _ => error,
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Limited<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buffer) {
            Poll::Pending => self.waits(cx),
            Poll::Ready(Err(error)) => Poll::Ready(Err(hung_up(error))),
            Poll::Ready(Ok(())) => {
                let bytes = buffer.filled().len() - before;
                self.received.fetch_add(bytes as u64, Ordering::Relaxed);
                Poll::Ready(self.carried(bytes))
            }
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Limited<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // What is over the limit is not written.
        let may = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let within = bytes.get(..may).filter(|within| !within.is_empty()).unwrap_or_default();
        if within.is_empty() && !bytes.is_empty() {
            return Poll::Ready(self.carried(1).map(|()| 0));
        }
        match Pin::new(&mut self.io).poll_write(cx, within) {
            Poll::Pending => self.waits(cx),
            Poll::Ready(Err(error)) => Poll::Ready(Err(hung_up(error))),
            Poll::Ready(Ok(written)) => Poll::Ready(self.carried(written).map(|()| written)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
