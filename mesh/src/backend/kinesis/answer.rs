//! What the service's answers mean: what is kept, what is not, and why.

use crate::{
    backend::{
        aws_lambda::answer::{is_throttle, kind},
        exchange::retry_after,
        platform,
        record::{
            self,
            batch::{Failure, Outcome},
        },
    },
    invocation::InvokeError,
    payload::Reply,
};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What became of each record of one request.
pub(super) type Said = Vec<Outcome>;

/// One record's part of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Part {
    shard_id: Option<String>,
    sequence_number: Option<String>,
    error_code: Option<String>,
}

/// The answer to several.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parts {
    records: Vec<Part>,
}

/// The answer to one record.
pub(super) fn of_one(answer: Response<Bytes>) -> Result<Reply, InvokeError> {
    let part: Part = read(answer)?;
    match part.outcome() {
        Some(Outcome::Kept(said)) => Ok(record::kept(StatusCode::ACCEPTED, &Value::Object(said))),
        _ => Err(InvokeError::BadAnswer("a record without a sequence number".to_owned())),
    }
}

/// The answer to so many records, each in its place.
pub(super) fn of_all(answer: Response<Bytes>, count: usize) -> Result<Said, InvokeError> {
    let parts: Parts = read(answer)?;
    let outcomes: Option<Said> = parts.records.iter().map(Part::outcome).collect();
    let outcomes = outcomes.filter(|outcomes| outcomes.len() == count);
    outcomes.ok_or_else(|| InvokeError::BadAnswer("not one part for each record".to_owned()))
}

impl Part {
    fn outcome(&self) -> Option<Outcome> {
        match (&self.error_code, &self.shard_id, &self.sequence_number) {
            // Whatever the code says, the service has not kept it. Messages name accounts and streams.
            (Some(code), ..) => {
                let throttled = is_throttle(code);
                Some(Outcome::Failed(if throttled { Failure::Throttled } else { Failure::Failed }))
            }
            (None, Some(shard), Some(sequence)) => Some(Outcome::Kept(Map::from_iter([
                ("shard".to_owned(), shard.as_str().into()),
                ("sequence".to_owned(), sequence.as_str().into()),
            ]))),
            _ => None,
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(answer: Response<Bytes>) -> Result<T, InvokeError> {
    if answer.status() != StatusCode::OK {
        return Err(refused(&answer));
    }
    serde_json::from_slice(answer.body()).map_err(|_| InvokeError::BadAnswer("no answer of the service".to_owned()))
}

/// What a status other than 200 means. The body may repeat names and accounts; the error's type says enough.
fn refused(answer: &Response<Bytes>) -> InvokeError {
    let (status, headers) = (answer.status(), answer.headers());
    let kind = kind(headers, answer.body());
    if is_throttle(&kind) {
        return InvokeError::Throttled { retry_after: retry_after(headers) };
    }
    let named = if kind.is_empty() { "no error type" } else { &kind };
    platform::refused(status, headers, format!("{} {named}", status.as_u16()), None)
}
