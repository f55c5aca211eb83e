//! A service of Knative, as it is or with events, or a broker that takes events and lets others work on them.

use super::{
    Backend, ConfigError,
    cloudevents::{Receiver, Written},
    endpoint,
    http::trust::Trust,
    platform,
    remote::Remote,
};
pub use crate::event::cloud_events::{CloudEventConfig, Mode};
use crate::{
    invocation::{InvokeError, Invoking, Outbound},
    payload::Reply,
    report::Starts,
};
use http::{HeaderValue, uri::Authority};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Headers by which the platform routes, probes and passes on: a caller's own would choose another revision, or be
/// answered by what stands in front of the function.
const OWN: [&str; 2] = ["k-", "knative-"];

/// Longest name of a service's host, in bytes.
const HOST_BYTES_MAX: usize = 255;

/// `knative = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnativeConfig {
    /// Where: the service's own URL or that of the ingress before it, such as `"https://ingress.internal/orders/{id}"`;
    /// `{name}` stands for a path parameter. Without a path the caller's path is kept. For a broker its whole address.
    pub url: String,
    /// The service that the ingress routes to, by its host, such as `"orders.shop.example.com"`. The certificate is that of
    /// `url` all the same.
    pub host: Option<String>,
    /// What is called.
    #[serde(default)]
    pub call: KnativeCall,
    /// What the call's event says; a service without it gets the request as it is.
    pub event: Option<CloudEventConfig>,
    /// A bearer token by reference (`"env:NAME"` or `"file:PATH"`); its file is read again when it changes.
    pub token: Option<String>,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// What is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KnativeCall {
    /// A service: its answer is the answer, also when it has to be started first.
    #[default]
    Service,
    /// A broker: it takes the event, and the answer is 202.
    Broker,
}

/// The backend. Its connections and token are shared by clones.
#[derive(Clone, Debug)]
pub struct Knative(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: KnativeConfig,
    trust: Trust,
    receiver: Receiver,
}

impl Remote for KnativeConfig {
    fn kind(&self) -> &'static str {
        "knative"
    }

    fn starts(&self) -> Starts {
        match self.call {
            KnativeCall::Service => Starts::Untold,
            KnativeCall::Broker => Starts::Unmet,
        }
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = self.written().problems();
        problems.extend(self.host().err());
        problems.extend(self.event.iter().flat_map(CloudEventConfig::problems));
        if self.call == KnativeCall::Broker {
            if self.event.is_none() {
                problems.push(endpoint::bad("event", "a broker takes events: `event = { … }`".to_owned()));
            }
            let path = self.url.split("://").nth(1).and_then(|rest| rest.split_once('/'));
            let named = path.is_some_and(|(_, path)| path.split('/').filter(|part| !part.is_empty()).count() == 2);
            if !named || self.url.contains(['{', '?']) {
                let message = "a broker's address ends in its namespace and name, and has no parameters".to_owned();
                problems.push(endpoint::bad("url", message));
            }
        }
        problems
    }

    fn parameters(&self) -> Vec<String> {
        self.written().parameters()
    }

    fn is_exposed(&self) -> bool {
        endpoint::is_exposed(&self.url)
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        Knative::new(self, base).map(Backend::Knative)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::Knative(Knative(made)) = backend else { return false };
        made.config == *self && self.written().trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl KnativeConfig {
    fn written(&self) -> Written<'_> {
        Written {
            url: &self.url,
            token: self.token.as_deref(),
            ca: self.ca.as_deref(),
            connect_timeout: &self.connect_timeout,
        }
    }

    fn host(&self) -> Result<Option<HeaderValue>, ConfigError> {
        let Some(host) = &self.host else { return Ok(None) };
        let named = host.len() <= HOST_BYTES_MAX && !host.contains('@');
        let authority = host.parse::<Authority>().ok().filter(|_| named);
        let value = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        let message = || format!("`{}` is no host such as `orders.shop.example.com`", endpoint::shown(host));
        value.map(Some).ok_or_else(|| endpoint::bad("host", message()))
    }
}

impl Knative {
    /// Reads token and authorities; connects to nothing.
    pub(super) fn new(config: &KnativeConfig, base: &Path) -> Result<Self, ConfigError> {
        let trust = config.written().trust(base)?;
        let receiver = Receiver::new(config.written(), config.host()?, base)?;
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, receiver })))
    }

    /// The path parameters that the URL uses.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.receiver.http.parameters()
    }

    /// Whether the service is given requests.
    pub(super) fn takes_requests(&self) -> bool {
        self.0.config.event.is_none()
    }

    /// Calls the service, or gives the broker an event.
    pub(crate) fn invoke(&self, mut outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { config, receiver, .. } = &*self.0;
            platform::reserve(&mut outbound.head.headers, &OWN);
            match (config.call, &config.event) {
                (KnativeCall::Broker, Some(event)) => {
                    // It takes a query for a part of its own name.
                    outbound.head.query = None;
                    receiver.raise(event, outbound, taken).await
                }
                (_, Some(event)) => receiver.raise(event, outbound, told).await,
                (_, None) => {
                    receiver.prove(&mut outbound.head.headers)?;
                    receiver.http.invoke(outbound).await.and_then(told)
                }
            }
        })
    }
}

/// What a broker's answer means: it has the event, or it has not.
fn taken(reply: Reply) -> Result<Reply, InvokeError> {
    let status = reply.status();
    match status.is_success() {
        true => Ok(platform::accepted()),
        false => Err(platform::refused(status, reply.headers(), status.as_u16().to_string(), None)),
    }
}

/// What a service's answer means; one of what starts and measures it is none of the function's.
fn told(reply: Reply) -> Result<Reply, InvokeError> {
    let status = reply.status();
    let between = matches!(status.as_u16(), 502..=504) && platform::is_plain(&reply);
    match between || (status.is_server_error() && platform::is_terse(&reply)) {
        true => Err(platform::refused(status, reply.headers(), status.as_u16().to_string(), None)),
        false => platform::told(reply),
    }
}

#[cfg(test)]
mod tests;
