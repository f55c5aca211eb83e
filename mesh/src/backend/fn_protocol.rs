//! How a function of Fn is asked and answers, wherever it runs: what an Fn server and Oracle Cloud have in common.

use super::{
    ConfigError, endpoint,
    exchange::{AGENT, plain},
    platform,
};
use crate::{
    event::{
        self, REQUEST_BYTES_MAX,
        cloud_events::{self, CloudEventConfig, Mode},
    },
    hop,
    introduce::introduce,
    invocation::{CallContext, Head, InvokeError, Outbound},
    payload::{Answer, Reply},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, USER_AGENT},
};
use serde::{Deserialize, Serialize};

/// Headers that only the platform or the gateway may set.
const OWN: [&str; 3] = ["fn-", "opc-", "oci-"];

/// What the function's own headers begin with, in both directions.
const WRAPPED: &str = "fn-http-h-";

const CALL_ID: HeaderName = HeaderName::from_static("fn-call-id");
const HTTP_METHOD: HeaderName = HeaderName::from_static("fn-http-method");
const HTTP_REQUEST_URL: HeaderName = HeaderName::from_static("fn-http-request-url");
const HTTP_STATUS: HeaderName = HeaderName::from_static("fn-http-status");
const INTENT: HeaderName = HeaderName::from_static("fn-intent");
const INVOKE_TYPE: HeaderName = HeaderName::from_static("fn-invoke-type");
const REQUEST_ID: HeaderName = HeaderName::from_static("opc-request-id");

/// What a body is that does not say.
const UNSAID: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Whether a function is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FnCall {
    /// The answer is the function's.
    #[default]
    Sync,
    /// It is only started: the answer is 202.
    Detached,
}

/// What a function takes its call for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FnIntent {
    /// A request: it gets method, URL and headers besides the body, and sets status and headers.
    HttpRequest,
}

/// How one function is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<'c> {
    pub(crate) call: FnCall,
    pub(crate) intent: Option<FnIntent>,
    pub(crate) event: Option<&'c CloudEventConfig>,
    /// Headers that the platform does not know reach the function, so they can say whose call it is.
    pub(crate) introduces: bool,
}

/// A refusal of Oracle Cloud.
#[derive(Deserialize)]
struct Problem {
    code: Option<String>,
}

impl Form<'_> {
    /// What is wrong with it as it is written.
    pub(crate) fn problems(self) -> Vec<ConfigError> {
        let mut problems: Vec<_> = self.event.iter().flat_map(|event| event.problems()).collect();
        if self.event.is_some() && self.intent.is_some() {
            problems.push(endpoint::bad("intent", "a call is a request or an event, not both".to_owned()));
        }
        if self.event.is_some_and(|event| event.mode == Mode::Binary) {
            let message = "a function gets an event as JSON: `mode = \"structured\"`".to_owned();
            problems.push(endpoint::bad("event", message));
        }
        problems
    }

    /// Headers and body of a call.
    pub(crate) async fn request(self, outbound: Outbound) -> Result<(HeaderMap, Bytes, CallContext), InvokeError> {
        let Outbound { mut head, payload, context } = outbound;
        let mut body = event::whole(payload, &context).await?;
        let mut headers = HeaderMap::new();
        if let Some(event) = self.event {
            body = event.apply(&mut head.headers, body, &context)?;
            headers.insert(INTENT, HeaderValue::from_static("cloudevent"));
        }
        headers.insert(CONTENT_TYPE, head.headers.get(CONTENT_TYPE).cloned().unwrap_or(UNSAID));
        // An empty body has a length, too, and some servers ask for it.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(USER_AGENT, AGENT);
        let kind = match self.call {
            FnCall::Sync => "sync",
            FnCall::Detached => "detached",
        };
        headers.insert(INVOKE_TYPE, HeaderValue::from_static(kind));
        match self.intent {
            Some(FnIntent::HttpRequest) => wrap(&mut headers, head, &context)?,
            None if self.introduces => introduce(&mut headers, &head.host, &context),
            None => {}
        }
        Ok((headers, body, context))
    }

    /// What the platform's answer means.
    pub(crate) async fn reply(self, answer: Response<Bytes>, context: &CallContext) -> Result<Reply, InvokeError> {
        let (head, body) = answer.into_parts();
        let said = |name: &HeaderName| head.headers.get(name).and_then(|v| v.to_str().ok()).map(plain);
        tracing::debug!(call = %context.call_id, fn_call = said(&CALL_ID), request = said(&REQUEST_ID), "a function was called");
        match (self.call, head.status) {
            (FnCall::Detached, StatusCode::ACCEPTED) => Ok(platform::accepted()),
            (FnCall::Sync, StatusCode::OK) => {
                let reply = self.answer(&head.headers, body)?;
                if self.event.is_some() { cloud_events::reply::data(reply, context).await } else { Ok(reply) }
            }
            (_, status) if !status.is_client_error() && !status.is_server_error() => {
                Err(InvokeError::BadAnswer(format!("status {}", status.as_u16())))
            }
            (_, status) => {
                let code = serde_json::from_slice::<Problem>(&body).ok().and_then(|problem| problem.code);
                let words = [Some(status.as_u16().to_string()), code.as_deref().map(plain), said(&REQUEST_ID)];
                let words: Vec<String> = words.into_iter().flatten().collect();
                Err(platform::refused(status, &head.headers, words.join(" "), Some(REQUEST_BYTES_MAX)))
            }
        }
    }

    /// The function's own answer: without an intent all that it can say of itself is the body's type.
    fn answer(self, headers: &HeaderMap, body: Bytes) -> Result<Reply, InvokeError> {
        let mut reply = Response::new(if body.is_empty() { Answer::Empty } else { Answer::Buffered(body) });
        if self.intent == Some(FnIntent::HttpRequest) {
            if let Some(status) = headers.get(HTTP_STATUS) {
                *reply.status_mut() = status_of(status)?;
            }
            for (name, value) in headers {
                let own = name.as_str().strip_prefix(WRAPPED).and_then(|own| HeaderName::try_from(own).ok());
                if let Some(own) = own {
                    reply.headers_mut().append(own, value.clone());
                }
            }
            hop::strip(reply.headers_mut());
            reply.headers_mut().remove(CONTENT_LENGTH);
            platform::reserve(reply.headers_mut(), &OWN);
        }
        if let Some(kind) = headers.get(CONTENT_TYPE) {
            reply.headers_mut().insert(CONTENT_TYPE, kind.clone());
        }
        Ok(reply)
    }
}

/// Puts a request into headers, as the platforms' own triggers do.
fn wrap(headers: &mut HeaderMap, head: Head, context: &CallContext) -> Result<(), InvokeError> {
    let Head { method, path, query, host, headers: mut theirs, .. } = head;
    hop::strip(&mut theirs);
    for name in [HOST, CONTENT_LENGTH, CONTENT_TYPE, EXPECT] {
        theirs.remove(name);
    }
    // Some function kits let these go before the platform's.
    platform::reserve(&mut theirs, &OWN);
    introduce(&mut theirs, &host, context);
    for (name, value) in &theirs {
        let name = HeaderName::try_from(format!("{WRAPPED}{name}"));
        headers.append(name.map_err(|_| InvokeError::Unsupported("a header with this name"))?, value.clone());
    }
    let scheme = if context.secure { "https" } else { "http" };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let said = |text: &str| HeaderValue::from_str(text).map_err(|_| InvokeError::Unsupported("this path or query"));
    headers.insert(HTTP_REQUEST_URL, said(&format!("{scheme}://{host}{path}{query}"))?);
    headers.insert(HTTP_METHOD, said(method.as_str())?);
    headers.insert(INTENT, HeaderValue::from_static("httprequest"));
    Ok(())
}

fn status_of(value: &HeaderValue) -> Result<StatusCode, InvokeError> {
    let status = StatusCode::from_bytes(value.as_bytes()).ok();
    let status = status.filter(|status| !status.is_informational() && status.as_u16() < 600);
    status.ok_or_else(|| InvokeError::BadAnswer("a status that is none".to_owned()))
}
