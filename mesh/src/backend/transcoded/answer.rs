//! What a function of HTTP answered, as messages and a status of gRPC.

use super::{Speech, framed, lines, replied};
use crate::{
    bind::transcode::{Binding, status::of_http},
    invocation::{CallContext, InvokeError},
    payload::{Answer, Body, BodyError, Reply, whole::collect},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use std::sync::Arc;
use tokio::time::timeout_at;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What `grpc-message` encodes: all but printable ASCII, and the sign of an encoding.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// Largest error that is read, in bytes. What is longer says nothing.
const PROBLEM_BYTES_MAX: u64 = 64 * 1024;

/// Longest words of a status, in characters.
const WORDS_CHARS_MAX: usize = 1024;

/// Media types of a message as it is; none at all counts as one.
const BYTES: [&str; 4] = ["", "application/protobuf", "application/x-protobuf", "application/octet-stream"];

/// Makes an answer one of gRPC.
pub(super) async fn of(reply: Reply, speech: &Speech, context: &CallContext) -> Result<Reply, InvokeError> {
    let (head, answer) = reply.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    if !head.status.is_success() {
        let body = whole(answer, PROBLEM_BYTES_MAX, context).await.unwrap_or_default();
        let mut reply = replied(&head.headers, Answer::Empty);
        reply.headers_mut().extend(problem(head.status, &body));
        return Ok(reply);
    }
    if let Speech::Json(binding) = speech
        && binding.method().answers_stream()
        && let Some(form) = lines::Form::of(&kind, binding)
    {
        let body = body(answer)?;
        let frames = lines::messages(body, form, binding.clone(), context.response_bytes_max);
        return Ok(replied(&head.headers, Answer::Stream(frames)));
    }
    let body = whole(answer, context.response_bytes_max, context).await?;
    let messages = match speech {
        Speech::Bytes if BYTES.contains(&media_type(&kind).as_str()) => vec![body],
        Speech::Bytes => return Err(InvokeError::BadAnswer("not a message as it is".to_owned())),
        Speech::Json(binding) => heard(binding, &kind, body)?,
    };
    let frames: Vec<Result<Frame<Bytes>, BodyError>> =
        messages.iter().map(|message| Ok(Frame::data(framed(message)))).chain([Ok(Frame::trailers(ok()))]).collect();
    let body = StreamBody::new(stream::iter(frames)).boxed_unsync();
    Ok(replied(&head.headers, Answer::Stream(body)))
}

/// The messages of an answer that is read whole: one, or those of a list where the method answers with a stream.
fn heard(binding: &Arc<Binding>, kind: &str, body: Bytes) -> Result<Vec<Bytes>, InvokeError> {
    let bad = |why: &dyn std::fmt::Display| InvokeError::BadAnswer(why.to_string());
    if !binding.method().answers_stream() {
        return Ok(vec![binding.heard(kind, &body).map_err(|why| bad(&why))?]);
    }
    if body.is_empty() {
        return Ok(Vec::new());
    }
    match crate::bind::strict::read(&body).map_err(|why| bad(&why))? {
        Value::Array(items) => {
            let one = |item: &Value| binding.heard(kind, &item.to_string().into());
            items.iter().map(one).collect::<Result<_, _>>().map_err(|why| bad(&why))
        }
        _ => Ok(vec![binding.heard(kind, &body).map_err(|why| bad(&why))?]),
    }
}

/// The status of an answer that is an error.
fn problem(status: StatusCode, body: &[u8]) -> HeaderMap {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    told(status.as_u16(), &json).unwrap_or_else(|| {
        fields(of_http(status.as_u16(), None), &format!("the function answered {}", status.as_u16()))
    })
}

/// The status that an error in JSON tells: `{"error": {…}}` of Google's interfaces, a `google.rpc.Status`, or a problem
/// of RFC 9457.
pub(super) fn told(status: u16, json: &Value) -> Option<HeaderMap> {
    let error = json.get("error").filter(|error| error.is_object()).unwrap_or(json);
    let text = |name: &str| error.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let words = text("message").or_else(|| text("detail")).or_else(|| text("title"))?;
    let words: String = words.chars().take(WORDS_CHARS_MAX).collect();
    Some(fields(of_http(status, text("status")), &words))
}

/// The end of a call that went well.
pub(super) fn ok() -> HeaderMap {
    HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))])
}

fn fields(code: u8, words: &str) -> HeaderMap {
    let mut fields = HeaderMap::from_iter([(STATUS, HeaderValue::from(u16::from(code)))]);
    let words = HeaderValue::try_from(utf8_percent_encode(words, ENCODED).to_string()).ok();
    fields.extend(words.map(|words| (MESSAGE, words)));
    fields
}

pub(super) fn media_type(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn body(answer: Answer) -> Result<Body, InvokeError> {
    match answer {
        Answer::Stream(body) => Ok(body),
        Answer::Empty => Ok(StreamBody::new(stream::empty()).boxed_unsync()),
        Answer::Buffered(bytes) => Ok(StreamBody::new(stream::iter([Ok(Frame::data(bytes))])).boxed_unsync()),
        Answer::Duplex { .. } => Err(InvokeError::BadAnswer("an upgrade".to_owned())),
    }
}

async fn whole(answer: Answer, bytes_max: u64, context: &CallContext) -> Result<Bytes, InvokeError> {
    let reading = collect(body(answer)?, bytes_max);
    timeout_at(context.deadline, reading).await.map_err(|_| InvokeError::TimedOut)?
}
