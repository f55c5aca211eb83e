//! A service that speaks gRPC: messages, metadata and trailers pass through as frames, in all four streaming shapes.

mod answer;

use super::{
    ConfigError,
    http::{Http, HttpConfig},
};
use crate::{
    invocation::{InvokeError, Invoking, Outbound},
    payload::Reply,
};
pub use answer::{GrpcError, OK, is_grpc, of_http};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;
use url::Url;

/// How much time is left for the call.
pub const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Most digits of a `grpc-timeout`.
const TIMEOUT_DIGITS_MAX: usize = 8;

/// `grpc = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrpcConfig {
    /// Where: `https://`, or `http://` for clear text with prior knowledge; host and port, no path.
    pub url: String,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Who the server must be: the SPIFFE ID of its certificate, such as `"spiffe://prod.example/shop"`, instead of the
    /// name in `url`; needs `ca`.
    pub server_id: Option<String>,
    /// PEM file of the certificate that this gateway shows: the chain, leaf first.
    pub client_certificate: Option<PathBuf>,
    /// Its private key by reference: `"file:PATH"` of a PEM file.
    pub client_key: Option<String>,
    /// Unix socket that is connected to, whatever host `url` names.
    pub unix: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

impl GrpcConfig {
    /// What carries it.
    fn over_http(&self) -> HttpConfig {
        let Self { url, ca, server_id, client_certificate, client_key, unix, connect_timeout } = self.clone();
        let plain = HttpConfig::plain(&url, ca.as_deref(), &connect_timeout);
        HttpConfig { server_id, client_certificate, client_key, unix, http2: true, ..plain }
    }
}

/// The backend: HTTP/2 whose answers are statuses of gRPC. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct Grpc(Http);

impl Grpc {
    /// Checks the configuration and reads the authorities; connects to nothing.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field.
    pub fn new(config: &GrpcConfig, base: &Path) -> Result<Self, ConfigError> {
        let bad = |message: String| ConfigError { field: "url", message };
        let url = Url::parse(&config.url).map_err(|_| bad(format!("`{}` is no URL", config.url)))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(bad("the path of a gRPC call is its method's name, so the url has none".to_owned()));
        }
        Http::new(&config.over_http(), base).map(Self)
    }

    /// Whether [`Grpc::new`] would make the same backend again, so that a reload can keep the open connections.
    #[must_use]
    pub fn same_config(&self, config: &GrpcConfig, base: &Path) -> bool {
        self.0.same_config(&config.over_http(), base)
    }

    /// Whether both share their connections.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.0.same(&other.0)
    }

    /// Runs the function.
    pub(crate) fn invoke(&self, mut outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            if outbound.head.method != Method::POST || !is_grpc(&outbound.head.headers) {
                return Err(InvokeError::Unsupported("a call that is not gRPC"));
            }
            outbound.head.query = None;
            let left = outbound.context.deadline.saturating_duration_since(Instant::now());
            set_timeout(&mut outbound.head.headers, left)?;
            self.0.invoke(outbound).await.and_then(answer::of)
        })
    }
}

/// Whether a caller that sent this `grpc-timeout` has said how long it waits, and how long.
///
/// # Errors
/// When it is not one to eight digits and a unit, or is there twice.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, &'static str> {
    const MALFORMED: &str = "`grpc-timeout` is not one to eight digits and a unit";
    let mut values = headers.get_all(TIMEOUT).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| MALFORMED)?;
    let unit = text.char_indices().next_back().ok_or(MALFORMED)?;
    let digits = text.get(..unit.0).unwrap_or_default();
    let sound = (1..=TIMEOUT_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !sound || values.next().is_some() {
        return Err(MALFORMED);
    }
    let number: u64 = digits.parse().map_err(|_| MALFORMED)?;
    Ok(Some(match unit.1 {
        'H' => Duration::from_secs(number * 3600),
        'M' => Duration::from_secs(number * 60),
        'S' => Duration::from_secs(number),
        'm' => Duration::from_millis(number),
        'u' => Duration::from_micros(number),
        'n' => Duration::from_nanos(number),
        _ => return Err(MALFORMED),
    }))
}

fn set_timeout(headers: &mut HeaderMap, left: Duration) -> Result<(), InvokeError> {
    if left.is_zero() {
        return Err(InvokeError::TimedOut);
    }
    let limit = 10_u128.pow(TIMEOUT_DIGITS_MAX as u32);
    let text = [(left.as_micros(), 'u'), (left.as_millis(), 'm'), (left.as_secs().into(), 'S')]
        .into_iter()
        .find(|(number, _)| *number < limit)
        .map_or_else(|| "99999999S".to_owned(), |(number, unit)| format!("{}{unit}", number.max(1)));
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(TIMEOUT, value);
    }
    Ok(())
}

/// What every answer of gRPC says of itself.
pub(crate) fn set_content_type(reply: &mut Reply) {
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
}

#[cfg(test)]
mod tests;
