//! A function at AWS Lambda, called through the Invoke API with requests that are signed with the gateway's own keys.

mod answer;
pub(in crate::backend) mod credentials;
pub(in crate::backend) mod place;

use crate::{
    backend::{
        Backend, ConfigError, duration, endpoint,
        exchange::{AGENT, Exchange},
        http::trust::Trust,
        process::trace_id,
        remote::Remote,
    },
    event::{self, EventForm, REQUEST_BYTES_MAX},
    invocation::{CallContext, InvokeError, Invoking, Outbound},
    sign::aws_v4::{Form, Scope, sign_request},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use credentials::Credentials;
use http::{
    HeaderName, HeaderValue, Request, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

pub use credentials::{CredentialsConfig, Given};

/// The service that is signed for.
const SERVICE: &str = "lambda";

/// Longest client context that the service takes, in bytes of base64.
const CLIENT_CONTEXT_BYTES_MAX: usize = 3_583;

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// `aws_lambda = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsLambdaConfig {
    /// The function: a name, `name:alias`, or an ARN.
    pub function: String,
    /// Region, such as `"eu-west-1"`.
    pub region: String,
    /// Version or alias, unless the function names one.
    pub qualifier: Option<String>,
    /// Another address than the region's own, such as a private endpoint; in clear text on loopback only.
    pub endpoint: Option<String>,
    /// Whose keys sign the calls: `"environment"` (default), `{ access_key = "env:…", secret_key = "file:…" }` or
    /// `{ profile = "…" }`.
    #[serde(default)]
    pub credentials: CredentialsConfig,
    /// What the function is given: an API Gateway v2 event, or the body alone.
    #[serde(default)]
    pub event: EventForm,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// The backend. Its connections and keys are shared by clones.
#[derive(Clone, Debug)]
pub struct AwsLambda(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: AwsLambdaConfig,
    uri: Uri,
    trust: Trust,
    credentials: Credentials,
    exchange: Exchange,
}

impl Remote for AwsLambdaConfig {
    fn kind(&self) -> &'static str {
        "aws_lambda"
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = place::problems(self);
        problems.extend(self.credentials.check().err());
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        let endpoint = self.endpoint.as_deref().unwrap_or_default();
        problems.extend(endpoint::unverifiable(self.ca.as_deref(), endpoint, "endpoint"));
        problems
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        AwsLambda::new(self, base).map(Backend::AwsLambda)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::AwsLambda(AwsLambda(made)) = backend else { return false };
        made.config == *self && self.trust(&made.uri, base).is_ok_and(|trust| made.trust == trust)
    }
}

impl AwsLambdaConfig {
    fn trust(&self, uri: &Uri, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca.as_deref(), &uri.to_string(), base)
    }
}

impl AwsLambda {
    /// Reads keys and authorities; connects to nothing.
    pub(super) fn new(config: &AwsLambdaConfig, base: &Path) -> Result<Self, ConfigError> {
        let uri = place::uri(config)?;
        let timeout = duration("connect_timeout", &config.connect_timeout)?;
        let tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let trust = config.trust(&uri, base)?;
        let exchange = Exchange::new(&trust, tls, timeout)?;
        let credentials = Credentials::new(&config.credentials, base)?;
        Ok(Self(Arc::new(Inner { config: config.clone(), uri, trust, credentials, exchange })))
    }

    /// Runs the function.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Outbound { head, payload, context } = outbound;
            let Inner { config, exchange, .. } = &*self.0;
            let body = event::whole(payload, &context).await?;
            let event = config.event.event(&head, &context, body);
            check(config.event, &event)?;
            let request = self.request(event, &context)?;
            let response = exchange.ask(request, context.deadline, answer::BODY_BYTES_MAX).await?;
            let answered = answer::answered(response)?;
            config.event.reply(answered, context.response_bytes_max)
        })
    }

    /// The signed request. Nothing of the caller's head is in it but what the event says.
    fn request(&self, event: Bytes, context: &CallContext) -> Result<Request<Full<Bytes>>, InvokeError> {
        let Inner { config, uri, credentials, .. } = &*self.0;
        let mut request = Request::new(Full::new(event.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(INVOCATION_TYPE, HeaderValue::from_static("RequestResponse"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, AGENT);
        headers.extend(HeaderValue::try_from(trace_id(&context.traceparent)).ok().map(|value| (TRACE_ID, value)));
        let client_context = config.event.client_context(context).map(|text| STANDARD.encode(text));
        let client_context = client_context.filter(|text| text.len() <= CLIENT_CONTEXT_BYTES_MAX);
        headers.extend(client_context.and_then(|text| text.try_into().ok()).map(|value| (CLIENT_CONTEXT, value)));
        let scope = Scope { region: &config.region, service: SERVICE, at: SystemTime::now() };
        sign_request(&mut request, &event, &credentials.keys(), scope, Form::default())
            .map_err(|error| InvokeError::Refused(error.to_string()))?;
        Ok(request)
    }
}

/// What the service would refuse anyhow, refused before anything is sent.
fn check(form: EventForm, event: &[u8]) -> Result<(), InvokeError> {
    if event.len() > REQUEST_BYTES_MAX {
        return Err(InvokeError::RequestTooLarge { bytes_max: Some(REQUEST_BYTES_MAX as u64) });
    }
    match form {
        EventForm::Body if serde_json::from_slice::<IgnoredAny>(event).is_err() => {
            Err(InvokeError::Unsupported("a body that is not JSON"))
        }
        EventForm::Body | EventForm::ApiGatewayV2 => Ok(()),
    }
}

#[cfg(test)]
mod tests;
