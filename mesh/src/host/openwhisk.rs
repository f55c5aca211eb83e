//! An instance as OpenWhisk starts its containers: given its code once (`/init`), then run once for each activation (`/run`).

use super::{
    http_server::at,
    recipe::Address,
    way::{CONNECT_MAX, Look},
};
use crate::{
    backend::{
        ConfigError, duration,
        exchange::{Exchange, plain},
        openwhisk::parameters::{self, PARAMETERS_BYTES_MAX},
    },
    dial::Dial,
    invocation::{CallContext, InvokeError, Outbound},
    payload::{Answer, Reply},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header::CONTENT_TYPE};
use http_body_util::Full;
use policy::question::FunctionName;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Largest result that the platform lets an action have, and what is around it.
const RESULT_BYTES_MAX: usize = PARAMETERS_BYTES_MAX + 64 * 1024;

/// Longest time for `/init`, unless the start's own limit is shorter.
const INIT_MAX: Duration = Duration::from_secs(60);

/// What a container writes to both streams at the end of each activation, between letters `X`.
const END_OF_ACTIVATION: &[u8] = b"_THE_END_OF_A_WHISK_ACTIVATION_";

/// The namespace that functions of this machine are told.
const NAMESPACE: &str = "_";

/// How such an instance is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// The action's code: text, or an archive.
    pub(crate) code: Code,
    /// The name of its function.
    pub(crate) main: String,
    /// Environment variables that it is told with its code.
    pub(crate) environment: BTreeMap<String, String>,
}

/// An action's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// A source file.
    Text(Arc<str>),
    /// Anything else: an archive or a program.
    Binary(Bytes),
    /// The container has it already.
    Absent,
}

/// The instance.
#[derive(Clone, Debug)]
pub(super) struct Action {
    form: Form,
    name: Arc<str>,
    url: String,
    exchange: Exchange,
    /// It has failed in a way after which its contract lets it do nothing more.
    spent: Arc<AtomicBool>,
}

/// Whether a line is the container's own, and not of the function's log.
pub(super) fn ends_activation(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let line = line.strip_prefix(b"XX").and_then(|line| line.strip_suffix(b"XX"));
    line.and_then(|line| line.strip_prefix(b"X")?.strip_suffix(b"X")) == Some(END_OF_ACTIVATION)
}

impl Code {
    /// What a file holds.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text.into()),
            Err(other) => Self::Binary(other.into_bytes().into()),
        }
    }
}

impl Action {
    /// Connects to nothing.
    pub(super) fn new(form: &Form, function: &FunctionName, address: &Address) -> Result<Self, ConfigError> {
        let exchange = Exchange::local(Dial::new(None), duration("connect_timeout", CONNECT_MAX)?)?;
        let (name, url) = (function.as_str().into(), address.url());
        Ok(Self { form: form.clone(), name, url, exchange, spent: Arc::default() })
    }

    /// Whether it can take no more calls.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// Gives it its code.
    pub(super) async fn init(&self) -> Look {
        let (code, binary) = match &self.form.code {
            Code::Text(text) => (text.to_string(), false),
            Code::Binary(bytes) => (STANDARD.encode(bytes), true),
            Code::Absent => return Look::Ready,
        };
        let value = json!({
            "name": &*self.name, "main": self.form.main, "code": code, "binary": binary, "env": self.form.environment,
        });
        let body = Bytes::from(json!({ "value": value }).to_string());
        match self.post("/init", body, Instant::now() + INIT_MAX).await {
            Ok(answer) if answer.status() == StatusCode::OK => Look::Ready,
            // Nothing of it was read: it does not listen after all.
            Err(InvokeError::Unreachable(_)) => Look::NotYet,
            Ok(answer) => Look::Unusable(format!("{} to `/init`{}", answer.status().as_u16(), said(answer.body()))),
            Err(error) => Look::Unusable(format!("`/init`: {error}")),
        }
    }

    /// Runs a call.
    pub(super) async fn run(&self, outbound: Outbound) -> Result<Reply, InvokeError> {
        let Outbound { head, payload, context } = outbound;
        let body = self.activation(&parameters::of(&head, payload, &context).await?, &context);
        let answer = self.post("/run", body, context.deadline).await;
        let sent = |error: &InvokeError| !matches!(error, InvokeError::Unreachable(_));
        let answer = answer.inspect_err(|error| self.spent.store(sent(error), Ordering::Relaxed))?;
        if answer.status() != StatusCode::OK {
            // The container is in no state to be run again: the platform ends it, too.
            self.spent.store(true, Ordering::Relaxed);
            let words = format!("{}{}", answer.status().as_u16(), said(answer.body()));
            return Err(InvokeError::FunctionFailed(words));
        }
        Self::result(answer.into_body(), &context)
    }

    /// What an activation is told. Parameters go as they are, so that no number of them is rounded.
    fn activation(&self, parameters: &Bytes, context: &CallContext) -> Bytes {
        let id = context.call_id.simple().to_string();
        let trace = context.traceparent.to_str().unwrap_or_default();
        let told = json!({
            "namespace": NAMESPACE,
            "action_name": format!("/{NAMESPACE}/{}", self.name),
            "action_version": "0.0.1",
            "activation_id": id,
            "transaction_id": id,
            "deadline": at(context.deadline).as_millisecond().to_string(),
            "api_key": "",
            "trace_context": { "traceparent": trace },
            "caller": &*context.principal,
        })
        .to_string();
        let told = told.strip_suffix('}').unwrap_or_default().as_bytes();
        Bytes::from([told, b",\"value\":", parameters, b"}"].concat())
    }

    fn result(body: Bytes, context: &CallContext) -> Result<Reply, InvokeError> {
        let malformed = || InvokeError::BadAnswer("a result that is no JSON object".to_owned());
        let result: Map<String, Value> = serde_json::from_slice(&body).map_err(|_| malformed())?;
        if body.len() as u64 > context.response_bytes_max {
            return Err(InvokeError::AnswerTooLarge { bytes_max: context.response_bytes_max });
        }
        if result.contains_key("error") {
            return Err(InvokeError::FunctionFailed("the action says that it failed".to_owned()));
        }
        let mut reply = Response::new(Answer::Buffered(body));
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(reply)
    }

    async fn post(&self, path: &str, body: Bytes, deadline: Instant) -> Result<Response<Bytes>, InvokeError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        let uri: Result<Uri, _> = format!("{}{path}", self.url).parse();
        *request.uri_mut() = uri.map_err(|error| InvokeError::Unreachable(error.into()))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.exchange.ask(request, deadline, RESULT_BYTES_MAX).await
    }
}

/// An error's own words, for the log.
fn said(body: &[u8]) -> String {
    let error = serde_json::from_slice::<Value>(body).ok();
    let error = error.as_ref().and_then(|value| value.get("error")).and_then(Value::as_str);
    error.map(|text| format!(": {}", plain(text))).unwrap_or_default()
}
