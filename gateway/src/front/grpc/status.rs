//! Statuses on the wire: code, message, and `google.rpc.Status` with the refusal's word and the call's id.

use crate::refusal::Refusal;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use mesh::backend::grpc::{GrpcError, OK};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use proto::{
    prost::Message,
    rpc::{ErrorInfo, RetryInfo, Status},
    well_known::{Any, Duration},
};
use uuid::Uuid;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Who gives the reasons their meaning.
const DOMAIN: &str = "latchwork";

/// What `grpc-message` encodes: all but printable ASCII, and the sign of an encoding.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// A good end.
pub(crate) fn ok() -> HeaderMap {
    fields(OK, None)
}

/// A refusal, with details that a program can read.
pub(crate) fn refusal(refusal: &Refusal, call: Uuid) -> HeaderMap {
    let row = refusal.public();
    let message = match refusal.detail() {
        Some(detail) => format!("{}: {detail}", row.title),
        None => row.title.to_owned(),
    };
    let info = ErrorInfo {
        reason: row.word.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: [("call_id".to_owned(), call.to_string())].into_iter().collect(),
    };
    let mut details = vec![any("google.rpc.ErrorInfo", &info)];
    if let Some(wait) = refusal.retry_after() {
        let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        let delay = Duration { seconds, nanos: i32::try_from(wait.subsec_nanos()).unwrap_or_default() };
        details.push(any("google.rpc.RetryInfo", &RetryInfo { retry_delay: Some(delay) }));
    }
    let status = Status { code: i32::from(row.grpc), message: message.clone(), details };
    let mut fields = fields(row.grpc, Some(&message));
    if let Ok(value) = HeaderValue::try_from(STANDARD_NO_PAD.encode(status.encode_to_vec())) {
        fields.insert(DETAILS, value);
    }
    fields
}

/// Whether there is a status at all.
pub(crate) fn is_there(fields: &HeaderMap) -> bool {
    fields.contains_key(STATUS)
}

/// Whether the status is a good one.
pub(crate) fn is_good(fields: &HeaderMap) -> bool {
    fields.get(STATUS).is_some_and(|code| code == "0")
}

/// Whether a field is one of a status.
pub(crate) fn is_field(name: &HeaderName) -> bool {
    [STATUS, MESSAGE, DETAILS].contains(name)
}

/// Whether trailers say that the deadline was exceeded.
pub(crate) fn is_late(trailers: &HeaderMap) -> bool {
    trailers.get(STATUS).is_some_and(|code| code == "4")
}

/// Any other end.
pub(crate) fn of(code: u8, message: &str) -> HeaderMap {
    fields(code, Some(message))
}

/// The end of a stream that broke.
pub(crate) fn broken(error: &GrpcError) -> HeaderMap {
    fields(error.code, Some(error.message))
}

fn fields(code: u8, message: Option<&str>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(STATUS, HeaderValue::from(u16::from(code)));
    if let Some(Ok(value)) = message.map(|m| HeaderValue::try_from(utf8_percent_encode(m, ENCODED).to_string())) {
        fields.insert(MESSAGE, value);
    }
    fields
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_to_programs_too() {
        let call = Uuid::now_v7();
        for refused in Refusal::every() {
            let fields = refusal(&refused, call);
            let row = refused.public();
            assert_eq!(fields["grpc-status"], row.grpc.to_string().as_str());
            let bytes = STANDARD_NO_PAD.decode(&fields["grpc-status-details-bin"]).unwrap();
            let status = Status::decode(&*bytes).unwrap();
            assert_eq!(status.code, i32::from(row.grpc));
            let info = ErrorInfo::decode(&*status.details[0].value).unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (row.word, "latchwork"));
            assert_eq!(info.metadata["call_id"], call.to_string());
            assert_eq!(status.details.len(), 1 + usize::from(refused.retry_after().is_some()));
        }
    }

    #[test]
    fn messages_are_printable_ascii() {
        let fields = refusal(&Refusal::BadInput("é 50 %\n".to_owned()), Uuid::now_v7());
        let message = fields["grpc-message"].to_str().unwrap();
        assert!(message.ends_with(": %C3%A9 50 %25%0A"), "{message}");
    }
}
