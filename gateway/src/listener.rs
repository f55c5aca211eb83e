//! Accepts connections: limits their number and their handshakes, drains them when told to stop.

use crate::{
    address::Address,
    audit::record::{Known, Refused, Stage},
    config, front,
    identify::svid::ClientCertificate,
    server::Gateway,
    socket::{Accepting, Socket, Stream},
    telemetry::ListenerLabels,
    tls,
};
use rustls::ServerConfig;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

/// How long accepting pauses when the system has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// nginx's number for a client certificate that is refused; nothing was sent but an alert.
const STATUS_CERTIFICATE: u16 = 495;
/// nginx's number for a client certificate that is missing.
const STATUS_NO_CERTIFICATE: u16 = 496;

/// What a call knows of the listener that it came through.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Name.
    pub name: Arc<str>,
    /// Hosts that it answers for; empty means any.
    pub hosts: Vec<Arc<str>>,
    /// Which credentials count here.
    pub identify: Vec<config::Credential>,
    /// Time-outs.
    pub timeouts: config::Timeouts,
    /// Proxies whose forwarding header is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Its connections are calls.
    pub tcp: Option<Arc<config::Tcp>>,
}

/// A listener that is bound and not yet serving.
#[derive(Debug)]
pub struct Bound {
    socket: Accepting,
    address: Address,
    name: Arc<str>,
    tls: Option<Arc<tls::Server>>,
    connections_max: usize,
}

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) listener: Arc<str>,
    /// The peer's address; a peer over a Unix socket has none.
    pub(crate) source: Option<IpAddr>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Listening {
    /// What a call needs of a listener's configuration.
    #[must_use]
    pub fn of(listener: &config::Listener) -> Self {
        Self {
            name: listener.name.clone(),
            hosts: listener.hosts.clone(),
            identify: listener.identify.clone(),
            timeouts: listener.timeouts,
            trusted_proxies: listener.trusted_proxies.clone(),
            tcp: listener.tcp.clone(),
        }
    }
}

impl Bound {
    /// Takes a socket that listens.
    ///
    /// # Errors
    /// When the socket or the certificate can't be used.
    pub fn new(socket: Socket, listener: &config::Listener) -> Result<Self, BindError> {
        let name = listener.name.clone();
        let socket_error = |source| BindError::Socket { name: name.clone(), address: listener.address.clone(), source };
        let address = socket.address().map_err(socket_error)?;
        let socket = socket.accepting().map_err(socket_error)?;
        let tls = listener.tls.as_ref().map(tls::Server::load).transpose()?.map(Arc::new);
        Ok(Self { socket, address, name: listener.name.clone(), tls, connections_max: listener.connections_max })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The listener's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What its handshakes use, if it speaks TLS.
    #[must_use]
    pub fn tls(&self) -> Option<&Arc<tls::Server>> {
        self.tls.as_ref()
    }

    /// Serves until `stop` says so, then waits for open calls, at most `grace`.
    pub(crate) async fn serve(self, gateway: Arc<Gateway>, mut stop: watch::Receiver<bool>, grace: Duration) {
        let places = Arc::new(Semaphore::new(self.connections_max));
        let mut connections = JoinSet::new();
        loop {
            let place = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next() => continue,
                place = places.clone().acquire_owned() => place,
            };
            let Ok(place) = place else { break };
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok(stream) => {
                    let (gateway, listener, tls) = (gateway.clone(), self.name.clone(), self.tls.clone());
                    let connection = |source| Connection { gateway, listener, source, stop: stop.clone() };
                    match stream {
                        Stream::Tcp(stream, peer) => {
                            connections.spawn(connected(connection(Some(peer.ip())), stream, tls, place))
                        }
                        Stream::Unix(stream) => connections.spawn(connected(connection(None), stream, tls, place)),
                    };
                }
                Err(error) => {
                    tracing::warn!(listener = %self.name, %error, "a connection can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        let drained = tokio::time::timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!(listener = %self.name, open = connections.len(), "connections are cut at the end of the drain");
        }
    }
}

/// Why a listener can't be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken, or not ours.
    #[error("listener `{name}` can't listen on {address}: {source}")]
    Socket {
        /// The listener.
        name: Arc<str>,
        /// The address.
        address: Address,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificate can't serve.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
}

async fn connected<I>(connection: Connection, socket: I, tls: Option<Arc<tls::Server>>, place: OwnedSemaphorePermit)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let labels = ListenerLabels { listener: connection.listener.clone() };
    let metrics = connection.gateway.metrics.clone();
    metrics.connections.get_or_create(&labels).inc();
    match tls {
        None => front::http::serve(connection, socket, None).await,
        Some(tls) => {
            let in_force = tls.in_force();
            let tcp = connection.gateway.listening(&connection.listener).and_then(|listening| listening.tcp.clone());
            let config = match &tcp {
                None => in_force.config.clone(),
                Some(_) => opaque(&in_force.config),
            };
            let acceptor = TlsAcceptor::from(config);
            let handshake = connection.gateway.timeouts(&connection.listener).handshake;
            match tokio::time::timeout(handshake, acceptor.accept(socket)).await {
                Ok(Ok(stream)) => {
                    let certificate = ClientCertificate::of(stream.get_ref().1, &tls, in_force.clients.as_ref());
                    let session = front::http::Session::of(stream.get_ref().1, certificate);
                    match tcp {
                        None => front::http::serve(connection, stream, Some(session)).await,
                        Some(tcp) => {
                            let name = stream.get_ref().1.server_name().map(str::to_owned);
                            front::tcp::serve(connection, stream, session, &tcp, name).await;
                        }
                    }
                }
                Ok(Err(error)) => {
                    metrics.handshakes_failed.get_or_create(&labels).inc();
                    if let Some(refused) = refused(&error) {
                        record(&connection, &refused).await;
                    }
                }
                Err(_) => {
                    metrics.handshakes_failed.get_or_create(&labels).inc();
                }
            }
        }
    }
    metrics.connections.get_or_create(&labels).dec();
    drop(place);
}

/// For protocols that we don't know: none is agreed on.
fn opaque(config: &Arc<ServerConfig>) -> Arc<ServerConfig> {
    let mut config = ServerConfig::clone(config);
    config.alpn_protocols.clear();
    Arc::new(config)
}

/// What the record says of a handshake that ended because of the client's certificate. Other failed handshakes are of
/// nobody in particular and only counted.
fn refused(error: &std::io::Error) -> Option<Refused> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        error @ rustls::Error::InvalidCertificate(_) => {
            Some(Refused::worded("certificate_refused", STATUS_CERTIFICATE, Stage::Tls).error(error.to_string()))
        }
        rustls::Error::NoCertificatesPresented => {
            Some(Refused::worded("certificate_missing", STATUS_NO_CERTIFICATE, Stage::Tls))
        }
        _ => None,
    }
}

/// Nothing is told to the client but a TLS alert, which it has, so a record that is not accepted is counted later.
async fn record(connection: &Connection, refused: &Refused) {
    let known = Known { listener: Some(connection.listener.clone()), source: connection.source, ..Known::default() };
    let _ = connection.gateway.log.refused_early(Uuid::now_v7(), &known, refused).await;
}
