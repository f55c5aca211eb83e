//! The AWS Lambda Runtime API (2018-06-01), on a port of its own for each instance: it sees its own calls only.

use crate::{
    host::{
        pieces::{Piece, Pieces},
        work::Answered,
    },
    payload::Wire,
};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, TRAILER},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// Most connections of one instance at once. Runtimes use one or two.
const CONNECTIONS_MAX: usize = 32;

/// Longest error report that is read, in bytes.
const ERROR_BYTES_MAX: usize = 256 * 1024;

/// Longest error that is told on, in characters.
const ERROR_CHARS_MAX: usize = 1000;

/// After a failed accept (out of descriptors), the next try waits this long.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Says that an answer comes piece by piece.
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// What kind of failure is reported.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// The same, as AWS's runtime for Rust writes it: as the last piece of the body, where the trailers that it has announced belong.
const ERROR_LINE: &[u8] = b"Lambda-Runtime-Function-Error-Type: ";

/// The path before every call of the API.
const PREFIX: &str = "/2018-06-01/runtime/";

/// What an instance asks of its host.
#[derive(Debug)]
pub(super) enum Ask {
    /// Its next call.
    Next(oneshot::Sender<Handed>),
    /// It has answered a call.
    Answer {
        /// Which, as it wrote it.
        call_id: String,
        /// What.
        outcome: Outcome,
        /// Whether that was its call.
        verdict: oneshot::Sender<Verdict>,
    },
    /// An answer that came piece by piece is over.
    Streamed,
    /// It can't start.
    InitError(String),
}

/// How a call went.
#[derive(Debug)]
pub(super) enum Outcome {
    /// An answer.
    Answered(Answered),
    /// An answer that comes piece by piece.
    Streaming(Pieces),
    /// The function says that it failed.
    Failed(String),
    /// An answer over the limit; none of it was kept.
    TooLarge,
}

/// What `next` gets.
#[derive(Debug)]
pub(super) enum Handed {
    /// A call.
    Call(Call),
    /// The last call is not answered yet.
    NotYet,
}

/// A call as the function sees it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) event: Bytes,
}

/// What an answer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    /// Another call's id.
    UnknownId,
    /// No call is running.
    NotRunning,
}

/// The API of one instance.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) answer_bytes_max: usize,
}

impl RuntimeApi {
    /// Serves until dropped.
    pub(super) async fn serve(self, listener: TcpListener) {
        let api = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(api.clone().connection(stream))),
                    Err(_) => tokio::time::sleep(ACCEPT_REST).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let api = self.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        // No header time-out: an instance keeps its connection open for as long as its call lasts.
        let mut builder = http1::Builder::new();
        builder.header_read_timeout(None).half_close(false);
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Wire> {
        let path = request.uri().path().to_owned();
        let Some(call) = path.strip_prefix(PREFIX) else {
            return refuse(StatusCode::NOT_FOUND, "NotFound", "no such path");
        };
        let segments: Vec<&str> = call.split('/').collect();
        match (request.method(), segments.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => self.response(id, request).await,
            (&Method::POST, ["invocation", id, "error"]) => {
                let outcome = Outcome::Failed(self.error(request).await);
                self.judge(id, outcome).await
            }
            (&Method::POST, ["init", "error"]) => {
                let reason = self.error(request).await;
                let _ = self.asks.send(Ask::InitError(reason)).await;
                accepted()
            }
            (_, ["invocation", "next"] | ["invocation", _, "response" | "error"] | ["init", "error"]) => {
                refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "another method is used here")
            }
            _ => refuse(StatusCode::NOT_FOUND, "NotFound", "no such path"),
        }
    }

    async fn next(&self) -> Response<Wire> {
        let (reply, handed) = oneshot::channel();
        let _ = self.asks.send(Ask::Next(reply)).await;
        let call = match handed.await {
            Ok(Handed::Call(call)) => call,
            Ok(Handed::NotYet) => return refuse_state("the last call is not answered yet"),
            Err(_) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, "Stopped", "this instance gets no more calls"),
        };
        let mut response = Response::new(Wire::Full(call.event));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in call.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    async fn response(&self, call_id: &str, request: Request<Incoming>) -> Response<Wire> {
        if request.headers().get(RESPONSE_MODE).is_some_and(|mode| mode == "streaming") {
            return self.streamed(call_id, request).await;
        }
        let collected = match Limited::new(request.into_body(), self.answer_bytes_max).collect().await {
            Ok(collected) => collected,
            Err(error) if error.is::<LengthLimitError>() => {
                self.judge(call_id, Outcome::TooLarge).await;
                let limit = self.answer_bytes_max;
                let words = format!("the answer is larger than {limit} bytes");
                return refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &words);
            }
            // The connection broke: the runtime may send its answer again.
            Err(_) => return refuse(StatusCode::BAD_REQUEST, "BadRequest", "the body broke off"),
        };
        self.judge(call_id, Outcome::Answered(Answered { body: collected.to_bytes() })).await
    }

    /// An answer that is passed on while it comes.
    async fn streamed(&self, call_id: &str, request: Request<Incoming>) -> Response<Wire> {
        let (sender, pieces) = Pieces::new();
        let judged = self.judge(call_id, Outcome::Streaming(pieces)).await;
        if judged.status() != StatusCode::ACCEPTED {
            return judged;
        }
        let end = pump(request, &sender).await;
        let broken = end.is_none();
        // A caller who has hung up needs no end.
        let _ = sender.send(end.unwrap_or_else(|| Piece::Failed("the body broke off".to_owned()))).await;
        let _ = self.asks.send(Ask::Streamed).await;
        if broken { refuse(StatusCode::BAD_REQUEST, "BadRequest", "the body broke off") } else { judged }
    }

    async fn judge(&self, call_id: &str, outcome: Outcome) -> Response<Wire> {
        let (verdict, judged) = oneshot::channel();
        let _ = self.asks.send(Ask::Answer { call_id: call_id.to_owned(), outcome, verdict }).await;
        match judged.await {
            Ok(Verdict::Accepted) => accepted(),
            Ok(Verdict::UnknownId) => {
                refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "this is not the current call")
            }
            Ok(Verdict::NotRunning) => refuse_state("no call is running"),
            Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "Stopped", "this instance gets no more calls"),
        }
    }

    /// An error report in words: `errorType: errorMessage`.
    async fn error(&self, request: Request<Incoming>) -> String {
        let kind = request.headers().get(ERROR_TYPE).cloned();
        let kind = kind.map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
        let body = Limited::new(request.into_body(), ERROR_BYTES_MAX).collect().await;
        let report: Value =
            body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok()).unwrap_or_default();
        let field = |name: &str| report.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = field("errorType").or(kind).unwrap_or_else(|| "Unknown".to_owned());
        match field("errorMessage") {
            Some(message) => bounded(&format!("{kind}: {message}")),
            None => bounded(&kind),
        }
    }
}

/// Passes on what comes, until the end; `None` when the connection broke. A caller who hangs up does not stop the function.
async fn pump(request: Request<Incoming>, pieces: &mpsc::Sender<Piece>) -> Option<Piece> {
    let announced = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(ERROR_TYPE.as_bytes());
    let announced = request.headers().get_all(TRAILER).iter().any(announced);
    let mut body = request.into_body();
    let mut last = None;
    while let Some(frame) = body.frame().await {
        match frame.ok()?.into_data() {
            Ok(data) => {
                if let Some(before) = last.take() {
                    drop(pieces.send(Piece::Data(before)).await);
                }
                match announced && data.starts_with(ERROR_LINE) {
                    true => last = Some(data),
                    false => drop(pieces.send(Piece::Data(data)).await),
                }
            }
            // An answer that failed half-way says so behind its body.
            Err(frame) => {
                if let Some(kind) = frame.trailers_ref().and_then(|trailers| trailers.get(ERROR_TYPE)) {
                    return Some(Piece::Failed(bounded(&String::from_utf8_lossy(kind.as_bytes()))));
                }
            }
        }
    }
    let failed = last.as_deref().and_then(|line| line.strip_prefix(ERROR_LINE));
    Some(failed.map_or(Piece::End, |kind| {
        let kind = String::from_utf8_lossy(kind);
        Piece::Failed(bounded(kind.lines().next().unwrap_or_default()))
    }))
}

fn bounded(text: &str) -> String {
    text.chars().take(ERROR_CHARS_MAX).collect()
}

fn accepted() -> Response<Wire> {
    respond(StatusCode::ACCEPTED, &json!({ "status": "OK" }))
}

fn refuse_state(words: &str) -> Response<Wire> {
    refuse(StatusCode::FORBIDDEN, "InvalidStateTransition", words)
}

fn refuse(status: StatusCode, kind: &str, words: &str) -> Response<Wire> {
    respond(status, &json!({ "errorMessage": words, "errorType": kind }))
}

fn respond(status: StatusCode, body: &Value) -> Response<Wire> {
    let mut response = Response::new(Wire::Full(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests;
