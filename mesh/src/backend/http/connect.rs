//! Connections to a backend: TLS that is always verified, and one time limit over name, TCP and TLS.

use crate::{backend::ConfigError, payload::BodyError};
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connection, HttpConnector},
    rt::TokioIo,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{
    fs::File,
    future::Future,
    io::{self, Read},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::net::TcpStream;

/// Longest `ca` file, in bytes. A distribution's whole set has about 200 KiB.
const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What hyper asks for connections.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Connector {
    inner: HttpsConnector<HttpConnector>,
    timeout: Duration,
    /// TLS without `h2` agreed is refused, because only HTTP/2 will be spoken.
    http2: bool,
}

/// A connection, clear or TLS.
pub(in crate::backend) type Connected = MaybeHttpsStream<TokioIo<TcpStream>>;

impl Connector {
    /// A connector for one backend. `ca` replaces the system's authorities.
    pub(in crate::backend) fn new(
        tls: bool,
        ca: Option<&Authorities>,
        http2: bool,
        timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let roots = match ca {
            Some(authorities) => authorities.roots()?,
            None if tls => system_roots()?,
            None => RootCertStore::empty(),
        };
        // The provider prefers X25519MLKEM768, so a recorded session stays closed to a later quantum computer.
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(|e| ConfigError { field: "url", message: format!("TLS can't be set up: {e}") })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        let builder = if tls { builder.https_only() } else { builder.https_or_http() };
        let inner =
            if http2 { builder.enable_http2().wrap_connector(tcp) } else { builder.enable_http1().wrap_connector(tcp) };
        Ok(Self { inner, timeout, http2 })
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

/// A PEM file of certificate authorities, as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::backend) struct Authorities {
    path: PathBuf,
    pem: Vec<u8>,
}

impl Authorities {
    /// Reads the file.
    pub(in crate::backend) fn read(path: PathBuf) -> Result<Self, ConfigError> {
        let bad = |words: String| ConfigError { field: "ca", message: format!("`{}` {words}", path.display()) };
        let mut pem = Vec::new();
        let opened = File::open(&path).and_then(|file| file.take(PEM_BYTES_MAX + 1).read_to_end(&mut pem));
        opened.map_err(|error| bad(format!("can't be read: {error}")))?;
        if pem.len() as u64 > PEM_BYTES_MAX {
            return Err(bad(format!("has more than {PEM_BYTES_MAX} bytes")));
        }
        Ok(Self { path, pem })
    }

    fn roots(&self) -> Result<RootCertStore, ConfigError> {
        let bad = |words: String| ConfigError { field: "ca", message: format!("`{}` {words}", self.path.display()) };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.pem) {
            let certificate = certificate.map_err(|error| bad(format!("is not PEM: {error}")))?;
            roots.add(certificate).map_err(|error| bad(format!("has a certificate that is no authority: {error}")))?;
        }
        if roots.is_empty() { Err(bad("has no certificate".to_owned())) } else { Ok(roots) }
    }
}

fn system_roots() -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let message = "this system has no certificate authorities: name a PEM file of them".to_owned();
        return Err(ConfigError { field: "ca", message });
    }
    Ok(roots)
}
