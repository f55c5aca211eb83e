//! A collector of OTLP over gRPC in this process: checks every request, decodes it, remembers it.

use crate::{certificates::Certificates, client::Io};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::{Metric, metric::Data},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

/// Everything that arrived.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Headers of every request.
    pub headers: Vec<HeaderMap>,
    /// The resource of every request.
    pub resources: Vec<Resource>,
    /// Spans.
    pub spans: Vec<Span>,
    /// Metrics, as the last request had them.
    pub metrics: Vec<Metric>,
    /// Log lines.
    pub lines: Vec<LogRecord>,
    /// The messages as they came.
    pub raw: Vec<Bytes>,
    /// What was wrong with requests.
    faults: Vec<String>,
}

/// The running collector.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens.
    pub url: String,
    taken: Arc<Mutex<Taken>>,
    server: JoinHandle<()>,
}

/// What it does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes them.
    Takes,
    /// Says `UNAVAILABLE`.
    Refuses,
    /// Takes connections and never says a word.
    Silent,
}

impl Collector {
    /// Starts one in clear text.
    pub async fn start() -> Self {
        Self::serve(0, None, Manner::Takes).await
    }

    /// Starts one at a port.
    pub async fn start_at(port: u16) -> Self {
        Self::serve(port, None, Manner::Takes).await
    }

    /// Starts one that speaks TLS.
    pub async fn start_tls(certificates: &Certificates) -> Self {
        Self::serve(0, Some(certificates.acceptor()), Manner::Takes).await
    }

    /// Starts one that is of no use.
    pub async fn start_useless(manner: Manner) -> Self {
        Self::serve(0, None, manner).await
    }

    async fn serve(port: u16, tls: Option<TlsAcceptor>, manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let taken = Arc::new(Mutex::new(Taken::default()));
        let remembered = taken.clone();
        let server = tokio::spawn(async move {
            let mut silenced = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                if manner == Manner::Silent {
                    silenced.push(socket);
                    continue;
                }
                let (taken, tls) = (remembered.clone(), tls.clone());
                let service = service_fn(move |request| answer(taken.clone(), manner, request));
                tokio::spawn(async move {
                    let socket: Box<dyn Io> = match tls {
                        None => Box::new(socket),
                        Some(tls) => match tls.accept(socket).await {
                            Ok(stream) => Box::new(stream),
                            // A gateway that does not trust us: its test looks at that.
                            Err(_) => return,
                        },
                    };
                    drop(
                        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await,
                    );
                });
            }
        });
        Self { url: format!("{scheme}://localhost:{port}"), taken, server }
    }

    /// Everything so far.
    ///
    /// # Panics
    /// When a request was not what OTLP wants.
    pub fn taken(&self) -> Taken {
        let taken = self.taken.lock().expect("no writer panics").clone();
        assert!(taken.faults.is_empty(), "{:?}", taken.faults);
        taken
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Taken {
    /// The value of a counter or gauge, summed over points with these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<i64> {
        use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::{AsDouble, AsInt};
        let metric = self.metrics.iter().find(|metric| metric.name == name)?;
        let points = match metric.data.as_ref()? {
            Data::Sum(sum) => &sum.data_points,
            Data::Gauge(gauge) => &gauge.data_points,
            other => panic!("`{name}` has no single value: {other:?}"),
        };
        let fits = |attributes: &[KeyValue]| labels.iter().all(|(name, value)| text(attributes, name) == Some(value));
        let values = points.iter().filter(|point| fits(&point.attributes)).map(|point| match point.value {
            Some(AsInt(value)) => value,
            Some(AsDouble(value)) => value as i64,
            None => panic!("`{name}` has a point without a value"),
        });
        values.reduce(|sum, value| sum + value)
    }
}

/// An attribute that is a text.
pub fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    match value(attributes, name)? {
        Value::StringValue(text) => Some(text),
        other => panic!("`{name}` is no text: {other:?}"),
    }
}

/// An attribute that is a number.
pub fn number(attributes: &[KeyValue], name: &str) -> Option<i64> {
    match value(attributes, name)? {
        Value::IntValue(number) => Some(*number),
        other => panic!("`{name}` is no number: {other:?}"),
    }
}

fn value<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?.value.as_ref()
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(taken: Arc<Mutex<Taken>>, manner: Manner, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if manner == Manner::Takes {
        let mut taken = taken.lock().expect("no writer panics");
        if let Err(fault) = taken.take(&head, &body) {
            taken.faults.push(fault);
        }
    }
    let status = if manner == Manner::Takes { "0" } else { "14" };
    let trailers = [(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(status))];
    let trailers: HeaderMap = trailers.into_iter().collect();
    let message = if manner == Manner::Takes { Bytes::from_static(&[0; 5]) } else { Bytes::new() };
    let mut response = Response::new(Full::new(message).with_trailers(async { Some(Ok(trailers)) }).boxed());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}

impl Taken {
    fn take(&mut self, head: &http::request::Parts, body: &Bytes) -> Result<(), String> {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if head.method != "POST" || header("content-type") != "application/grpc" || header("te") != "trailers" {
            return Err(format!("this is not gRPC: {head:?}"));
        }
        let (prefix, message) = body.split_at_checked(5).ok_or("a message without its prefix")?;
        if prefix[0] != 0 || u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize != message.len()
        {
            return Err(format!("one uncompressed message was expected, its prefix is {prefix:?}"));
        }
        self.headers.push(head.headers.clone());
        self.raw.push(Bytes::copy_from_slice(message));
        match head.uri.path() {
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => self.traces(message),
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => self.metrics(message),
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => self.logs(message),
            other => Err(format!("`{other}` is no service of OTLP")),
        }
    }

    fn traces(&mut self, message: &[u8]) -> Result<(), String> {
        let request = ExportTraceServiceRequest::decode(message).map_err(|e| e.to_string())?;
        for of in request.resource_spans {
            self.resources.extend(of.resource);
            for span in of.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let sized = (span.trace_id.len(), span.span_id.len()) == (16, 8) && !span.name.is_empty();
                if !sized || span.end_time_unix_nano < span.start_time_unix_nano {
                    return Err(format!("a span that is none: {span:?}"));
                }
                self.spans.push(span);
            }
        }
        Ok(())
    }

    fn metrics(&mut self, message: &[u8]) -> Result<(), String> {
        let request = ExportMetricsServiceRequest::decode(message).map_err(|e| e.to_string())?;
        self.metrics.clear();
        for of in request.resource_metrics {
            self.resources.extend(of.resource);
            self.metrics.extend(of.scope_metrics.into_iter().flat_map(|scope| scope.metrics));
        }
        if self.metrics.iter().any(|metric| metric.data.is_none()) {
            Err("a metric without data".into())
        } else {
            Ok(())
        }
    }

    fn logs(&mut self, message: &[u8]) -> Result<(), String> {
        let request = ExportLogsServiceRequest::decode(message).map_err(|e| e.to_string())?;
        for of in request.resource_logs {
            self.resources.extend(of.resource);
            self.lines.extend(of.scope_logs.into_iter().flat_map(|scope| scope.log_records));
        }
        Ok(())
    }
}
