//! A function at Azure Functions: over its HTTP trigger, or started by name through the admin interface.

mod admin;
mod identity;

use super::{
    Backend, ConfigError, duration, endpoint,
    exchange::Exchange,
    http::{Http, HttpConfig, template::Template, trust::Trust},
    platform,
    remote::Remote,
};
use crate::{
    invocation::{CallContext, InvokeError, Invoking, Outbound},
    report::Starts,
    secret::{Reference, Secret, credential},
    token::Kept,
};
use admin::Admin;
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
pub use identity::{EntraConfig, ManagedIdentityConfig};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::time::Instant;

/// Where a function or host key is looked for before the query's `code`, so that a caller's own never counts.
const KEY: HeaderName = HeaderName::from_static("x-functions-key");

/// Headers that the platform or its sign-in takes for a credential or an identity: they are the gateway's alone.
const OWN: [&str; 5] =
    ["x-functions-key", "x-functions-clientid", "x-zumo-auth", "x-ms-client-principal", "x-ms-client-principal-id"];

/// `azure_functions = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureFunctionsConfig {
    /// Where: such as `"https://shop.azurewebsites.net/api/orders/{id}"`; `{name}` stands for a path parameter. Without a
    /// path the caller's path is kept. With `function`, the app alone.
    pub url: String,
    /// A function without an HTTP trigger, by name: it is started with the body as its input, and the answer is 202.
    /// Needs the app's master key.
    pub function: Option<String>,
    /// The function's, host's or app's key by reference: `"env:NAME"` or `"file:PATH"`.
    pub key: Option<String>,
    /// A token of Entra ID by client credentials.
    pub entra: Option<EntraConfig>,
    /// A token of Entra ID for the identity of the machine that the gateway runs on.
    pub managed_identity: Option<ManagedIdentityConfig>,
    /// PEM file of the authorities that may vouch for the app's server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// The backend. Its connections, key and token are shared by clones.
#[derive(Clone, Debug)]
pub struct AzureFunctions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: AzureFunctionsConfig,
    trust: Trust,
    way: Way,
    key: Option<Secret>,
    token: Option<Kept<SecretString>>,
}

#[derive(Debug)]
enum Way {
    Trigger(Http),
    Admin(Box<Admin>),
}

impl Remote for AzureFunctionsConfig {
    fn kind(&self) -> &'static str {
        "azure_functions"
    }

    fn starts(&self) -> Starts {
        if self.function.is_some() { Starts::Unmet } else { Starts::Untold }
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        match &self.function {
            None => {
                problems.extend(endpoint::template("url", &self.url).err());
                problems.extend(Template::parse(&self.url).err().filter(|_| problems.is_empty()));
            }
            Some(name) => {
                problems.extend(endpoint::endpoint("url", &self.url).err());
                problems.extend(admin::check(name).err());
                if self.key.is_none() {
                    let message = "a function is started by name with the app's master key".to_owned();
                    problems.push(endpoint::bad("key", message));
                }
            }
        }
        let key = self.key.as_deref().map(|key| Reference::parse("key", key, Path::new("")));
        problems.extend(key.and_then(Result::err).map(|message| endpoint::bad("key", message)));
        problems.extend(self.entra.iter().flat_map(EntraConfig::problems));
        problems.extend(self.managed_identity.iter().flat_map(ManagedIdentityConfig::problems));
        if self.entra.is_some() && self.managed_identity.is_some() {
            let message = "a token is got by `entra` or by `managed_identity`, not by both".to_owned();
            problems.push(endpoint::bad("managed_identity", message));
        }
        problems.extend(endpoint::unverifiable(self.ca.as_deref(), &self.url, "url"));
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }

    fn parameters(&self) -> Vec<String> {
        Template::parse(&self.url).map(|t| t.parameters().map(str::to_owned).collect()).unwrap_or_default()
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        AzureFunctions::new(self, base).map(Backend::AzureFunctions)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::AzureFunctions(AzureFunctions(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl AzureFunctionsConfig {
    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca.as_deref(), &self.url, base)
    }
}

impl AzureFunctions {
    /// Reads key, secrets and authorities; connects to nothing.
    pub(super) fn new(config: &AzureFunctionsConfig, base: &Path) -> Result<Self, ConfigError> {
        let trust = config.trust(base)?;
        let way = match &config.function {
            None => {
                let http = HttpConfig::plain(&config.url, config.ca.as_deref(), &config.connect_timeout);
                Way::Trigger(Http::new(&http, base)?)
            }
            Some(name) => {
                let timeout = duration("connect_timeout", &config.connect_timeout)?;
                let exchange = Exchange::new(&trust, config.url.starts_with("https:"), timeout)?;
                Way::Admin(Admin::new(&config.url, name, exchange)?.into())
            }
        };
        let key = config.key.as_deref().map(|key| Secret::new("key", key, base)).transpose();
        let key = key.map_err(|message| endpoint::bad("key", message))?;
        let token = match (&config.entra, &config.managed_identity) {
            (Some(entra), _) => Some(entra.token(base)?),
            (None, Some(identity)) => Some(identity.token()?),
            (None, None) => None,
        };
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, way, key, token })))
    }

    /// The path parameters that the URL uses.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        match &self.0.way {
            Way::Trigger(http) => Some(http.parameters()),
            Way::Admin(_) => None,
        }
        .into_iter()
        .flatten()
    }

    /// Runs the function.
    pub(crate) fn invoke(&self, mut outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            for name in OWN {
                outbound.head.headers.remove(name);
            }
            let token = self.prove(&mut outbound.head.headers, &outbound.context).await?;
            let reply = match &self.0.way {
                Way::Trigger(http) => http.invoke(outbound).await.and_then(platform::told),
                Way::Admin(admin) => admin.invoke(outbound).await,
            };
            if let (Err(InvokeError::Refused(_)), Some(kept), Some(token)) = (&reply, &self.0.token, token) {
                kept.reject(&token, Instant::now());
            }
            reply
        })
    }

    /// Adds key and token.
    async fn prove(
        &self,
        headers: &mut HeaderMap,
        context: &CallContext,
    ) -> Result<Option<Arc<SecretString>>, InvokeError> {
        let what = "a key or token";
        if let Some(key) = &self.0.key {
            headers.insert(KEY, key.header(what, "")?);
        }
        let Some(token) = &self.0.token else { return Ok(None) };
        let token = token.get(context.deadline).await?;
        headers.insert(AUTHORIZATION, credential(what, &format!("Bearer {}", token.expose_secret()))?);
        Ok(Some(token))
    }
}

#[cfg(test)]
mod tests;
