//! A function at Oracle Cloud, called by its OCID with requests that are signed with the gateway's own key.

pub use super::fn_protocol::{FnCall, FnIntent};
use super::{
    Backend, ConfigError, duration, endpoint,
    exchange::{Exchange, answer_bytes_max},
    fn_protocol::Form,
    http::trust::Trust,
    remote::Remote,
};
use crate::{
    event::cloud_events::CloudEventConfig,
    invocation::{InvokeError, Invoking, Outbound},
    report::Starts,
    secret::{Reference, Watched},
    sign::http_signature::{private_key, sign_request},
};
use aws_lc_rs::signature::RsaKeyPair;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header::ACCEPT};
use http_body_util::Full;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The interface's version, as the provider's own libraries name it. It is part of the path.
const BASE_PATH: &str = "/20260325";

/// Longest path before a function's, in bytes.
const BASE_PATH_BYTES_MAX: usize = 256;

/// Longest OCID or fingerprint, in bytes.
const ID_BYTES_MAX: usize = 255;

/// The caller's name for a request, which the provider's logs repeat.
const REQUEST_ID: HeaderName = HeaderName::from_static("opc-request-id");

/// `oracle_functions = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OracleFunctionsConfig {
    /// The function's invoke endpoint, such as `"https://abcd.eu-frankfurt-1.functions.oci.oraclecloud.com"`.
    pub endpoint: String,
    /// The function's OCID.
    pub function: String,
    /// What stands before `/functions/…` in the path, where it is not `"/20260325"`: such as `"/20181201"`.
    #[serde(default = "base_path")]
    pub base_path: String,
    /// Whether it is waited for.
    #[serde(default)]
    pub call: FnCall,
    /// What it takes its call for; without it, it gets the body alone, and its answer's body is the answer.
    pub intent: Option<FnIntent>,
    /// The function takes events: what the call's says.
    pub event: Option<CloudEventConfig>,
    /// Whose key signs the calls.
    pub credentials: OracleCredentials,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// `credentials = { … }`: an API signing key of a user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OracleCredentials {
    /// The tenancy's OCID.
    pub tenancy: String,
    /// The user's OCID.
    pub user: String,
    /// The key's fingerprint, such as `"20:3b:97:…"`.
    pub fingerprint: String,
    /// The private key in PEM, not encrypted, by reference: `"file:PATH"` or `"env:NAME"`.
    pub key: String,
}

fn base_path() -> String {
    BASE_PATH.to_owned()
}

/// The backend. Its connections and key are shared by clones.
#[derive(Clone, Debug)]
pub struct OracleFunctions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: OracleFunctionsConfig,
    trust: Trust,
    exchange: Exchange,
    uri: Uri,
    key_id: String,
    key: Watched<Arc<RsaKeyPair>>,
}

impl Remote for OracleFunctionsConfig {
    fn kind(&self) -> &'static str {
        "oracle_functions"
    }

    fn starts(&self) -> Starts {
        match self.call {
            FnCall::Sync => Starts::Untold,
            FnCall::Detached => Starts::Unmet,
        }
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        problems.extend(endpoint::endpoint("endpoint", &self.endpoint).err());
        problems.extend(endpoint::name("function", &self.function).err());
        problems.extend(check_base(&self.base_path).err());
        problems.extend(self.form().problems());
        problems.extend(self.credentials.problems());
        problems.extend(endpoint::unverifiable(self.ca.as_deref(), &self.endpoint, "endpoint"));
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        OracleFunctions::new(self, base).map(Backend::OracleFunctions)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::OracleFunctions(OracleFunctions(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl OracleFunctionsConfig {
    /// The service passes on no headers that it does not know.
    fn form(&self) -> Form<'_> {
        Form { call: self.call, intent: self.intent, event: self.event.as_ref(), introduces: false }
    }

    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca.as_deref(), &self.endpoint, base)
    }
}

impl OracleCredentials {
    fn problems(&self) -> Vec<ConfigError> {
        // They are quoted in the signature's header.
        let sound = |text: &str| {
            (1..=ID_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
        };
        let ids = [("tenancy", &self.tenancy), ("user", &self.user), ("fingerprint", &self.fingerprint)];
        let wrong = ids.into_iter().filter(|(_, text)| !sound(text));
        let message = |text: &str| format!("`{}` is no OCID or fingerprint", endpoint::shown(text));
        let mut problems: Vec<_> = wrong.map(|(field, text)| endpoint::bad(field, message(text))).collect();
        let key = Reference::parse("key", &self.key, Path::new(""));
        problems.extend(key.err().map(|message| endpoint::bad("key", message)));
        problems
    }
}

impl OracleFunctions {
    /// Reads key and authorities; connects to nothing.
    pub(super) fn new(config: &OracleFunctionsConfig, base: &Path) -> Result<Self, ConfigError> {
        let trust = config.trust(base)?;
        let timeout = duration("connect_timeout", &config.connect_timeout)?;
        let exchange = Exchange::new(&trust, config.endpoint.starts_with("https:"), timeout)?;
        let origin = endpoint::endpoint("endpoint", &config.endpoint)?;
        let uri = format!("{origin}{}/functions/{}/actions/invoke", config.base_path, config.function).parse();
        let uri = uri.map_err(|_| endpoint::bad("function", "the function's address is no URL".to_owned()))?;
        let OracleCredentials { tenancy, user, fingerprint, key } = &config.credentials;
        let key_id = format!("{tenancy}/{user}/{fingerprint}");
        let key = Watched::of("key", key, base, |reference| private_key(&reference.read_whole()?));
        let key = key.map_err(|message| endpoint::bad("key", message))?;
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, exchange, uri, key_id, key })))
    }

    /// Runs the function.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { config, exchange, uri, key_id, key, .. } = &*self.0;
            let form = config.form();
            let (mut headers, body, context) = form.request(outbound).await?;
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
            let id = format!("{:X}", context.call_id.simple());
            headers.extend(HeaderValue::try_from(id).ok().map(|id| (REQUEST_ID, id)));
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers;
            sign_request(&mut request, &body, (key_id, &key.value()), Timestamp::now())
                .map_err(InvokeError::NoCredential)?;
            let answer = exchange.ask(request, context.deadline, answer_bytes_max(&context)).await?;
            form.reply(answer, &context).await
        })
    }
}

fn check_base(path: &str) -> Result<(), ConfigError> {
    let segment = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let sound = path.len() <= BASE_PATH_BYTES_MAX
        && path.strip_prefix('/').map_or(path.is_empty(), |path| path.split('/').all(segment));
    let message = || format!("`{}` is no path such as `{BASE_PATH}`", endpoint::shown(path));
    if sound { Ok(()) } else { Err(endpoint::bad("base_path", message())) }
}

#[cfg(test)]
mod tests;
