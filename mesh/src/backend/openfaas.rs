//! A function of OpenFaaS behind its gateway: waited for, or put into the queue.

use super::{
    Backend, ConfigError, duration,
    endpoint::{self, Carries},
    exchange::plain,
    http::{Http, HttpConfig, template::Template, trust::Trust},
    platform,
    remote::Remote,
};
use crate::{
    invocation::{CallContext, InvokeError, Invoking, Outbound},
    payload::{Answer, Reply},
    report::Starts,
    secret::{Reference, Secret, credential},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::AUTHORIZATION};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::time::Instant;
use url::Url;

/// Headers that the platform or the gateway alone may set: where results go, whose call it is, how long it may take.
const OWN: [&str; 8] = [
    "x-call-id",
    "x-callback-url",
    "x-duration-seconds",
    "x-function-",
    "x-openfaas-",
    "x-start-time",
    "x-timeout",
    "x-served-by",
];

const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
const TIMEOUT: HeaderName = HeaderName::from_static("x-timeout");
const CALLBACK_URL: HeaderName = HeaderName::from_static("x-callback-url");

/// What stands before every function says so: how long it ran.
const DURATION_SECONDS: HeaderName = HeaderName::from_static("x-duration-seconds");

/// What stands before a function speaks, not the function.
const INTERNAL: HeaderName = HeaderName::from_static("x-openfaas-internal");

/// `openfaas = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenFaasConfig {
    /// The platform's gateway, such as `"https://openfaas.internal:8080"`.
    pub endpoint: String,
    /// The function: `"name"` or `"name.namespace"`.
    pub function: String,
    /// Whether it is waited for.
    #[serde(default)]
    pub call: OpenFaasCall,
    /// What follows the function's name, such as `"/orders/{id}"`; `{name}` stands for a path parameter.
    pub path: Option<String>,
    /// Where the platform sends the result of a call that is not waited for. A caller can't choose it.
    pub callback: Option<String>,
    /// The user, where the platform's gateway asks for one.
    pub user: Option<String>,
    /// The user's password by reference: `"env:NAME"` or `"file:PATH"`.
    pub password: Option<String>,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// Whether a function is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OpenFaasCall {
    /// The answer is the function's.
    #[default]
    Sync,
    /// It is put into the queue: the answer is 202.
    Async,
}

/// The backend. Its connections and password are shared by clones.
#[derive(Clone, Debug)]
pub struct OpenFaas(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: OpenFaasConfig,
    trust: Trust,
    http: Http,
    password: Option<Secret>,
}

impl Remote for OpenFaasConfig {
    fn kind(&self) -> &'static str {
        "openfaas"
    }

    fn starts(&self) -> Starts {
        match self.call {
            OpenFaasCall::Sync => Starts::Untold,
            OpenFaasCall::Async => Starts::Unmet,
        }
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        problems.extend(endpoint::origin("endpoint", &self.endpoint, Carries::of(self.password.is_some())).err());
        problems.extend(endpoint::name("function", &self.function).err());
        if let Some(path) = &self.path {
            let sound = path.starts_with('/') && !path.contains('?');
            let parsed = Template::parse(&self.url()).map_err(|problem| problem.message);
            let message = if sound { parsed.err() } else { Some("a path begins with `/` and has no query".to_owned()) };
            problems.extend(message.map(|message| endpoint::bad("path", message)));
        }
        problems.extend(self.callback_problem());
        let password = self.password.as_deref().map(|written| Reference::parse("password", written, Path::new("")));
        problems.extend(password.and_then(Result::err).map(|message| endpoint::bad("password", message)));
        match (&self.user, &self.password) {
            (Some(user), Some(_)) if user.is_empty() || user.contains([':', '\n']) => {
                problems.push(endpoint::bad("user", format!("`{}` is no user", endpoint::shown(user))));
            }
            (Some(_), Some(_)) | (None, None) => {}
            (Some(_), None) => problems.push(endpoint::bad("user", "a user has a `password`".to_owned())),
            (None, Some(_)) => problems.push(endpoint::bad("password", "a password is a `user`'s".to_owned())),
        }
        problems.extend(endpoint::unverifiable(self.ca.as_deref(), &self.endpoint, "endpoint"));
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }

    fn parameters(&self) -> Vec<String> {
        Template::parse(&self.url()).map(|t| t.parameters().map(str::to_owned).collect()).unwrap_or_default()
    }

    fn is_exposed(&self) -> bool {
        endpoint::is_exposed(&self.endpoint)
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        OpenFaas::new(self, base).map(Backend::OpenFaas)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::OpenFaas(OpenFaas(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl OpenFaasConfig {
    /// `…/function/NAME` and what follows.
    fn url(&self) -> String {
        let place = match self.call {
            OpenFaasCall::Sync => "function",
            OpenFaasCall::Async => "async-function",
        };
        let path = self.path.as_deref().unwrap_or_default();
        format!("{}/{place}/{}{path}", self.endpoint.trim_end_matches('/'), self.function)
    }

    fn callback_problem(&self) -> Option<ConfigError> {
        let callback = self.callback.as_ref()?;
        let bad = |message: &str| Some(endpoint::bad("callback", message.to_owned()));
        if self.call == OpenFaasCall::Sync {
            return bad("it is for calls that are not waited for: `call = \"async\"`");
        }
        let url = Url::parse(callback).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        if url.is_none() || HeaderValue::from_str(callback).is_err() { bad("it is no URL") } else { None }
    }

    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca.as_deref(), &self.endpoint, base)
    }
}

impl OpenFaas {
    /// Reads password and authorities; connects to nothing.
    pub(super) fn new(config: &OpenFaasConfig, base: &Path) -> Result<Self, ConfigError> {
        let trust = config.trust(base)?;
        let http = HttpConfig::plain(&config.url(), config.ca.as_deref(), &config.connect_timeout);
        let http = Http::new(&http, base)?;
        let password = config.password.as_deref().map(|written| Secret::new("password", written, base)).transpose();
        let password = password.map_err(|message| endpoint::bad("password", message))?;
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, http, password })))
    }

    /// The path parameters that the path uses.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.http.parameters()
    }

    /// Runs the function, or queues the call.
    pub(crate) fn invoke(&self, mut outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { config, http, .. } = &*self.0;
            let context = outbound.context.clone();
            let headers = &mut outbound.head.headers;
            platform::reserve(headers, &OWN);
            headers.extend(HeaderValue::try_from(context.call_id.to_string()).ok().map(|id| (CALL_ID, id)));
            self.prove(headers)?;
            if config.call == OpenFaasCall::Sync {
                // A function that nobody waits for any more is ended by what stands before it.
                let left = context.deadline.saturating_duration_since(Instant::now());
                headers.extend(HeaderValue::try_from(format!("{}ms", left.as_millis())).ok().map(|ms| (TIMEOUT, ms)));
            }
            if config.call == OpenFaasCall::Async {
                let callback = config.callback.as_ref().and_then(|url| HeaderValue::try_from(url).ok());
                headers.extend(callback.map(|url| (CALLBACK_URL, url)));
                outbound.head.method = Method::POST;
            }
            let method = outbound.head.method.clone();
            let reply = http.invoke(outbound).await?;
            match config.call {
                OpenFaasCall::Sync => told(reply, &method, &context),
                OpenFaasCall::Async => queued(&reply),
            }
        })
    }

    /// Adds user and password.
    fn prove(&self, headers: &mut HeaderMap) -> Result<(), InvokeError> {
        let (Some(user), Some(password)) = (&self.0.config.user, &self.0.password) else { return Ok(()) };
        let pair = STANDARD.encode(format!("{user}:{}", password.value().expose_secret()));
        headers.insert(AUTHORIZATION, credential("the password", &format!("Basic {pair}"))?);
        Ok(())
    }
}

/// What the answer to a call means that is not waited for.
fn queued(reply: &Reply) -> Result<Reply, InvokeError> {
    match reply.status() {
        StatusCode::ACCEPTED => Ok(platform::accepted()),
        status if status.is_success() => Err(InvokeError::BadAnswer(format!("status {}", status.as_u16()))),
        status => Err(platform::refused(status, reply.headers(), status.as_u16().to_string(), None)),
    }
}

/// The function's answer, or what the platform's means.
fn told(mut reply: Reply, method: &Method, context: &CallContext) -> Result<Reply, InvokeError> {
    let status = reply.status();
    let said = reply.headers().get(DURATION_SECONDS).and_then(|value| value.to_str().ok()).map(plain);
    tracing::debug!(call = %context.call_id, seconds = said, "a function was called");
    let internal = reply.headers().contains_key(INTERNAL);
    let ran = said.is_some() && !internal;
    let page = platform::is_page(&reply);
    if !status.is_success() && (internal || (!ran && (page || platform::is_plain(&reply)))) {
        return Err(platform::refused(status, reply.headers(), status.as_u16().to_string(), None));
    }
    // A gateway that gave up waiting for a function to start says nothing at all, and says it with success.
    if status == StatusCode::OK && !ran && page && *method != Method::HEAD && matches!(reply.body(), Answer::Empty) {
        return Err(InvokeError::BadAnswer("empty, and not by a function".to_owned()));
    }
    platform::reserve(reply.headers_mut(), &OWN);
    Ok(reply)
}

#[cfg(test)]
mod tests;
