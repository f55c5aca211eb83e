//! The connection to the collector: HTTP/2, TLS verified.

use super::message::Message;
use crate::{causes::causes, config, tls};
use http::{HeaderMap, HeaderValue};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_proto::tonic::collector::{
    logs::v1::logs_service_client::LogsServiceClient, metrics::v1::metrics_service_client::MetricsServiceClient,
    trace::v1::trace_service_client::TraceServiceClient,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{error::Error, path::Path, time::Duration};
use tonic::{Code, Request, Status, body::Body, metadata::MetadataMap};

/// HTTP/2 ping while requests are open, and how long its answer may take.
const PING: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// Longest text of a collector that is repeated in a log line, in characters.
const TOLD_CHARS_MAX: usize = 200;

/// A connection, opened when it is first used.
#[derive(Debug)]
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Body>,
    origin: http::Uri,
    headers: HeaderMap,
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct ExportError {
    text: String,
    /// The same request may be taken later.
    pub(super) passing: bool,
}

impl Client {
    /// Reads the authorities; opens nothing.
    pub(crate) fn new(settings: &config::Collector) -> Result<Self, ExportError> {
        let config = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_root_certificates(roots(settings)?)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.timeout));
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http2();
        let pool = Pool::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .http2_only(true)
            .http2_keep_alive_interval(PING.0)
            .http2_keep_alive_timeout(PING.1)
            .build(https.wrap_connector(tcp));
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let mut value = HeaderValue::from_bytes(value.expose()).map_err(|error| unusable(error.to_string()))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(Self { pool, origin: settings.endpoint.clone(), headers })
    }

    /// Sends a request once. Answers how many items of it the collector rejected, and why.
    pub(crate) async fn send(&self, message: Message) -> Result<(i64, String), ExportError> {
        let (pool, origin) = (self.pool.clone(), self.origin.clone());
        let rejected = match message {
            Message::Traces(spans) => {
                let answer = TraceServiceClient::with_origin(pool, origin).export(self.request(spans)).await;
                let partial = answer.map_err(ExportError::of)?.into_inner().partial_success;
                partial.map(|partial| (partial.rejected_spans, partial.error_message))
            }
            Message::Metrics(metrics) => {
                let answer = MetricsServiceClient::with_origin(pool, origin).export(self.request(metrics)).await;
                let partial = answer.map_err(ExportError::of)?.into_inner().partial_success;
                partial.map(|partial| (partial.rejected_data_points, partial.error_message))
            }
            Message::Logs(lines) => {
                let answer = LogsServiceClient::with_origin(pool, origin).export(self.request(lines)).await;
                let partial = answer.map_err(ExportError::of)?.into_inner().partial_success;
                partial.map(|partial| (partial.rejected_log_records, partial.error_message))
            }
        };
        Ok(rejected.map(|(number, why)| (number, told(&why))).unwrap_or_default())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        request
    }
}

impl ExportError {
    /// The collector did not answer in time.
    pub(crate) fn late(after: Duration) -> Self {
        Self { text: format!("no answer within {after:?}"), passing: true }
    }

    /// What may be tried again is OTLP's list, and whatever never reached the collector.
    fn of(status: Status) -> Self {
        let code = status.code();
        let unsent = status.source().is_some();
        let passing = match code {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => true,
            // With details it says when to come back.
            Code::ResourceExhausted => !status.details().is_empty(),
            _ => unsent,
        };
        let text = match status.source() {
            Some(source) => causes(source),
            None => format!("the collector answered {code:?}: {}", told(status.message())),
        };
        Self { text, passing }
    }
}

fn unusable(text: String) -> ExportError {
    ExportError { text, passing: true }
}

fn roots(settings: &config::Collector) -> Result<RootCertStore, ExportError> {
    let mut roots = RootCertStore::empty();
    match &settings.ca {
        Some(path) => {
            for certificate in authorities(path)? {
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
        }
        None if settings.endpoint.scheme_str() == Some("http") => {}
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, ExportError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|error| unusable(format!("`{}` holds no usable certificate: {error}", path.display())))
}

/// A collector's own words: short, and nothing that a terminal would take for a command.
fn told(text: &str) -> String {
    text.chars().take(TOLD_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
