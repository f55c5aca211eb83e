//! A function at Google Cloud: Cloud Functions or Cloud Run, called with an ID token that is made out to it.

pub(in crate::backend) mod identity;

use super::{
    Backend, ConfigError, duration, endpoint,
    http::{Http, HttpConfig, template::Template, trust::Trust},
    platform,
    remote::Remote,
};
pub use crate::event::cloud_events::{CloudEventConfig, Mode};
use crate::{
    invocation::{InvokeError, Invoking, Outbound},
    payload::Reply,
    secret::credential,
    token::Kept,
};
use http::{HeaderName, StatusCode, header::AUTHORIZATION};
pub use identity::GoogleCredentials;
use identity::Purpose;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::time::Instant;
use url::Url;

/// The platform looks here first, and the function has `authorization` for itself.
const PLATFORM_AUTHORIZATION: HeaderName = HeaderName::from_static("x-serverless-authorization");

/// How a function ended that did not answer: `crash` or `error`.
const STATUS: HeaderName = HeaderName::from_static("x-google-status");

/// Functions of the first generation are named by their path.
const FIRST_GENERATION: &str = ".cloudfunctions.net";

/// `google_functions = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoogleFunctionsConfig {
    /// Where: such as `"https://shop-abc-ew.a.run.app/orders/{id}"`; `{name}` stands for a path parameter. Without a path
    /// the caller's path is kept.
    pub url: String,
    /// Whom tokens are made out to, instead of the function that `url` names.
    pub audience: Option<String>,
    /// Where ID tokens come from; without it the function is called without one.
    pub credentials: Option<GoogleCredentials>,
    /// The function takes events: what the call's says.
    pub event: Option<CloudEventConfig>,
    /// PEM file of the authorities that may vouch for the function's server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// The backend. Its connections and token are shared by clones.
#[derive(Clone, Debug)]
pub struct GoogleFunctions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: GoogleFunctionsConfig,
    trust: Trust,
    http: Http,
    token: Option<Kept<SecretString>>,
}

impl Remote for GoogleFunctionsConfig {
    fn kind(&self) -> &'static str {
        "google_functions"
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        problems.extend(endpoint::template("url", &self.url).err());
        problems.extend(Template::parse(&self.url).err().filter(|_| problems.is_empty()));
        if self.audience.as_ref().is_some_and(|audience| audience.trim().is_empty()) {
            problems.push(endpoint::bad("audience", "the audience is empty".to_owned()));
        }
        problems.extend(self.credentials.iter().flat_map(GoogleCredentials::problems));
        problems.extend(self.event.iter().flat_map(CloudEventConfig::problems));
        problems.extend(endpoint::unverifiable(self.ca.as_deref(), &self.url, "url"));
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }

    fn parameters(&self) -> Vec<String> {
        Template::parse(&self.url).map(|t| t.parameters().map(str::to_owned).collect()).unwrap_or_default()
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        GoogleFunctions::new(self, base).map(Backend::GoogleFunctions)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::GoogleFunctions(GoogleFunctions(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl GoogleFunctionsConfig {
    /// Whom tokens are made out to: the service, or in the first generation the function.
    fn audience(&self) -> String {
        if let Some(audience) = &self.audience {
            return audience.clone();
        }
        let Ok(url) = Url::parse(&self.url) else { return self.url.clone() };
        let origin = url.origin().ascii_serialization();
        let first = url.path_segments().and_then(|mut segments| segments.next()).unwrap_or_default();
        match url.host_str().is_some_and(|host| host.ends_with(FIRST_GENERATION)) && !first.is_empty() {
            true => format!("{origin}/{first}"),
            false => origin,
        }
    }

    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca.as_deref(), &self.url, base)
    }
}

impl GoogleFunctions {
    /// Reads keys and authorities; connects to nothing.
    pub(super) fn new(config: &GoogleFunctionsConfig, base: &Path) -> Result<Self, ConfigError> {
        let trust = config.trust(base)?;
        let http = HttpConfig::plain(&config.url, config.ca.as_deref(), &config.connect_timeout);
        let http = Http::new(&http, base)?;
        let purpose = Purpose::Identity(config.audience().into());
        let token = config.credentials.as_ref().map(|from| from.token(&purpose, base)).transpose()?;
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, http, token })))
    }

    /// Whether the function is given requests.
    pub(super) fn takes_requests(&self) -> bool {
        self.0.config.event.is_none()
    }

    /// The path parameters that the URL uses.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.http.parameters()
    }

    /// Runs the function.
    pub(crate) fn invoke(&self, mut outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            outbound.head.headers.remove(PLATFORM_AUTHORIZATION);
            if let Some(event) = &self.0.config.event {
                event.raise(&mut outbound).await?;
            }
            let token = match &self.0.token {
                None => None,
                Some(kept) => Some((kept, kept.get(outbound.context.deadline).await?)),
            };
            if let Some((_, token)) = &token {
                let value = credential("the token", &format!("Bearer {}", token.expose_secret()))?;
                // The caller's own is forwarded only where the catalog says so, and then the function is to have it.
                let taken = outbound.head.headers.contains_key(AUTHORIZATION);
                let name = if taken { PLATFORM_AUTHORIZATION } else { AUTHORIZATION };
                outbound.head.headers.insert(name, value);
            }
            let reply = self.0.http.invoke(outbound).await.and_then(failed).and_then(platform::told);
            if let (Err(InvokeError::Refused(_)), Some((kept, token))) = (&reply, &token) {
                kept.reject(token, Instant::now());
            }
            reply
        })
    }
}

/// A function that crashed or threw, wherever its framework runs: what it says then is its own affair.
pub(crate) fn failed(mut reply: Reply) -> Result<Reply, InvokeError> {
    match reply.headers_mut().remove(STATUS) {
        Some(word) if reply.status() == StatusCode::INTERNAL_SERVER_ERROR => {
            Err(InvokeError::FunctionFailed(super::exchange::plain(&String::from_utf8_lossy(word.as_bytes()))))
        }
        _ => Ok(reply),
    }
}

#[cfg(test)]
mod tests;
