//! An instance that is any server of HTTP: told its port, and asked as a service elsewhere would be.

use super::{
    recipe::Address,
    way::{CONNECT_MAX, Look},
};
use crate::{
    backend::{
        ConfigError,
        exchange::{AGENT, Exchange},
        google_functions,
        http::{Http, HttpConfig},
    },
    dial::Dial,
    event::cloud_events::{self, CloudEventConfig},
    invocation::{InvokeError, Outbound},
    payload::Reply,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header::USER_AGENT};
use http_body_util::Full;
use jiff::Timestamp;
use std::{path::Path, time::Duration};
use tokio::time::Instant;

/// When the caller stops waiting (RFC 3339): HTTP itself has no word for it.
const DEADLINE: HeaderName = HeaderName::from_static("latchwork-deadline");

/// Longest time for one answer to whether it is ready.
const READY_MAX: Duration = Duration::from_secs(2);

/// Longest answer to whether it is ready that is read, in bytes.
const READY_BYTES_MAX: usize = 64 * 1024;

/// How such an instance is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    /// It is ready when a GET of this is a success; without it, when it listens.
    pub(crate) ready: Option<String>,
    /// It takes events: what a call's says.
    pub(crate) event: Option<CloudEventConfig>,
}

/// The instance.
#[derive(Clone, Debug)]
pub(super) struct HttpServer {
    form: Form,
    url: String,
    http: Http,
    exchange: Exchange,
}

impl HttpServer {
    /// Connects to nothing.
    pub(super) fn new(form: &Form, address: &Address) -> Result<Self, ConfigError> {
        let url = address.url();
        let http = Http::new(&HttpConfig::plain(&url, None, CONNECT_MAX), Path::new("/"))?;
        Ok(Self { form: form.clone(), url, http, exchange: Exchange::local(Dial::new(None), READY_MAX)? })
    }

    /// Whether it says that it is ready.
    pub(super) async fn look(&self) -> Look {
        let Some(path) = &self.form.ready else { return Look::Ready };
        let mut request = Request::new(Full::new(Bytes::new()));
        let Ok(uri) = format!("{}{path}", self.url).parse() else {
            return Look::Unusable(format!("`{path}` is no path"));
        };
        *request.uri_mut() = uri;
        request.headers_mut().insert(USER_AGENT, AGENT);
        match self.exchange.ask(request, Instant::now() + READY_MAX, READY_BYTES_MAX).await {
            Ok(answer) if answer.status().is_success() => Look::Ready,
            Ok(_) | Err(_) => Look::NotYet,
        }
    }

    /// Runs a call: the request as it is, or as an event.
    pub(super) async fn run(&self, mut outbound: Outbound) -> Result<Reply, InvokeError> {
        let context = outbound.context.clone();
        if let Some(event) = &self.form.event {
            event.raise(&mut outbound).await?;
        }
        if let Ok(at) = HeaderValue::try_from(at(context.deadline).to_string()) {
            outbound.head.headers.insert(DEADLINE, at);
        }
        let reply = self.http.invoke(outbound).await.and_then(google_functions::failed)?;
        if self.form.event.is_some() { cloud_events::reply::data(reply, &context).await } else { Ok(reply) }
    }
}

/// A moment of the monotonic clock as one of the calendar's.
pub(super) fn at(moment: Instant) -> Timestamp {
    let left = moment.saturating_duration_since(Instant::now());
    let now = Timestamp::now();
    let at = jiff::SignedDuration::try_from(left).ok().and_then(|left| now.checked_add(left).ok()).unwrap_or(now);
    at.round(jiff::Unit::Millisecond).unwrap_or(at)
}
