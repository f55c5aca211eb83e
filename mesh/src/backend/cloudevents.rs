//! What receives CloudEvents over HTTP: each call is an event, and an event that is answered is its data.

use super::{
    Backend, ConfigError, duration,
    endpoint::{self, Carries},
    http::{Http, HttpConfig, template::Template, trust::Trust},
    platform,
    remote::Remote,
};
pub use crate::event::cloud_events::{CloudEventConfig, Mode};
use crate::{
    event::cloud_events::reply,
    invocation::{CallContext, InvokeError, Invoking, Outbound},
    payload::Reply,
    secret::{Reference, Secret},
};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// `cloudevents = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudEventsConfig {
    /// Where: such as `"https://events.internal/orders/{id}"`; `{name}` stands for a path parameter. Without a path the
    /// caller's path is kept.
    pub url: String,
    /// What the call's event says.
    pub event: CloudEventConfig,
    /// A bearer token by reference: `"env:NAME"` or `"file:PATH"`.
    pub token: Option<String>,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// The backend. Its connections and token are shared by clones.
#[derive(Clone, Debug)]
pub struct CloudEvents(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: CloudEventsConfig,
    trust: Trust,
    receiver: Receiver,
}

/// A place over HTTP that a token may be needed for.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) http: Http,
    token: Option<Secret>,
}

/// How a receiver is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'c> {
    pub(super) url: &'c str,
    pub(super) token: Option<&'c str>,
    pub(super) ca: Option<&'c Path>,
    pub(super) connect_timeout: &'c str,
}

impl Remote for CloudEventsConfig {
    fn kind(&self) -> &'static str {
        "cloudevents"
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = self.written().problems();
        problems.extend(self.event.problems());
        problems
    }

    fn parameters(&self) -> Vec<String> {
        self.written().parameters()
    }

    fn is_exposed(&self) -> bool {
        endpoint::is_exposed(&self.url)
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        CloudEvents::new(self, base).map(Backend::CloudEvents)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::CloudEvents(CloudEvents(made)) = backend else { return false };
        made.config == *self && self.written().trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl CloudEventsConfig {
    fn written(&self) -> Written<'_> {
        Written {
            url: &self.url,
            token: self.token.as_deref(),
            ca: self.ca.as_deref(),
            connect_timeout: &self.connect_timeout,
        }
    }
}

impl Written<'_> {
    /// What is wrong with it.
    pub(super) fn problems(self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        problems.extend(endpoint::template_of("url", self.url, Carries::of(self.token.is_some())).err());
        problems.extend(Template::parse(self.url).err().filter(|_| problems.is_empty()));
        let token = self.token.map(|token| Reference::parse("token", token, Path::new("")));
        problems.extend(token.and_then(Result::err).map(|message| endpoint::bad("token", message)));
        problems.extend(endpoint::unverifiable(self.ca, self.url, "url"));
        problems.extend(duration("connect_timeout", self.connect_timeout).err());
        problems
    }

    /// The path parameters that the URL uses.
    pub(super) fn parameters(self) -> Vec<String> {
        Template::parse(self.url).map(|t| t.parameters().map(str::to_owned).collect()).unwrap_or_default()
    }

    /// Who may vouch for the server.
    pub(super) fn trust(self, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca, self.url, base)
    }
}

impl Receiver {
    /// Reads token and authorities; connects to nothing.
    pub(super) fn new(written: Written<'_>, host: Option<HeaderValue>, base: &Path) -> Result<Self, ConfigError> {
        let http = HttpConfig::plain(written.url, written.ca, written.connect_timeout);
        let token = written.token.map(|token| Secret::new("token", token, base)).transpose();
        let token = token.map_err(|message| endpoint::bad("token", message))?;
        Ok(Self { http: Http::named(&http, host, base)?, token })
    }

    /// Adds the token.
    pub(super) fn prove(&self, headers: &mut HeaderMap) -> Result<(), InvokeError> {
        let Some(token) = &self.token else { return Ok(()) };
        headers.insert(AUTHORIZATION, token.header("the token", "Bearer ")?);
        Ok(())
    }

    /// Sends a call as an event; an event that is answered is its data.
    pub(super) async fn raise(
        &self,
        event: &CloudEventConfig,
        mut outbound: Outbound,
        told: impl FnOnce(Reply) -> Result<Reply, InvokeError>,
    ) -> Result<Reply, InvokeError> {
        event.raise(&mut outbound).await?;
        self.prove(&mut outbound.head.headers)?;
        let context: CallContext = outbound.context.clone();
        let answer = self.http.invoke(outbound).await.and_then(told)?;
        reply::data(answer, &context).await
    }
}

impl CloudEvents {
    /// Reads token and authorities; connects to nothing.
    pub(super) fn new(config: &CloudEventsConfig, base: &Path) -> Result<Self, ConfigError> {
        let written = config.written();
        let trust = written.trust(base)?;
        let receiver = Receiver::new(written, None, base)?;
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, receiver })))
    }

    /// The path parameters that the URL uses.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.receiver.http.parameters()
    }

    /// Sends the event.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(self.0.receiver.raise(&self.0.config.event, outbound, platform::told))
    }
}

#[cfg(test)]
pub(super) mod tests;
