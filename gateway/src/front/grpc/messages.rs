//! Functions of gRPC: the message of a call by name, and the one input object of a call of either kind.

use super::{
    invoke::Kind,
    message::{PREFIX_BYTES, frame, split},
};
use crate::{call::RequestHead, generation::Served, refusal::Refusal};
use bytes::Bytes;
use http::{HeaderValue, header::CONTENT_TYPE};
use mesh::bind::{InputError, InputSchema, protobuf::Method};
use serde_json::Value;
use std::sync::Arc;

/// Media types of a message as bytes.
const BINARY: [&str; 3] = ["application/octet-stream", "application/protobuf", "application/x-protobuf"];

/// Makes a call by name into the call that a client of the service would have sent.
///
/// # Errors
/// [`Refusal::UnsupportedMedia`], [`Refusal::BadInput`]; [`Refusal::Malformed`] for a shape that a call by name has not.
pub(crate) fn by_name(kind: Kind, served: &Served, head: &mut RequestHead, input: Bytes) -> Result<Bytes, Refusal> {
    let method = served.function.method.as_ref();
    shape(kind, method)?;
    let given = head.headers.get(CONTENT_TYPE).map(media_type).unwrap_or_default();
    let message = match method {
        _ if given.is_empty() || BINARY.contains(&given.as_str()) => input,
        Some(method) => {
            let message = method.message(&head.headers, &input).map_err(bad_input)?;
            head.json = true;
            message
        }
        None if given.ends_with("json") => {
            let why = "this function takes its message as `binary`; `json` needs `descriptors` in its configuration";
            return Err(Refusal::UnsupportedMedia(why.into()));
        }
        None => return Err(Refusal::UnsupportedMedia("this function takes its message as `binary`".into())),
    };
    // Nothing was given, so the answer's form is the one that more callers can read.
    head.json |= given.is_empty() && method.is_some();
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(frame(&message))
}

/// What policy sees of the one message of a request.
///
/// # Errors
/// [`Refusal::BadInput`], and those of a frame.
pub(crate) fn input(method: &Method, schema: &InputSchema, body: &Bytes) -> Result<Arc<Value>, Refusal> {
    method.input(&one(body)?, schema).map_err(bad_input)
}

/// Sees that a request has one message, and that nothing of it is lost on a target that is given JSON.
///
/// # Errors
/// [`Refusal::BadInput`], and those of a frame.
pub(crate) fn whole(served: &Served, body: &Bytes) -> Result<(), Refusal> {
    let message = one(body)?;
    let bytes = served.config.route.as_ref().is_some_and(|route| route.bytes);
    let method = served.function.method.as_ref().filter(|_| !bytes);
    method.map_or(Ok(()), |method| method.described(&message)).map_err(bad_input)
}

fn one(body: &Bytes) -> Result<Bytes, Refusal> {
    let mut rest = body.clone();
    let message = split(&mut rest, u64::MAX)?.ok_or(malformed("the message is not whole"))?;
    if rest.is_empty() { Ok(message) } else { Err(malformed("there is more than one message")) }
}

/// How many bytes a frame may have whose message is this large.
pub(crate) fn framed_max(message_bytes_max: u64) -> u64 {
    message_bytes_max.saturating_add(PREFIX_BYTES as u64)
}

/// What is wrong with an input.
pub(crate) fn bad_input(error: InputError) -> Refusal {
    match error {
        InputError::ContentType | InputError::ContentEncoding => Refusal::UnsupportedMedia(error.to_string().into()),
        InputError::NotStrictJson(_)
        | InputError::Message(_)
        | InputError::Parameter(_)
        | InputError::Schema { .. } => Refusal::BadInput(error.to_string()),
    }
}

fn shape(kind: Kind, method: Option<&Method>) -> Result<(), Refusal> {
    match (method, kind) {
        (Some(method), _) if method.takes_stream() => {
            Err(malformed("the function takes a stream of messages: call it as a client of its service"))
        }
        (Some(method), Kind::Unary) if method.answers_stream() => Err(malformed(super::replies::STREAMED)),
        (_, Kind::Unary | Kind::Stream) => Ok(()),
    }
}

fn media_type(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    text.split(';').next().unwrap_or_default().trim().to_owned()
}

fn malformed(why: &'static str) -> Refusal {
    Refusal::Malformed(why.into())
}
