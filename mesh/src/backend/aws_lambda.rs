//! A function at AWS Lambda, called through the Invoke API with requests that are signed with the gateway's own keys.

pub(in crate::backend) mod answer;
pub(in crate::backend) mod credentials;
pub(in crate::backend) mod place;
mod report;
mod stream;
mod url;

use crate::{
    backend::{
        Backend, ConfigError, duration, endpoint,
        exchange::{self, AGENT, Exchange},
        http::{template::Template, trust::Trust},
        platform,
        process::trace_id,
        remote::Remote,
    },
    event::{self, ASYNC_BYTES_MAX, EventForm, REQUEST_BYTES_MAX},
    invocation::{CallContext, InvokeError, Invoking, Outbound},
    payload::Reply,
    report::Starts,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use credentials::{Credentials, Proof};
use http::{
    HeaderName, HeaderValue, Request, StatusCode, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use url::FunctionUrl;

pub use credentials::{AssumeConfig, CredentialsConfig, Given, Place, WebIdentityConfig};

/// The service that calls are signed for.
const SERVICE: &str = "lambda";

/// Longest client context that the service takes, in bytes of base64.
const CLIENT_CONTEXT_BYTES_MAX: usize = 3_583;

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// `aws_lambda = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsLambdaConfig {
    /// The function: a name, `name:alias`, or an ARN.
    pub function: Option<String>,
    /// The function's own URL instead, such as `"https://ID.lambda-url.eu-west-1.on.aws/orders/{id}"`: `{name}` stands for a
    /// path parameter; without a path (or with `/` alone) the caller's path is kept.
    pub url: Option<String>,
    /// Region, such as `"eu-west-1"`.
    pub region: String,
    /// Version or alias, unless the function names one.
    pub qualifier: Option<String>,
    /// Whether it is waited for, and how it answers.
    #[serde(default)]
    pub call: LambdaCall,
    /// Another address than the region's own, such as a private endpoint; in clear text on loopback only.
    pub endpoint: Option<String>,
    /// Whose keys sign the calls: `"environment"` (default), `"container"`, `"instance"`, `"web_identity"`, a table such as
    /// `{ access_key = "env:…", secret_key = "file:…" }` or `{ profile = "…" }`, or `"none"` for a `url`.
    #[serde(default)]
    pub credentials: CredentialsConfig,
    /// What the function is given: `"api_gateway_v2"` (default), `"api_gateway_v1"`, `"alb"`, `"alb_multi_value"`,
    /// `"function_url"`, the `"body"` alone, or `{ type = "…", source = "…" }` for an event of CloudEvents.
    #[serde(default)]
    pub event: EventForm,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// Whether a function is waited for, and how it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LambdaCall {
    /// The answer is the function's, once it is whole.
    #[default]
    Sync,
    /// The answer is the function's, as it comes.
    Stream,
    /// It is put into the queue: the answer is 202.
    Async,
    /// Nothing is run: the answer is 204 if the gateway could call the function so.
    DryRun,
}

/// The backend. Its connections and keys are shared by clones.
#[derive(Clone, Debug)]
pub struct AwsLambda(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: AwsLambdaConfig,
    trust: Trust,
    credentials: Credentials,
    way: Way,
}

/// How the function is reached.
#[derive(Debug)]
enum Way {
    /// Through the service's interface, at this address.
    Api { uri: Uri, exchange: Box<Exchange> },
    /// At its own URL.
    Url(FunctionUrl),
}

impl Remote for AwsLambdaConfig {
    fn kind(&self) -> &'static str {
        "aws_lambda"
    }

    fn starts(&self) -> Starts {
        match self.call {
            // Its own URL tells nothing of the run.
            _ if self.url.is_some() => Starts::Untold,
            LambdaCall::Sync | LambdaCall::Stream => Starts::Told,
            LambdaCall::Async | LambdaCall::DryRun => Starts::Unmet,
        }
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = place::problems(self);
        problems.extend(self.event.problems());
        problems.extend(self.credentials.check().err());
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        let (address, what) = match &self.url {
            Some(url) => (url.as_str(), "url"),
            None => (self.endpoint.as_deref().unwrap_or_default(), "endpoint"),
        };
        problems.extend(endpoint::unverifiable(self.ca.as_deref(), address, what));
        problems
    }

    fn parameters(&self) -> Vec<String> {
        let template = self.url.as_deref().and_then(|url| Template::parse(url).ok());
        template.map(|t| t.parameters().map(str::to_owned).collect()).unwrap_or_default()
    }

    fn is_exposed(&self) -> bool {
        self.url.as_deref().is_some_and(endpoint::is_exposed)
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        AwsLambda::new(self, base).map(Backend::AwsLambda)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::AwsLambda(AwsLambda(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl AwsLambdaConfig {
    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        let address = match &self.url {
            Some(url) => url.clone(),
            None => place::uri(self)?.to_string(),
        };
        endpoint::trust(self.ca.as_deref(), &address, base)
    }
}

impl AwsLambda {
    /// Reads keys and authorities; connects to nothing.
    pub(super) fn new(config: &AwsLambdaConfig, base: &Path) -> Result<Self, ConfigError> {
        let trust = config.trust(base)?;
        let credentials = Credentials::new(&config.credentials, &config.region, base)?;
        let way = match &config.url {
            Some(url) => Way::Url(FunctionUrl::new(url, config, base)?),
            None => {
                let uri = place::uri(config)?;
                let tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
                let exchange = Exchange::new(&trust, tls, duration("connect_timeout", &config.connect_timeout)?)?;
                Way::Api { uri, exchange: Box::new(exchange) }
            }
        };
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, credentials, way })))
    }

    /// The path parameters that the URL uses.
    pub(super) fn parameters(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match &self.0.way {
            Way::Api { .. } => Box::new(std::iter::empty()),
            Way::Url(url) => Box::new(url.parameters()),
        }
    }

    /// Whether the function is given requests.
    pub(super) fn takes_requests(&self) -> bool {
        self.0.config.event.is_request()
    }

    /// Runs the function, or has it queued or tried.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { config, credentials, way, .. } = &*self.0;
            match way {
                Way::Api { uri, exchange } => self.call(uri, exchange, outbound).await,
                Way::Url(url) => url.call(&config.region, credentials, outbound).await,
            }
        })
    }

    async fn call(&self, uri: &Uri, exchange: &Exchange, outbound: Outbound) -> Result<Reply, InvokeError> {
        let Inner { config, credentials, .. } = &*self.0;
        let Outbound { head, payload, context } = outbound;
        let body = event::whole(payload, &context).await?;
        let event = config.event.event(&head, &context, body)?;
        check(config, &event)?;
        let proof = credentials.proof(context.deadline).await?;
        let request = config.request(uri, event, proof.as_ref(), &context)?;
        let response = exchange.open(request, context.deadline).await?;
        if config.call == LambdaCall::Stream && response.status() == StatusCode::OK {
            return stream::reply(response, config.event.clone(), &context).await;
        }
        let response = exchange::whole(response, context.deadline, answer::BODY_BYTES_MAX).await?;
        if let Some(proof) = proof {
            proof.judge(response.status(), response.headers(), response.body());
        }
        match config.call {
            LambdaCall::Sync | LambdaCall::Stream => {
                let answered = answer::answered(response, &context)?;
                config.event.reply(answered, context.response_bytes_max)
            }
            LambdaCall::Async => answer::taken(&response, StatusCode::ACCEPTED).map(|()| platform::accepted()),
            LambdaCall::DryRun => answer::taken(&response, StatusCode::NO_CONTENT).map(|()| platform::no_content()),
        }
    }
}

impl AwsLambdaConfig {
    /// The signed request. Nothing of the caller's head is in it but what the event says.
    fn request(
        &self,
        uri: &Uri,
        event: Bytes,
        proof: Option<&Proof>,
        context: &CallContext,
    ) -> Result<Request<Full<Bytes>>, InvokeError> {
        let mut request = Request::new(Full::new(event.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(INVOCATION_TYPE, HeaderValue::from_static(self.call.invocation_type()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, AGENT);
        headers.extend(HeaderValue::try_from(trace_id(&context.traceparent)).ok().map(|value| (TRACE_ID, value)));
        if self.call.is_answered() {
            // The end of the function's log says how long it ran and what that costs.
            headers.insert(LOG_TYPE, HeaderValue::from_static("Tail"));
            let said = self.event.client_context(context).map(|text| STANDARD.encode(text));
            let said = said.filter(|text| text.len() <= CLIENT_CONTEXT_BYTES_MAX);
            headers.extend(said.and_then(|text| text.try_into().ok()).map(|value| (CLIENT_CONTEXT, value)));
        }
        if let Some(proof) = proof {
            proof.sign(&mut request, &event, (SERVICE, &self.region))?;
        }
        Ok(request)
    }
}

impl LambdaCall {
    /// As the service calls it.
    fn invocation_type(self) -> &'static str {
        match self {
            Self::Sync | Self::Stream => "RequestResponse",
            Self::Async => "Event",
            Self::DryRun => "DryRun",
        }
    }

    /// Whether the function's answer is waited for.
    fn is_answered(self) -> bool {
        matches!(self, Self::Sync | Self::Stream)
    }
}

/// What the service would refuse anyhow, refused before anything is sent.
fn check(config: &AwsLambdaConfig, event: &[u8]) -> Result<(), InvokeError> {
    let bytes_max = if config.call == LambdaCall::Async { ASYNC_BYTES_MAX } else { REQUEST_BYTES_MAX };
    if event.len() > bytes_max {
        return Err(InvokeError::RequestTooLarge { bytes_max: Some(bytes_max as u64) });
    }
    match config.event == EventForm::Body && serde_json::from_slice::<IgnoredAny>(event).is_err() {
        true => Err(InvokeError::Unsupported("a body that is not JSON")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
