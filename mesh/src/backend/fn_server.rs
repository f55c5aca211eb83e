//! A function of an Fn server, by its id: waited for or only started, with the body alone or the request wrapped.

pub use super::fn_protocol::{FnCall, FnIntent};
use super::{
    Backend, ConfigError, duration,
    endpoint::{self, Carries},
    exchange::{Exchange, answer_bytes_max},
    fn_protocol::Form,
    http::trust::Trust,
    remote::Remote,
};
use crate::{
    event::cloud_events::CloudEventConfig,
    invocation::{Invoking, Outbound},
    report::Starts,
    secret::{Reference, Secret},
};
use http::{Method, Request, Uri, header::AUTHORIZATION};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// `fn = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FnServerConfig {
    /// The server: such as `"https://fn.internal:8080"`.
    pub endpoint: String,
    /// The function's id, as `fn inspect function` says it.
    pub function: String,
    /// Whether it is waited for.
    #[serde(default)]
    pub call: FnCall,
    /// What it takes its call for; without it, it gets the body alone, and its answer's body is the answer.
    pub intent: Option<FnIntent>,
    /// The function takes events: what the call's says.
    pub event: Option<CloudEventConfig>,
    /// A bearer token by reference (`"env:NAME"` or `"file:PATH"`), for a server that stands behind what asks for one.
    pub token: Option<String>,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// The backend. Its connections and token are shared by clones.
#[derive(Clone, Debug)]
pub struct FnServer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: FnServerConfig,
    trust: Trust,
    exchange: Exchange,
    uri: Uri,
    token: Option<Secret>,
}

impl Remote for FnServerConfig {
    fn kind(&self) -> &'static str {
        "fn"
    }

    fn starts(&self) -> Starts {
        match self.call {
            FnCall::Sync => Starts::Untold,
            FnCall::Detached => Starts::Unmet,
        }
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        problems.extend(endpoint::origin("endpoint", &self.endpoint, Carries::of(self.token.is_some())).err());
        problems.extend(endpoint::name("function", &self.function).err());
        problems.extend(self.form().problems());
        let token = self.token.as_deref().map(|token| Reference::parse("token", token, Path::new("")));
        problems.extend(token.and_then(Result::err).map(|message| endpoint::bad("token", message)));
        problems.extend(endpoint::unverifiable(self.ca.as_deref(), &self.endpoint, "endpoint"));
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }

    fn is_exposed(&self) -> bool {
        endpoint::is_exposed(&self.endpoint)
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        FnServer::new(self, base).map(Backend::FnServer)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::FnServer(FnServer(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl FnServerConfig {
    fn form(&self) -> Form<'_> {
        Form { call: self.call, intent: self.intent, event: self.event.as_ref(), introduces: true }
    }

    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca.as_deref(), &self.endpoint, base)
    }
}

impl FnServer {
    /// Reads token and authorities; connects to nothing.
    pub(super) fn new(config: &FnServerConfig, base: &Path) -> Result<Self, ConfigError> {
        let trust = config.trust(base)?;
        let timeout = duration("connect_timeout", &config.connect_timeout)?;
        let exchange = Exchange::new(&trust, config.endpoint.starts_with("https:"), timeout)?;
        let origin = endpoint::origin("endpoint", &config.endpoint, Carries::of(config.token.is_some()))?;
        let uri = format!("{origin}/invoke/{}", config.function).parse();
        let uri = uri.map_err(|_| endpoint::bad("function", "the function's address is no URL".to_owned()))?;
        let token = config.token.as_deref().map(|token| Secret::new("token", token, base)).transpose();
        let token = token.map_err(|message| endpoint::bad("token", message))?;
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, exchange, uri, token })))
    }

    /// Runs the function.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { config, exchange, uri, token, .. } = &*self.0;
            let form = config.form();
            let (mut headers, body, context) = form.request(outbound).await?;
            if let Some(token) = token {
                headers.insert(AUTHORIZATION, token.header("the token", "Bearer ")?);
            }
            let mut request = Request::new(Full::new(body));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers;
            let answer = exchange.ask(request, context.deadline, answer_bytes_max(&context)).await?;
            form.reply(answer, &context).await
        })
    }
}

#[cfg(test)]
mod tests;
