//! A small HTTP client that does as it is told: one version, one authority, no retry, no redirect.

use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use serde_json::Value;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// What can be sent over.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A server, and how to speak to it.
#[derive(Clone, Debug)]
pub struct Client {
    address: String,
    host: String,
    tls: Option<Arc<ClientConfig>>,
    version: Version,
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers besides host and length.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Version that was spoken.
    pub version: Version,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// Why there is no whole answer.
pub type Lost = Box<dyn std::error::Error + Send + Sync>;

/// One open connection.
#[derive(Debug)]
pub struct Session {
    sender: Sender,
    authority: String,
    secure: bool,
    driver: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    One(conn::http1::SendRequest<Full<Bytes>>),
    Two(conn::http2::SendRequest<Full<Bytes>>),
}

impl Client {
    /// A client of `url`, which trusts only `ca` (a PEM file) when it is `https`; speaks HTTP/1.1.
    pub fn new(url: &str, ca: Option<&Path>) -> Self {
        let url: http::Uri = url.parse().unwrap_or_else(|e| panic!("`{url}`: {e}"));
        let host = url.host().expect("a URL with a host").to_owned();
        let secure = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = secure.then(|| Arc::new(trusting(ca.expect("`https` needs a CA"))));
        Self { address: format!("{host}:{port}"), host, tls, version: Version::HTTP_11 }
    }

    /// The same client, speaking HTTP/2 (by ALPN, or with prior knowledge in clear text).
    #[must_use]
    pub fn http2(&self) -> Self {
        Self { version: Version::HTTP_2, ..self.clone() }
    }

    /// The same client, showing a certificate (leaf first) whatever authorities the server asks for.
    #[must_use]
    pub fn with_certificate(&self, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        let mut config = ClientConfig::clone(self.tls.as_ref().expect("a client of `https`"));
        let key = rustls::crypto::aws_lc_rs::default_provider().key_provider.load_private_key(key).expect("a key");
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
        config.resumption = Resumption::in_memory_sessions(8);
        Self { tls: Some(Arc::new(config)), ..self.clone() }
    }

    /// The same client, for a protocol that TLS knows nothing of.
    #[must_use]
    pub fn opaque(&self) -> Self {
        Self { version: Version::HTTP_09, ..self.clone() }
    }

    /// A connected stream, TLS done, without any HTTP yet.
    pub async fn stream(&self) -> Result<Box<dyn Io>, Lost> {
        let socket = TcpStream::connect(&self.address).await?;
        socket.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        let protocol: Option<&[u8]> = match self.version {
            Version::HTTP_09 => None,
            Version::HTTP_2 => Some(b"h2"),
            _ => Some(b"http/1.1"),
        };
        let mut config = ClientConfig::clone(tls);
        config.alpn_protocols = protocol.iter().map(|protocol| protocol.to_vec()).collect();
        let host = self.host.trim_matches(['[', ']']).to_owned();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect(ServerName::try_from(host)?, socket).await?;
        if stream.get_ref().1.alpn_protocol() != protocol {
            return Err("the server did not agree to the protocol".into());
        }
        Ok(Box::new(stream))
    }

    /// Opens a connection.
    pub async fn open(&self) -> Result<Session, Lost> {
        let io = TokioIo::new(self.stream().await?);
        let (sender, driver) = if self.version == Version::HTTP_2 {
            let (sender, connection) = conn::http2::handshake(TokioExecutor::new(), io).await?;
            (Sender::Two(sender), tokio::spawn(async { drop(connection.await) }))
        } else {
            let (sender, connection) = conn::http1::handshake(io).await?;
            (Sender::One(sender), tokio::spawn(async { drop(connection.await) }))
        };
        Ok(Session { sender, authority: self.address.clone(), secure: self.tls.is_some(), driver })
    }

    /// Sends one request on a connection of its own.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn try_send(&self, request: Request) -> Result<Answer, Lost> {
        self.open().await?.send(request).await
    }

    /// Sends one request on a connection of its own.
    ///
    /// # Panics
    /// When there is no whole answer.
    pub async fn send(&self, request: Request) -> Answer {
        let shown = format!("{} {}{}", request.method, self.address, request.path);
        self.try_send(request).await.unwrap_or_else(|e| panic!("`{shown}`: {e:?}"))
    }
}

impl Session {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn send(&mut self, request: Request) -> Result<Answer, Lost> {
        tokio::time::timeout(ANSWER, self.exchange(request)).await?
    }

    async fn exchange(&mut self, request: Request) -> Result<Answer, Lost> {
        let scheme = if self.secure { "https" } else { "http" };
        let absolute = format!("{scheme}://{}{}", self.authority, request.path);
        let two = matches!(self.sender, Sender::Two(_));
        let mut sent = http::Request::builder().method(request.method);
        sent = sent.uri(if two { absolute } else { request.path });
        let mut sent = sent.body(Full::new(request.body))?;
        *sent.headers_mut() = request.headers;
        if !two && !sent.headers().contains_key("host") {
            sent.headers_mut().insert("host", self.authority.parse()?);
        }
        let answered = match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender.send_request(sent).await?
            }
            Sender::Two(sender) => {
                sender.ready().await?;
                sender.send_request(sent).await?
            }
        };
        let (head, body) = answered.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), version: head.version, headers: head.headers, body })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Request {
    /// A request without headers.
    pub fn new(method: Method, path: &str, body: impl Into<Bytes>) -> Self {
        Self { method, path: path.to_owned(), headers: HeaderMap::new(), body: body.into() }
    }

    /// `GET`.
    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path, Bytes::new())
    }

    /// `POST`.
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, path, body)
    }

    /// `PUT`.
    pub fn put(path: &str, body: impl Into<Bytes>) -> Self {
        Self::new(Method::PUT, path, body)
    }

    /// `POST` of JSON.
    pub fn json(path: &str, body: &Value) -> Self {
        Self::post(path, body.to_string()).header("content-type", "application/json")
    }

    /// The same request with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: http::HeaderName = name.parse().unwrap_or_else(|e| panic!("`{name}`: {e}"));
        self.headers.append(name, value.parse().unwrap_or_else(|e| panic!("`{value}`: {e}")));
        self
    }

    /// The same request with a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// With the body, when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: `{}`", self.text()))
    }

    /// A header as text; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The id of the call.
    ///
    /// # Panics
    /// When the gateway gave none.
    pub fn call_id(&self) -> String {
        let id = self.header("latchwork-call-id");
        assert!(!id.is_empty(), "no `latchwork-call-id` in {:?}", self.headers);
        id.to_owned()
    }
}

/// TLS that trusts only the authorities in a PEM file.
fn trusting(ca: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).unwrap_or_else(|e| panic!("`{}`: {e}", ca.display())) {
        roots.add(certificate.expect("PEM")).expect("a certificate of an authority");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    versions.expect("TLS 1.2 and 1.3 are built in").with_root_certificates(roots).with_no_client_auth()
}
