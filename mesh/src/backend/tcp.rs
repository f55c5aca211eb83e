//! A service that speaks a protocol of its own over TCP, in clear text or TLS; certificates are always verified.

use super::{
    Backend, ConfigError, duration,
    endpoint::{self, shown},
    http::{
        connect::Connector,
        trust::{Trust, Written},
    },
    remote::Remote,
};
use crate::{
    dial::Dial,
    invocation::{InvokeError, Invoking, Outbound},
    payload::{Answer, Io, Payload},
    report::Starts,
};
use http::{Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::time::timeout_at;
use tower_service::Service;
use url::{Host, Url};

/// `tcp = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpConfig {
    /// Host and port: `"tcp://host.internal:5432"`, or over TLS `"tls://host.internal:5432"`.
    pub url: String,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Who the server must be: the SPIFFE ID of its certificate, instead of its name; needs `ca`.
    pub server_id: Option<String>,
    /// PEM file of the certificate that this gateway shows: the chain, leaf first.
    pub client_certificate: Option<PathBuf>,
    /// Its private key by reference: `"file:PATH"` of a PEM file.
    pub client_key: Option<String>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// The backend.
#[derive(Clone, Debug)]
pub struct Tcp(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: TcpConfig,
    trust: Trust,
    connector: Connector,
    place: Uri,
}

impl Remote for TcpConfig {
    fn kind(&self) -> &'static str {
        "tcp"
    }

    fn starts(&self) -> Starts {
        Starts::Unmet
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems: Vec<ConfigError> = self.place().err().into_iter().collect();
        if !self.is_tls() {
            let given = [
                ("ca", self.ca.is_some()),
                ("server_id", self.server_id.is_some()),
                ("client_certificate", self.client_certificate.is_some()),
                ("client_key", self.client_key.is_some()),
            ];
            let unused = given.into_iter().filter(|(_, given)| *given);
            problems.extend(unused.map(|(field, _)| endpoint::bad(field, "it is for `tls://`".to_owned())));
        }
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }

    fn is_exposed(&self) -> bool {
        let loopback = |url: Url| match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
            None => false,
        };
        !self.is_tls() && !self.parsed().is_ok_and(loopback)
    }

    fn files(&self) -> Vec<&Path> {
        let key = self.client_key.as_deref().and_then(|key| key.strip_prefix("file:")).map(Path::new);
        self.client_certificate.as_deref().into_iter().chain(key).collect()
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        Tcp::new(self, base).map(Backend::Tcp)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::Tcp(Tcp(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl TcpConfig {
    fn is_tls(&self) -> bool {
        self.url.starts_with("tls:")
    }

    /// The address, with a scheme whose hosts are checked.
    fn parsed(&self) -> Result<Url, ConfigError> {
        let bad = |message: String| endpoint::bad("url", message);
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("", ""));
        let known = match scheme {
            "tcp" => "http",
            "tls" => "https",
            _ => return Err(bad(format!("`{}` is neither `tcp://` nor `tls://`", shown(&self.url)))),
        };
        Url::parse(&format!("{known}://{rest}")).map_err(|_| bad(format!("`{}` is no address", shown(&self.url))))
    }

    fn place(&self) -> Result<Uri, ConfigError> {
        let url = self.parsed()?;
        let port = self.url.rsplit_once(':').and_then(|(_, port)| port.trim_end_matches('/').parse::<u16>().ok());
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let (Some(port), Some(host), true) =
            (port.filter(|port| *port > 0), url.host_str(), bare && url.path() == "/" && url.query().is_none())
        else {
            let message = "an address is host and port, such as `tcp://host.internal:5432`".to_owned();
            return Err(endpoint::bad("url", message));
        };
        let place = format!("{}://{host}:{port}/", url.scheme());
        place.parse().map_err(|_| endpoint::bad("url", format!("`{}` is no address", shown(&self.url))))
    }

    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        let written = Written {
            ca: self.ca.as_deref(),
            server_id: self.server_id.as_deref(),
            client_certificate: self.client_certificate.as_deref(),
            client_key: self.client_key.as_deref(),
        };
        Trust::read(written, self.is_tls(), base)
    }
}

impl Tcp {
    /// Reads authorities, certificate and key; connects to nothing.
    pub(super) fn new(config: &TcpConfig, base: &Path) -> Result<Self, ConfigError> {
        let (place, trust) = (config.place()?, config.trust(base)?);
        let timeout = duration("connect_timeout", &config.connect_timeout)?;
        let tls = config.is_tls();
        let connector = Connector::new(trust.client(tls)?, tls, Dial::new(None), false, timeout);
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, connector, place })))
    }

    /// Connects; what is said then passes unread.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Payload::Duplex(near) = outbound.payload else {
                return Err(InvokeError::Unsupported("anything but a connection"));
            };
            let Inner { connector, place, .. } = &*self.0;
            let connecting = connector.clone().call(place.clone());
            let connected = timeout_at(outbound.context.deadline, connecting).await;
            let far = connected.map_err(|_| InvokeError::NotConnected)?.map_err(InvokeError::Unreachable)?;
            let far: Box<dyn Io> = Box::new(TokioIo::new(far));
            let mut reply = Response::new(Answer::Duplex { near, far: Box::pin(async move { Ok(far) }) });
            *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            Ok(reply)
        })
    }
}

#[cfg(test)]
mod tests;
