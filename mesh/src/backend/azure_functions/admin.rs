//! Functions without an HTTP trigger, started by name: `POST /admin/functions/NAME` with the master key.

use crate::{
    backend::{
        ConfigError, endpoint,
        exchange::{AGENT, Exchange, retry_after},
    },
    event,
    introduce::introduce,
    invocation::{InvokeError, Outbound},
    payload::{Answer, Reply},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use serde_json::json;
use std::str;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 127;

/// Longest answer, in bytes: what is started says nothing of itself.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What goes out of the headers that were made for the call: credentials.
const CREDENTIALS: [HeaderName; 2] = [super::KEY, AUTHORIZATION];

/// What is wrong with a function's name.
pub(super) fn check(name: &str) -> Result<(), ConfigError> {
    let sound = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let message = || format!("`{}` is no name of a function", endpoint::shown(name));
    if sound { Ok(()) } else { Err(endpoint::bad("function", message())) }
}

/// Where one function is started.
#[derive(Debug)]
pub(super) struct Admin {
    exchange: Exchange,
    uri: Uri,
}

impl Admin {
    /// Of the app at `url`.
    pub(super) fn new(url: &str, name: &str, exchange: Exchange) -> Result<Self, ConfigError> {
        let text = format!("{}/admin/functions/{name}", endpoint::endpoint("url", url)?);
        let uri = text.parse().map_err(|_| endpoint::bad("url", "the function's address is no URL".to_owned()))?;
        Ok(Self { exchange, uri })
    }

    /// Starts the function.
    pub(super) async fn invoke(&self, outbound: Outbound) -> Result<Reply, InvokeError> {
        let Outbound { head, payload, context } = outbound;
        let body = event::whole(payload, &context).await?;
        let input = str::from_utf8(&body).map_err(|_| InvokeError::Unsupported("a body that is no text"))?;
        let mut headers = HeaderMap::new();
        for name in CREDENTIALS {
            headers.extend(head.headers.get(&name).cloned().map(|value| (name, value)));
        }
        introduce(&mut headers, &head.host, &context);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, AGENT);
        let mut request = Request::new(Full::new(Bytes::from(json!({ "input": input }).to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let answer = self.exchange.ask(request, context.deadline, ANSWER_BYTES_MAX).await?;
        let status = answer.status();
        match status {
            StatusCode::ACCEPTED => {
                let mut reply = Response::new(Answer::Empty);
                *reply.status_mut() = StatusCode::ACCEPTED;
                Ok(reply)
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Err(InvokeError::Throttled { retry_after: retry_after(answer.headers()) })
            }
            _ if status.is_server_error() => Err(InvokeError::FunctionFailed(status.as_u16().to_string())),
            _ => Err(InvokeError::Refused(status.as_u16().to_string())),
        }
    }
}
