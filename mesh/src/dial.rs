//! Connections before any TLS: by name over TCP, or to a Unix socket whatever the name.

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use std::{
    fmt,
    future::Future,
    io::{self, IoSlice},
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::net::{TcpStream, UnixStream};

/// What hyper asks for connections.
#[derive(Clone)]
pub enum Dial {
    /// To the host and port of the URI.
    Tcp(HttpConnector),
    /// To this Unix socket.
    Unix(Arc<Path>),
}

/// A connection.
#[derive(Debug)]
pub enum Dialled {
    /// Over TCP.
    Tcp(TokioIo<TcpStream>),
    /// Over a Unix socket.
    Unix(TokioIo<UnixStream>),
}

/// Why there is none.
type Unreached = Box<dyn std::error::Error + Send + Sync>;

impl Dial {
    /// To the Unix socket at `path`, or over TCP.
    #[must_use]
    pub fn new(unix: Option<&Path>) -> Self {
        if let Some(path) = unix {
            return Self::Unix(path.into());
        }
        let mut tcp = HttpConnector::new();
        // TLS is above it.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self::Tcp(tcp)
    }
}

impl tower_service::Service<Uri> for Dial {
    type Response = Dialled;
    type Error = Unreached;
    type Future = Pin<Box<dyn Future<Output = Result<Dialled, Unreached>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unreached>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Tcp(tcp) => {
                let connecting = tcp.call(uri);
                Box::pin(async move { Ok(Dialled::Tcp(connecting.await?)) })
            }
            Self::Unix(path) => {
                let path = path.clone();
                Box::pin(async move {
                    let named = |e: io::Error| io::Error::new(e.kind(), format!("`{}`: {e}", path.display()));
                    Ok(Dialled::Unix(TokioIo::new(UnixStream::connect(&path).await.map_err(named)?)))
                })
            }
        }
    }
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        match self {
            Self::Tcp(io) => io.connected(),
            Self::Unix(io) => io.connected(),
        }
    }
}

impl Read for Dialled {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Unix(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl Write for Dialled {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write(cx, bytes),
            Self::Unix(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_flush(cx),
            Self::Unix(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Self::Unix(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(io) => io.is_write_vectored(),
            Self::Unix(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write_vectored(cx, bytes),
            Self::Unix(io) => Pin::new(io).poll_write_vectored(cx, bytes),
        }
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_) => f.write_str("Dial::Tcp"),
            Self::Unix(path) => f.debug_tuple("Dial::Unix").field(path).finish(),
        }
    }
}
