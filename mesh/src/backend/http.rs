//! A function behind HTTP/1.1 or HTTP/2, in clear text or TLS; certificates are always verified.

pub(in crate::backend) mod connect;
mod credentials;
mod outgoing;
mod svid;
pub(in crate::backend) mod template;
pub(crate) mod trust;

use crate::{
    backend::{ConfigError, duration, exchange},
    dial::Dial,
    hop,
    invocation::{Head, InvokeError, Invoking, Outbound},
    payload::{Answer, Io, Payload, Promise, Reply, Wire},
};
use connect::Connector;
use credentials::Credentials;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Uri,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE},
};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::{
    client::legacy::{Client, Error},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use outgoing::{Breakage, Outgoing};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use template::Template;
use trust::{Trust, Written};

/// Most fields in an answer's header.
const ANSWER_FIELDS_MAX: usize = 100;

/// Longest header of an answer, in bytes.
const ANSWER_HEADER_BYTES_MAX: usize = 64 * 1024;

/// An idle connection is closed after this time: before the usual 60 s at which servers close theirs.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Most idle connections that are kept to one backend.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// HTTP/2 pings this often while calls are under way, so that a dead peer is noticed.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// `http = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Where: `http://` or `https://`, host, optional port and path; `{name}` stands for a path parameter.
    /// Without a path (or with `/` alone) the caller's path is kept.
    pub url: String,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Who the server must be: the SPIFFE ID of its certificate, such as `"spiffe://prod.example/shop"`, instead of the
    /// name in `url`; needs `ca`.
    pub server_id: Option<String>,
    /// PEM file of the certificate that this gateway shows: the chain, leaf first.
    pub client_certificate: Option<PathBuf>,
    /// Its private key by reference: `"file:PATH"` of a PEM file.
    pub client_key: Option<String>,
    /// The user that the gateway is to the service (HTTP Basic); needs `password`.
    pub user: Option<String>,
    /// The user's password by reference: `"env:NAME"` or `"file:PATH"`, read again when it changes.
    pub password: Option<String>,
    /// A bearer token by reference, instead of a user.
    pub bearer: Option<String>,
    /// Headers whose values are secrets, by reference: `{ "x-api-key" = "file:key" }`. A caller's own never wins.
    #[serde(default)]
    pub secret_headers: BTreeMap<String, String>,
    /// Unix socket that is connected to, whatever host `url` names.
    pub unix: Option<PathBuf>,
    /// Speak HTTP/2 (over clear text: with prior knowledge).
    #[serde(default)]
    pub http2: bool,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

impl HttpConfig {
    /// What carries a kind that has no more of it than these.
    pub(crate) fn plain(url: &str, ca: Option<&Path>, connect_timeout: &str) -> Self {
        Self {
            url: url.to_owned(),
            ca: ca.map(Path::to_owned),
            server_id: None,
            client_certificate: None,
            client_key: None,
            user: None,
            password: None,
            bearer: None,
            secret_headers: BTreeMap::new(),
            unix: None,
            http2: false,
            connect_timeout: connect_timeout.to_owned(),
        }
    }

    fn secured(&self) -> Written<'_> {
        Written {
            ca: self.ca.as_deref(),
            server_id: self.server_id.as_deref(),
            client_certificate: self.client_certificate.as_deref(),
            client_key: self.client_key.as_deref(),
        }
    }
}

/// The backend. Its connections are pooled; a clone shares them.
#[derive(Clone, Debug)]
pub struct Http(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: HttpConfig,
    trust: Trust,
    template: Template,
    /// What the server is told that it is asked as, instead of the host in the URL.
    host: Option<HeaderValue>,
    credentials: Credentials,
    client: Client<Connector, Outgoing>,
}

impl Http {
    /// Checks the configuration and reads authorities, certificate and key; connects to nothing.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field.
    pub fn new(config: &HttpConfig, base: &Path) -> Result<Self, ConfigError> {
        Self::named(config, None, base)
    }

    /// As [`Http::new`], for a service that its server knows by another `host` than the URL's.
    pub(in crate::backend) fn named(
        config: &HttpConfig,
        host: Option<HeaderValue>,
        base: &Path,
    ) -> Result<Self, ConfigError> {
        let template = Template::parse(&config.url)?;
        let timeout = duration("connect_timeout", &config.connect_timeout)?;
        let tls = template.is_tls();
        let trust = Trust::read(config.secured(), tls, base)?;
        let credentials = Credentials::new(config, base)?;
        let unix = config.unix.as_ref().map(|path| base.join(path));
        let connector = Connector::new(trust.client(tls)?, tls, Dial::new(unix.as_deref()), config.http2, timeout);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            // A kept connection may have been closed meanwhile. Only a request that comes back without a byte of it
            // written is sent on another one, so nothing is ever sent twice.
            .retry_canceled_requests(true)
            .http1_max_headers(ANSWER_FIELDS_MAX)
            .http1_max_buf_size(ANSWER_HEADER_BYTES_MAX)
            .http2_only(config.http2)
            .http2_max_header_list_size(ANSWER_HEADER_BYTES_MAX as u32)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .build(connector);
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, template, host, credentials, client })))
    }

    /// Whether [`Http::new`] would make the same backend again, so that a reload can keep the open connections.
    #[must_use]
    pub fn same_config(&self, config: &HttpConfig, base: &Path) -> bool {
        let trust = || Trust::read(config.secured(), self.0.template.is_tls(), base);
        self.0.config == *config && trust().is_ok_and(|trust| self.0.trust == trust)
    }

    /// Whether both share their connections.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Where a request with this head goes.
    pub(in crate::backend) fn uri(&self, head: &Head) -> Result<Uri, InvokeError> {
        self.0.template.render(head)
    }

    /// The path parameters that the URL uses; the route must have them all.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.template.parameters()
    }

    /// Runs the function.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let deadline = outbound.context.deadline;
            let (request, near, breakage) = self.request(outbound)?;
            let asked = tokio::time::timeout_at(deadline, self.0.client.request(request)).await;
            match asked.map_err(|_| InvokeError::TimedOut)? {
                // The caller can't help it that the service does not know the gateway.
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && !self.0.credentials.is_empty() => {
                    Err(InvokeError::Refused("401 to the gateway's own credential".to_owned()))
                }
                Ok(response) => reply(response, near),
                Err(error) => Err(classify(error, &breakage)),
            }
        })
    }

    fn request(&self, outbound: Outbound) -> Result<(http::Request<Outgoing>, Option<Promise>, Breakage), InvokeError> {
        let Outbound { mut head, payload, context } = outbound;
        if head.method == Method::CONNECT {
            // The client would speak of a tunnel, to a place that the template does not know.
            return Err(InvokeError::Unsupported("CONNECT"));
        }
        let uri = self.0.template.render(&head)?;
        let upgrade = head.headers.get(UPGRADE).cloned();
        outgoing::prepare(&mut head.headers, &head.host, &context, self.0.config.http2);
        self.0.credentials.prove(&mut head.headers)?;
        head.headers.extend(self.0.host.clone().map(|host| (HOST, host)));
        let (wire, near) = match payload {
            Payload::Empty => (Wire::Empty, None),
            Payload::Buffered(bytes) => (Wire::Full(bytes), None),
            Payload::Stream(body) => (Wire::Stream(body), None),
            Payload::Duplex(_) if self.0.config.http2 => {
                return Err(InvokeError::Unsupported("an upgrade over HTTP/2"));
            }
            Payload::Duplex(near) => {
                let protocol = upgrade.ok_or(InvokeError::Unsupported("an upgrade to no protocol"))?;
                head.headers.insert(UPGRADE, protocol);
                head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                (Wire::Empty, Some(near))
            }
        };
        if wire.size_hint().exact() == Some(0) && [Method::POST, Method::PUT, Method::PATCH].contains(&head.method) {
            // hyper says nothing of an absent body, and some servers then ask for its length (411).
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let breakage = Breakage::default();
        // Built anew, so that no extension of the caller's request (hyper keeps state there) comes along.
        let mut request = http::Request::new(Outgoing::new(wire, breakage.clone()));
        *request.method_mut() = head.method;
        *request.uri_mut() = uri;
        *request.version_mut() = if self.0.config.http2 { http::Version::HTTP_2 } else { http::Version::HTTP_11 };
        *request.headers_mut() = head.headers;
        Ok((request, near, breakage))
    }
}

fn reply(response: Response<Incoming>, near: Option<Promise>) -> Result<Reply, InvokeError> {
    let (mut head, body) = response.into_parts();
    let far = head.extensions.remove::<OnUpgrade>();
    // What is left holds hyper's own state, such as the reason phrase: it is not for the caller's connection.
    head.extensions.clear();
    check_framing(&head.headers)?;
    let upgrade = head.headers.get(UPGRADE).cloned();
    hop::strip(&mut head.headers);
    let answer = match (head.status, near, far) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(near), Some(far)) => {
            let protocol = upgrade.ok_or_else(|| InvokeError::BadAnswer("101 without `upgrade`".to_owned()))?;
            head.headers.insert(UPGRADE, protocol);
            head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            Answer::Duplex { near, far: promise(far) }
        }
        (status, _, _) if status.is_informational() => {
            return Err(InvokeError::BadAnswer(format!("status {} that was not asked for", status.as_u16())));
        }
        _ if body.is_end_stream() => Answer::Empty,
        _ => Answer::Stream(body.map_err(Into::into).boxed_unsync()),
    };
    Ok(Response::from_parts(head, answer))
}

/// Two readers could take such an answer differently, so it is no answer.
fn check_framing(headers: &HeaderMap) -> Result<(), InvokeError> {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    if lengths > 1 || (lengths > 0 && headers.contains_key(TRANSFER_ENCODING)) {
        return Err(InvokeError::BadAnswer("more than one `content-length` or `transfer-encoding`".to_owned()));
    }
    Ok(())
}

fn promise(upgrade: OnUpgrade) -> Promise {
    Box::pin(async move { Ok(Box::new(TokioIo::new(upgrade.await?)) as Box<dyn Io>) })
}

fn classify(error: Error, breakage: &Breakage) -> InvokeError {
    if let Some(cause) = breakage.take() {
        return InvokeError::RequestBroken(cause);
    }
    exchange::classify(error)
}

#[cfg(test)]
mod tests;
