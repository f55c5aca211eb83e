//! One request that is known whole, one answer that is read whole: how providers' own interfaces are asked.

use super::{
    ConfigError,
    http::{
        connect::Connector,
        trust::{Trust, Written},
    },
};
use crate::{
    dial::Dial,
    invocation::{CallContext, InvokeError},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error},
    rt::{TokioExecutor, TokioTimer},
};
use std::{error::Error as _, path::Path, time::Duration};
use tokio::time::{Instant, timeout_at};

/// An idle connection is closed after this time: before services close it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Most idle connections that are kept to one host.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// Longest answer that says why there is none, in bytes. What is longer is cut off.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// Most fields in an answer's header.
const ANSWER_FIELDS_MAX: usize = 100;

/// Longest header of an answer, in bytes.
const ANSWER_HEADER_BYTES_MAX: usize = 64 * 1024;

/// Longest time that a caller is told to wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Longest word of a provider that is written into the log.
const WORD_CHARS_MAX: usize = 64;

/// Who calls.
pub(crate) const AGENT: HeaderValue = HeaderValue::from_static(concat!("latchwork/", env!("CARGO_PKG_VERSION")));

/// Connections to providers. A clone shares them.
#[derive(Clone, Debug)]
pub(crate) struct Exchange(Client<Connector, Full<Bytes>>);

impl Exchange {
    /// For hosts over TLS, or with `tls` false for those in clear text.
    pub(crate) fn new(trust: &Trust, tls: bool, connect_timeout: Duration) -> Result<Self, ConfigError> {
        Self::over(Dial::new(None), trust, tls, connect_timeout)
    }

    /// With what is on this machine, in clear text.
    pub(crate) fn local(dial: Dial, connect_timeout: Duration) -> Result<Self, ConfigError> {
        Self::over(dial, &Trust::read(Written::default(), false, Path::new("/"))?, false, connect_timeout)
    }

    fn over(dial: Dial, trust: &Trust, tls: bool, connect_timeout: Duration) -> Result<Self, ConfigError> {
        let connector = Connector::new(trust.client(tls)?, tls, dial, false, connect_timeout);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .http1_max_headers(ANSWER_FIELDS_MAX)
            .http1_max_buf_size(ANSWER_HEADER_BYTES_MAX)
            // A function is never run twice here, whatever went wrong.
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self(client))
    }

    /// The answer's head, until `deadline`, and a body that is not read yet.
    pub(crate) async fn open(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Response<Incoming>, InvokeError> {
        let asked = timeout_at(deadline, self.0.request(request)).await;
        asked.map_err(|_| InvokeError::TimedOut)?.map_err(classify)
    }

    /// The answer, until `deadline`. One that is a success has at most `bytes_max` bytes.
    pub(crate) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Instant,
        bytes_max: usize,
    ) -> Result<Response<Bytes>, InvokeError> {
        whole(self.open(request, deadline).await?, deadline, bytes_max).await
    }
}

/// An answer whose body is read, until `deadline`. One that is a success has at most `bytes_max` bytes.
pub(crate) async fn whole(
    response: Response<Incoming>,
    deadline: Instant,
    bytes_max: usize,
) -> Result<Response<Bytes>, InvokeError> {
    let (head, body) = response.into_parts();
    let reading = async {
        match head.status.is_success() {
            true => read(body, bytes_max).await,
            false => read(body, PROBLEM_BYTES_MAX).await.or_else(|error| match error {
                InvokeError::AnswerTooLarge { .. } => Ok(Bytes::new()),
                other => Err(other),
            }),
        }
    };
    let bytes = timeout_at(deadline, reading).await.map_err(|_| InvokeError::TimedOut)??;
    Ok(Response::from_parts(head, bytes))
}

/// The largest answer of a call that is read whole.
pub(crate) fn answer_bytes_max(context: &CallContext) -> usize {
    usize::try_from(context.response_bytes_max).unwrap_or(usize::MAX)
}

async fn read(mut body: Incoming, bytes_max: usize) -> Result<Bytes, InvokeError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| InvokeError::Broken(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > bytes_max {
            return Err(InvokeError::AnswerTooLarge { bytes_max: bytes_max as u64 });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// What it means for a call that its request failed so.
pub(super) fn classify(error: Error) -> InvokeError {
    let cause = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
    // hyper cancels only what it had not begun to write: a pooled connection was closed under the request.
    if error.is_connect() || cause.is_some_and(hyper::Error::is_canceled) {
        return InvokeError::Unreachable(error.into());
    }
    match cause {
        Some(cause) if cause.is_parse() => InvokeError::BadAnswer(cause.to_string()),
        _ => InvokeError::Broken(error.into()),
    }
}

/// When to come back, if the answer says so in seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// A provider's word for a log: short, and of plain characters.
pub(crate) fn plain(text: &str) -> String {
    let word = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ');
    text.chars().filter(word).take(WORD_CHARS_MAX).collect()
}
