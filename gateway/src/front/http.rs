//! The HTTP front: HTTP/1.1 and HTTP/2 connections become calls.

pub mod activity;

use self::activity::{Activity, Tracked};
use super::{grpc, hygiene, path::CanonicalPath, response, soap::fault};
use crate::{
    call::{Arrived, Envelope, Peer, RequestHead, Unread},
    identify::svid::ClientCertificate,
    listener::{Connection, Listening},
    pipeline,
    refusal::Refusal,
    server::Gateway,
    telemetry::lines::CALL,
    trace::Trace,
    watched::Watched,
};
use http::{HeaderMap, Method, Request, Response, Version, header, request::Parts, uri::Authority};
use http_body::Body;
use hyper::{body::Incoming, service::service_fn, upgrade::OnUpgrade};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use jiff::Timestamp;
use mesh::payload::{Io, Promise, Wire};
use policy::question::Provenance;
use std::{
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Largest head of a request, in bytes.
pub const HEAD_BYTES_MAX: u32 = 64 * 1024;
/// Streams of one HTTP/2 connection at once.
pub const STREAMS_MAX: u32 = 100;
/// Streams that a client may reset before they are handled, before the connection is closed.
const RESETS_PENDING_MAX: usize = 50;
/// Bytes queued for one stream that does not read.
const SEND_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// HTTP/2 ping interval, and how long its answer may take.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// What the handshake settled.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// 12 or 13.
    tls: i64,
    /// HTTP/2 by ALPN.
    h2: bool,
    /// What the client showed.
    certificate: Option<Arc<ClientCertificate>>,
}

impl Session {
    /// The version of TLS, and what the client showed.
    pub(crate) fn settled(self) -> (i64, Option<Arc<ClientCertificate>>) {
        (self.tls, self.certificate)
    }

    pub(crate) fn of(tls: &rustls::ServerConnection, certificate: Option<Arc<ClientCertificate>>) -> Self {
        let version = match tls.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => 13,
            _ => 12,
        };
        Self { tls: version, h2: tls.alpn_protocol() == Some(b"h2"), certificate }
    }
}

/// Serves one connection until it ends, idles too long, or the gateway drains.
pub(crate) async fn serve<I>(connection: Connection, io: I, session: Option<Session>)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Connection { gateway, listener, source, mut stop } = connection;
    let activity = Arc::new(Activity::new());
    let io = TokioIo::new(Tracked::new(io, activity.clone()));
    let timeouts = gateway.timeouts(&listener);
    let builder = builder(session.as_ref());
    let service = service_fn(|request: Request<Incoming>| {
        let open = activity.open();
        let session = session.clone();
        let gateway = gateway.clone();
        let listener = listener.clone();
        async move {
            let mut response = handle(&gateway, &listener, source, session, request).await;
            response.body_mut().hold(open);
            Ok::<_, Infallible>(response)
        }
    });
    let mut served = std::pin::pin!(builder.serve_connection_with_upgrades(io, service));
    let mut draining = false;
    loop {
        tokio::select! {
            // Errors are the peer's: broken framing, resets. Calls under way have their own records.
            _ = served.as_mut() => return,
            _ = stop.wait_for(|stop| *stop), if !draining => {
                draining = true;
                served.as_mut().graceful_shutdown();
            }
            () = activity.expired(&timeouts) => return,
        }
    }
}

fn builder(session: Option<&Session>) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Header and idle time-outs are `activity`'s: hyper's would cut idle connections that may stay.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(hygiene::FIELDS_MAX)
        .max_buf_size(HEAD_BYTES_MAX as usize)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    match session {
        None => builder,
        Some(Session { h2: true, .. }) => builder.http2_only(),
        Some(Session { h2: false, .. }) => builder.http1_only(),
    }
}

async fn handle(
    gateway: &Arc<Gateway>,
    listener: &Arc<str>,
    source: Option<IpAddr>,
    session: Option<Session>,
    request: Request<Incoming>,
) -> Response<Watched> {
    let generation = gateway.generation();
    let Some(listener) = gateway.listening(listener) else {
        // Listeners come and go only with the process, so this can't happen to a connection.
        let mut response = Response::new(Wire::Empty);
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        return Watched::unwatched(response);
    };
    let (mut parts, body) = request.into_parts();
    let (source, provenance) = client_address(&listener, source, &parts.headers);
    let (tls, certificate) = session.map_or((0, None), Session::settled);
    let asked = grpc::Asked::of(&parts);
    let (soap, head_only) = (fault::version(&parts), parts.method == Method::HEAD);
    let envelope = Envelope {
        id: uuid::Uuid::now_v7(),
        at: Timestamp::now(),
        started: Instant::now(),
        peer: Peer { source, provenance, tls, certificate },
        trace: Trace::of(&parts.headers, gateway.exporter().and_then(|exporter| exporter.sampling())),
        grpc: asked.grpc,
        deadline: asked.patience.and_then(|patience| tokio::time::Instant::now().checked_add(patience)),
        invoke: asked.invoke(),
        bytes_in: Arc::default(),
        fault: Arc::default(),
        pass: None,
        listener,
    };
    let ids = envelope.trace.ids();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let arrived = match (head(parts, &envelope.listener), asked.wrong) {
        (Ok(_), Some(wrong)) => Err(Refusal::Malformed(wrong.into())),
        (Ok((head, upgrading)), None) => {
            let body = unread(body, upgrade.filter(|_| upgrading));
            Ok(Arrived { envelope: envelope.clone(), head, body, named: None, operation: None, generation })
        }
        (Err(refusal), _) => Err(refusal),
    };
    let answering = async {
        match (arrived, asked.own) {
            (Ok(arrived), Some(own)) if envelope.invoke.is_none() => {
                // Boxed, or its room would be part of every call's future, and be moved with it.
                Box::pin(grpc::own(gateway, own, envelope, arrived)).await
            }
            (arrived, _) => pipeline::call(gateway, envelope, arrived).await,
        }
    };
    let response = CALL.scope(ids, answering).await;
    match soap {
        Some(version) => fault::told(version, response),
        None if head_only => response::bodiless(response),
        None => response,
    }
}

fn unread(body: Incoming, upgrade: Option<OnUpgrade>) -> Unread {
    match upgrade {
        Some(upgrade) => {
            let promise: Promise = Box::pin(async move {
                let io: Box<dyn Io> = Box::new(TokioIo::new(upgrade.await?));
                Ok(io)
            });
            Unread::Duplex(promise)
        }
        None if body.is_end_stream() => Unread::Empty,
        None => Unread::Incoming(body),
    }
}

/// The head as the stages see it, and whether the caller asks for an upgrade.
fn head(parts: Parts, listener: &Listening) -> Result<(RequestHead, bool), Refusal> {
    let Parts { method, uri, version, mut headers, .. } = parts;
    if ![Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]
        .contains(&method)
    {
        return Err(Refusal::MethodUnknown);
    }
    if headers.len() > hygiene::FIELDS_MAX {
        return Err(Refusal::Malformed("there are too many header fields".into()));
    }
    if version == Version::HTTP_10 && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::Malformed("`transfer-encoding` is not HTTP/1.0".into()));
    }
    let host = host(uri.authority(), &headers, version)?;
    if !listener.hosts.is_empty() && !listener.hosts.iter().any(|h| **h == *host) {
        return Err(Refusal::Misdirected);
    }
    let path = CanonicalPath::parse(uri.path()).map_err(|e| Refusal::Malformed(e.to_string().into()))?;
    let upgrading = version == Version::HTTP_11 && upgrade_asked(&headers);
    let protocol = headers.get(header::UPGRADE).cloned();
    hygiene::clean(&mut headers).map_err(|e| Refusal::Malformed(e.to_string().into()))?;
    headers.remove(header::HOST);
    if let (true, Some(protocol)) = (upgrading, protocol) {
        headers.insert(header::UPGRADE, protocol);
    }
    let query = uri.query().map(Arc::from);
    Ok((RequestHead { method, path, query, host: host.into(), version, headers, json: false }, upgrading))
}

/// The one host that the request names; `:authority` and `Host` must agree (RFC 9113 §8.3.1, RFC 9112 §3.2).
fn host(authority: Option<&Authority>, headers: &HeaderMap, version: Version) -> Result<String, Refusal> {
    let malformed = |why: &'static str| Refusal::Malformed(why.into());
    let mut fields = headers.get_all(header::HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(malformed("`host` is given more than once"));
    }
    let field = field
        .map(|v| v.to_str().ok().and_then(|t| t.parse::<Authority>().ok()))
        .map(|parsed| parsed.filter(|a| !a.as_str().contains('@')).ok_or_else(|| malformed("`host` is not a host")));
    let field = field.transpose()?;
    let authority = authority.filter(|a| !a.as_str().is_empty());
    if authority.is_some_and(|a| a.as_str().contains('@')) {
        return Err(malformed("the request target has user information"));
    }
    match (authority, &field) {
        (Some(a), Some(f)) if !a.as_str().eq_ignore_ascii_case(f.as_str()) => {
            Err(malformed("`host` and the request target disagree"))
        }
        (Some(a), _) => Ok(a.host().to_ascii_lowercase()),
        (None, Some(f)) => Ok(f.host().to_ascii_lowercase()),
        (None, None) if version == Version::HTTP_10 => Ok(String::new()),
        (None, None) => Err(malformed("`host` is missing")),
    }
}

fn upgrade_asked(headers: &HeaderMap) -> bool {
    let connection = headers.get_all(header::CONNECTION).iter().filter_map(|v| v.to_str().ok());
    let named = connection.flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case("upgrade"));
    // An upgrade with a body would have two readers of one stream.
    let body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|l| l.as_bytes() != b"0");
    named && headers.contains_key(header::UPGRADE) && !body
}

/// The caller's address: the last one that a trusted proxy did not add itself.
fn client_address(listener: &Listening, peer: Option<IpAddr>, headers: &HeaderMap) -> (Option<IpAddr>, Provenance) {
    // Without an address there is nothing to know a trusted proxy by, so its headers are anybody's.
    let Some(peer) = peer else { return (None, Provenance::Unix) };
    let trusted = |ip: IpAddr| listener.trusted_proxies.iter().any(|n| n.contains(&ip.to_canonical()));
    let mut address = (Some(peer), Provenance::Socket);
    if !trusted(peer) {
        return address;
    }
    let fields: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).collect();
    for hop in fields.iter().rev().flat_map(|f| f.rsplit(',')) {
        // What can't be read ends the chain: everything further left is hearsay.
        let Ok(ip) = hop.trim().parse::<IpAddr>() else { break };
        address = (Some(ip), Provenance::TrustedHeader);
        if !trusted(ip) {
            break;
        }
    }
    address
}
