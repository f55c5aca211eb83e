//! An action of OpenWhisk, which IBM Cloud Functions speaks too: waited for, only started, or a web action.

mod activation;
pub(crate) mod parameters;

use super::{
    Backend, ConfigError, duration, endpoint,
    exchange::{AGENT, Exchange},
    http::{Http, HttpConfig, template::Template, trust::Trust},
    platform,
    remote::Remote,
};
use crate::{
    introduce::introduce,
    invocation::{InvokeError, Invoking, Outbound},
    report::Starts,
    secret::{Reference, Secret, credential},
};
use activation::Activations;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What proves the gateway to a web action.
const WEB_SECRET: HeaderName = HeaderName::from_static("x-require-whisk-auth");

/// The namespace of the key.
const OWN_NAMESPACE: &str = "_";

/// Longest name of a namespace, package or action, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// What is not encoded in a path segment.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@');

/// How a web action's answer is made.
const EXTENSIONS: [&str; 5] = ["http", "json", "html", "text", "svg"];

/// `openwhisk = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenWhiskConfig {
    /// The host of the interface, such as `"https://eu-gb.functions.cloud.ibm.com"`.
    pub endpoint: String,
    /// The namespace; `"_"` (default) is that of the key. A web action needs its name.
    #[serde(default = "own_namespace")]
    pub namespace: String,
    /// The action: `"name"` or `"package/name"`.
    pub action: String,
    /// How it is called.
    #[serde(default)]
    pub call: Call,
    /// The key by reference (`"env:NAME"` or `"file:PATH"`): `uuid:key`; for a web action the secret that it requires.
    pub key: Option<String>,
    /// How a web action's answer is made: `"http"` (default), `"json"`, `"html"`, `"text"` or `"svg"`.
    pub extension: Option<String>,
    /// What follows the name of a web action, such as `"/{id}"`; `{name}` stands for a path parameter.
    pub path: Option<String>,
    /// PEM file of the authorities that may vouch for the host, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// How an action is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// With the body, path and query as parameters; the answer is the result. A call that outlives the host's patience is
    /// followed until the deadline.
    #[default]
    Blocking,
    /// The same, but only started: the answer is 202.
    NonBlocking,
    /// As a web action: the request as it is.
    Web,
}

fn own_namespace() -> String {
    OWN_NAMESPACE.to_owned()
}

/// The backend. Its connections and key are shared by clones.
#[derive(Clone, Debug)]
pub struct OpenWhisk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: OpenWhiskConfig,
    trust: Trust,
    way: Way,
    key: Option<Secret>,
}

#[derive(Debug)]
enum Way {
    Api { uri: Uri, activations: Box<Activations> },
    Web(Http),
}

impl Remote for OpenWhiskConfig {
    fn kind(&self) -> &'static str {
        "openwhisk"
    }

    fn starts(&self) -> Starts {
        match self.call {
            Call::Blocking => Starts::Told,
            Call::NonBlocking => Starts::Unmet,
            Call::Web => Starts::Untold,
        }
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        problems.extend(endpoint::endpoint("endpoint", &self.endpoint).err());
        problems.extend(name("namespace", &self.namespace).err());
        let parts: Vec<&str> = self.action.split('/').collect();
        if parts.len() > 2 {
            problems.push(endpoint::bad("action", "an action is `name` or `package/name`".to_owned()));
        }
        problems.extend(parts.iter().find_map(|part| name("action", part).err()));
        let key = self.key.as_deref().map(|key| Reference::parse("key", key, Path::new("")));
        problems.extend(key.and_then(Result::err).map(|message| endpoint::bad("key", message)));
        match self.call {
            Call::Blocking | Call::NonBlocking => {
                if self.key.is_none() {
                    problems.push(endpoint::bad("key", "an action is called with the namespace's key".to_owned()));
                }
                let only_web = [("extension", self.extension.is_some()), ("path", self.path.is_some())];
                let unused = only_web.into_iter().filter(|(_, given)| *given);
                problems.extend(unused.map(|(field, _)| endpoint::bad(field, "it is for web actions".to_owned())));
            }
            Call::Web => problems.extend(self.web_problems()),
        }
        problems.extend(endpoint::unverifiable(self.ca.as_deref(), &self.endpoint, "endpoint"));
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }

    fn parameters(&self) -> Vec<String> {
        let Call::Web = self.call else { return Vec::new() };
        Template::parse(&self.web_url()).map(|t| t.parameters().map(str::to_owned).collect()).unwrap_or_default()
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        OpenWhisk::new(self, base).map(Backend::OpenWhisk)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::OpenWhisk(OpenWhisk(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl OpenWhiskConfig {
    fn web_problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        if self.namespace == OWN_NAMESPACE {
            problems.push(endpoint::bad("namespace", "a web action is called by its namespace's name".to_owned()));
        }
        if let Some(extension) = self.extension.as_ref().filter(|e| !EXTENSIONS.contains(&e.as_str())) {
            let message = format!("`{}` is none of {}", endpoint::shown(extension), EXTENSIONS.join(", "));
            problems.push(endpoint::bad("extension", message));
        }
        if let Some(path) = &self.path {
            let sound = path.starts_with('/') && !path.contains('?');
            let parsed = Template::parse(&self.web_url()).map_err(|problem| problem.message);
            let message = if sound { parsed.err() } else { Some("a path begins with `/` and has no query".to_owned()) };
            problems.extend(message.map(|message| endpoint::bad("path", message)));
        }
        problems
    }

    /// `…/web/NAMESPACE/PACKAGE/ACTION.EXTENSION` and what follows.
    fn web_url(&self) -> String {
        let action = match self.action.contains('/') {
            true => self.action.clone(),
            false => format!("default/{}", self.action),
        };
        let extension = self.extension.as_deref().unwrap_or("http");
        let path = self.path.as_deref().unwrap_or_default();
        let namespace = encoded(&self.namespace);
        format!("{}/api/v1/web/{namespace}/{}.{extension}{path}", self.host(), encoded_path(&action))
    }

    fn api_uri(&self) -> Result<Uri, ConfigError> {
        let blocking = self.call == Call::Blocking;
        let namespace = encoded(&self.namespace);
        let action = encoded_path(&self.action);
        let text = format!("{}/api/v1/namespaces/{namespace}/actions/{action}?blocking={blocking}", self.host());
        text.parse().map_err(|_| endpoint::bad("action", "the action's address is no URL".to_owned()))
    }

    fn host(&self) -> &str {
        self.endpoint.trim_end_matches('/')
    }

    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca.as_deref(), &self.endpoint, base)
    }
}

impl OpenWhisk {
    /// Reads key and authorities; connects to nothing.
    pub(super) fn new(config: &OpenWhiskConfig, base: &Path) -> Result<Self, ConfigError> {
        let trust = config.trust(base)?;
        let way = match config.call {
            Call::Web => {
                let http = HttpConfig::plain(&config.web_url(), config.ca.as_deref(), &config.connect_timeout);
                Way::Web(Http::new(&http, base)?)
            }
            Call::Blocking | Call::NonBlocking => {
                let timeout = duration("connect_timeout", &config.connect_timeout)?;
                let exchange = Exchange::new(&trust, config.endpoint.starts_with("https:"), timeout)?;
                let place = format!("{}/api/v1/namespaces/{}/activations", config.host(), encoded(&config.namespace));
                Way::Api { uri: config.api_uri()?, activations: Activations { exchange, place }.into() }
            }
        };
        let key = config.key.as_deref().map(|key| Secret::new("key", key, base)).transpose();
        let key = key.map_err(|message| endpoint::bad("key", message))?;
        let pair = key.as_ref().is_none_or(|key| key.value().expose_secret().contains(':'));
        if config.call != Call::Web && !pair {
            return Err(endpoint::bad("key", "a namespace's key is `uuid:key`".to_owned()));
        }
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, way, key })))
    }

    /// The path parameters that it uses by name.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        match &self.0.way {
            Way::Web(http) => Some(http.parameters()),
            Way::Api { .. } => None,
        }
        .into_iter()
        .flatten()
    }

    /// Runs the action.
    pub(crate) fn invoke(&self, mut outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            match &self.0.way {
                Way::Web(http) => {
                    outbound.head.headers.remove(WEB_SECRET);
                    if let Some(secret) = &self.0.key {
                        outbound.head.headers.insert(WEB_SECRET, secret.header("the secret", "")?);
                    }
                    http.invoke(outbound).await.and_then(activation::web).and_then(platform::told)
                }
                Way::Api { uri, activations } => self.call(uri, activations, outbound).await,
            }
        })
    }

    async fn call(
        &self,
        uri: &Uri,
        activations: &Activations,
        outbound: Outbound,
    ) -> Result<crate::payload::Reply, InvokeError> {
        let Outbound { head, payload, context } = outbound;
        let parameters = parameters::of(&head, payload, &context).await?;
        let mut headers = HeaderMap::new();
        introduce(&mut headers, &head.host, &context);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut request = Request::new(Full::new(parameters));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers;
        let authorization = self.authorization()?;
        request.headers_mut().extend(proof(&authorization));
        match self.0.config.call {
            Call::NonBlocking => activations.start(request, &context).await,
            Call::Blocking | Call::Web => {
                activations
                    .wait(request, &context, || {
                        let mut poll = Request::new(Full::new(Bytes::new()));
                        poll.headers_mut().extend(proof(&authorization));
                        poll
                    })
                    .await
            }
        }
    }

    /// HTTP Basic of the namespace's key.
    fn authorization(&self) -> Result<HeaderValue, InvokeError> {
        let missing = || InvokeError::NoCredential("there is no key".to_owned());
        let key = self.0.key.as_ref().ok_or_else(missing)?.value();
        credential("the key", &format!("Basic {}", STANDARD.encode(key.expose_secret())))
    }
}

fn proof(authorization: &HeaderValue) -> [(HeaderName, HeaderValue); 2] {
    [(AUTHORIZATION, authorization.clone()), (USER_AGENT, AGENT)]
}

fn name(field: &'static str, text: &str) -> Result<(), ConfigError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '-' | ' ');
    let sound = (1..=NAME_BYTES_MAX).contains(&text.len())
        && !matches!(text, "." | "..")
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && text.chars().all(plain);
    if sound { Ok(()) } else { Err(endpoint::bad(field, format!("`{}` is no name", endpoint::shown(text)))) }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn encoded_path(text: &str) -> String {
    text.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests;
