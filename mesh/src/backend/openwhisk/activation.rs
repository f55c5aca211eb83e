//! An activation: what an action's run came to, at once or after a while.

use super::parameters::PARAMETERS_BYTES_MAX;
use crate::{
    backend::{
        exchange::{Exchange, plain, retry_after},
        platform,
    },
    invocation::{CallContext, InvokeError},
    payload::{Answer, Reply},
    report::{Report, Start},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Largest result that the platform lets an action have is 1 MB; the record around it is longer by logs and notes.
const RECORD_BYTES_MAX: usize = 6 * 1024 * 1024;

/// The first wait for an activation that is under way; each further one is half as long again.
const POLL: Duration = Duration::from_millis(100);

/// Longest such wait.
const POLL_MAX: Duration = Duration::from_secs(2);

/// Names the activation of a web action.
const ACTIVATION_ID: HeaderName = HeaderName::from_static("x-openwhisk-activation-id");

/// Where activations are asked for.
#[derive(Debug)]
pub(super) struct Activations {
    pub(super) exchange: Exchange,
    /// `…/namespaces/NAMESPACE/activations`
    pub(super) place: String,
}

/// The record of an activation.
#[derive(Deserialize)]
struct Record {
    response: Outcome,
    duration: Option<u64>,
    #[serde(default)]
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Outcome {
    status: Option<String>,
    success: bool,
    #[serde(default)]
    result: Value,
}

#[derive(Deserialize)]
struct Annotation {
    key: String,
    value: Value,
}

/// What is answered while the action runs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    activation_id: String,
}

impl Activations {
    /// Starts an action and does not wait.
    pub(super) async fn start(
        &self,
        request: Request<Full<Bytes>>,
        context: &CallContext,
    ) -> Result<Reply, InvokeError> {
        let answer = self.exchange.ask(request, context.deadline, RECORD_BYTES_MAX).await?;
        if answer.status() != StatusCode::ACCEPTED {
            return Err(refused(&answer));
        }
        started(&answer)?;
        let mut reply = Response::new(Answer::Empty);
        *reply.status_mut() = StatusCode::ACCEPTED;
        Ok(reply)
    }

    /// Runs an action and waits for its result, also when the platform no longer does.
    pub(super) async fn wait(
        &self,
        request: Request<Full<Bytes>>,
        context: &CallContext,
        ask: impl Fn() -> Request<Full<Bytes>>,
    ) -> Result<Reply, InvokeError> {
        let answer = self.exchange.ask(request, context.deadline, RECORD_BYTES_MAX).await?;
        match answer.status() {
            StatusCode::OK => result(answer.body(), context),
            StatusCode::ACCEPTED => self.follow(&started(&answer)?, context, ask).await,
            _ => Err(refused(&answer)),
        }
    }

    async fn follow(
        &self,
        id: &str,
        context: &CallContext,
        ask: impl Fn() -> Request<Full<Bytes>>,
    ) -> Result<Reply, InvokeError> {
        let mut pause = POLL;
        loop {
            if Instant::now() + pause >= context.deadline {
                sleep_until(context.deadline).await;
                return Err(InvokeError::TimedOut);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(POLL_MAX);
            let mut request = ask();
            let uri = format!("{}/{id}", self.place).parse();
            *request.uri_mut() = uri.map_err(|_| InvokeError::BadAnswer("the activation's id is none".to_owned()))?;
            match self.exchange.ask(request, context.deadline, RECORD_BYTES_MAX).await {
                Ok(answer) if answer.status() == StatusCode::OK => return result(answer.body(), context),
                // The record is written when the action has ended; asking for it has no effect, so all else is patience.
                Ok(answer) if is_passing(answer.status()) => {}
                Ok(answer) => return Err(InvokeError::FunctionFailed(answer.status().as_u16().to_string())),
                Err(InvokeError::TimedOut) => return Err(InvokeError::TimedOut),
                Err(InvokeError::Broken(_) | InvokeError::Unreachable(_)) => {}
                Err(other) => return Err(other),
            }
        }
    }
}

/// Not there yet, or the platform is busy.
fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS) || status.is_server_error()
}

/// The id of what was started, if it can be one.
fn started(answer: &Response<Bytes>) -> Result<String, InvokeError> {
    let started: Option<Started> = serde_json::from_slice(answer.body()).ok();
    let id = started.map(|started| started.activation_id);
    let sound = |id: &String| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    id.filter(sound).ok_or_else(|| InvokeError::BadAnswer("no `activationId`".to_owned()))
}

/// What a record says: the result, or that the action failed.
fn result(bytes: &Bytes, context: &CallContext) -> Result<Reply, InvokeError> {
    let record: Record =
        serde_json::from_slice(bytes).map_err(|_| InvokeError::BadAnswer("no record of an activation".to_owned()))?;
    // The time to initialise is noted of a cold start only.
    let note = |key: &str| record.annotations.iter().find(|note| note.key == key).map(|note| &note.value);
    let init_ms = note("initTime").and_then(Value::as_u64);
    let memory_mib = note("limits").and_then(|limits| limits.get("memory")).and_then(Value::as_u64);
    tracing::debug!(call = %context.call_id, duration_ms = record.duration, cold = init_ms.is_some(), init_ms, "an action ran");
    context.reporting.tell(Report {
        start: Some(if init_ms.is_some() { Start::Cold } else { Start::Warm }),
        init: init_ms.map(Duration::from_millis),
        ran: record.duration.map(Duration::from_millis),
        memory_mib: memory_mib.and_then(|mib| u32::try_from(mib).ok()),
        ..Report::default()
    });
    if !record.response.success {
        let status = record.response.status.as_deref().unwrap_or("no status");
        return Err(InvokeError::FunctionFailed(plain(status)));
    }
    let body = record.response.result.to_string();
    if body.len() as u64 > context.response_bytes_max {
        return Err(InvokeError::AnswerTooLarge { bytes_max: context.response_bytes_max });
    }
    let mut reply = Response::new(Answer::Buffered(Bytes::from(body)));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(reply)
}

/// What a status other than success means. The body may repeat the result or name limits; the status says enough.
fn refused(answer: &Response<Bytes>) -> InvokeError {
    let status = answer.status();
    let word = status.as_u16().to_string();
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => InvokeError::RequestTooLarge { bytes_max: Some(PARAMETERS_BYTES_MAX as u64) },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            InvokeError::Throttled { retry_after: retry_after(answer.headers()) }
        }
        // The action ran and failed, or its container did.
        _ if status.is_server_error() => InvokeError::FunctionFailed(match status_of(answer.body()) {
            Some(said) => format!("{word}: {}", plain(&said)),
            None => word,
        }),
        _ => InvokeError::Refused(word),
    }
}

fn status_of(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Record>(body).ok()?.response.status
}

/// A web action's answer. The platform names the activation of every action that ran: an error without is its own, and says
/// nothing that the caller may hear.
pub(super) fn web(mut reply: Reply) -> Result<Reply, InvokeError> {
    let (status, ran) = (reply.status(), reply.headers_mut().remove(ACTIVATION_ID).is_some());
    let word = status.as_u16().to_string();
    match ran {
        true if status == StatusCode::BAD_GATEWAY => Err(InvokeError::FunctionFailed(word)),
        false if status.is_client_error() || status.is_server_error() => {
            Err(platform::refused(status, reply.headers(), word, Some(PARAMETERS_BYTES_MAX)))
        }
        _ => Ok(reply),
    }
}
