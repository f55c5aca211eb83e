//! Connections to a backend: TLS that is always verified, and one time limit over name, connection and TLS.

use crate::{
    dial::{Dial, Dialled},
    payload::BodyError,
};
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection;
use rustls::ClientConfig;
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// What hyper asks for connections.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Connector {
    inner: HttpsConnector<Dial>,
    timeout: Duration,
    /// TLS without `h2` agreed is refused, because only HTTP/2 will be spoken.
    http2: bool,
}

/// A connection, clear or TLS.
pub(in crate::backend) type Connected = MaybeHttpsStream<Dialled>;

impl Connector {
    /// A connector for one backend; in clear text `config` is not used.
    pub(in crate::backend) fn new(config: ClientConfig, tls: bool, dial: Dial, http2: bool, timeout: Duration) -> Self {
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        let builder = if tls { builder.https_only() } else { builder.https_or_http() };
        let inner = match http2 {
            true => builder.enable_http2().wrap_connector(dial),
            false => builder.enable_http1().wrap_connector(dial),
        };
        Self { inner, timeout, http2 }
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Connected;
    type Error = BodyError;
    type Future = Pin<Box<dyn Future<Output = Result<Connected, BodyError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, timeout, http2) = (self.inner.call(uri), self.timeout, self.http2);
        Box::pin(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("not connected within {timeout:?}"));
            let connection = tokio::time::timeout(timeout, connecting).await.map_err(late)??;
            if http2 && matches!(connection, MaybeHttpsStream::Https(_)) && !connection.connected().is_negotiated_h2() {
                return Err(io::Error::other("the server did not agree to HTTP/2").into());
            }
            Ok(connection)
        })
    }
}
