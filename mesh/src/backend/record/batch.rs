//! Several records in one call: how a body is taken apart, and the answer that says what became of each.

use super::kept;
use crate::{bind::strict, invocation::InvokeError, payload::Reply};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How a body holds several records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Batch {
    /// A list in JSON: each element, as JSON, is a record.
    Array,
    /// Lines: each that is not empty is a record, to the byte.
    Lines,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Outcome {
    /// It is kept, under this.
    Kept(Map<String, Value>),
    /// It is not.
    Failed(Failure),
}

/// Why a record is not kept, as the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Failure {
    /// There was no room for it.
    Throttled,
    /// The service failed.
    Failed,
    /// It may be kept: nobody knows.
    Unknown,
}

impl Batch {
    /// The records of a body, at least one and at most `records_max`. What the headers say of the body, they say of each
    /// record afterwards.
    pub(in crate::backend) fn split(
        self,
        headers: &mut HeaderMap,
        body: &Bytes,
        records_max: usize,
    ) -> Result<Vec<Bytes>, InvokeError> {
        if headers.get_all(CONTENT_ENCODING).iter().any(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(InvokeError::Unsupported("several records in an encoded body"));
        }
        headers.remove(CONTENT_TYPE);
        if self == Self::Array {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let records: Vec<Bytes> = match self {
            Self::Array => {
                let no_list = InvokeError::Unsupported("a body that is no list in strict JSON");
                // Numbers are held exactly, or it is not read: what is written again says the same.
                let Ok(Value::Array(list)) = strict::read(body) else { return Err(no_list) };
                list.iter().map(|value| Bytes::from(value.to_string())).collect()
            }
            Self::Lines => body
                .split(|byte| *byte == b'\n')
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
                .filter(|line| !line.is_empty())
                .map(|line| body.slice_ref(line))
                .collect(),
        };
        match records.len() {
            0 => Err(InvokeError::Unsupported("a body without a record")),
            count if count > records_max => Err(InvokeError::RequestTooLarge { bytes_max: None }),
            _ => Ok(records),
        }
    }
}

impl Failure {
    fn word(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// The answer to a call of several records, each in its place: 202 if all are kept, 207 if some may not be.
pub(in crate::backend) fn answer(outcomes: &[Outcome]) -> Result<Reply, InvokeError> {
    let failures: Vec<Failure> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Kept(_) => None,
            Outcome::Failed(failure) => Some(*failure),
        })
        .collect();
    if failures.len() == outcomes.len() && !failures.contains(&Failure::Unknown) {
        return Err(match failures.contains(&Failure::Throttled) {
            true => InvokeError::Throttled { retry_after: None },
            false => InvokeError::FunctionFailed("none of the records is kept".to_owned()),
        });
    }
    let records: Vec<Value> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Kept(said) => Value::Object(said.clone()),
            Outcome::Failed(failure) => json!({ "failed": failure.word() }),
        })
        .collect();
    let status = if failures.is_empty() { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    Ok(kept(status, &json!({ "failed": failures.len(), "records": records })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(batch: Batch, body: &'static str) -> Result<Vec<Bytes>, InvokeError> {
        batch.split(&mut HeaderMap::new(), &Bytes::from_static(body.as_bytes()), 3)
    }

    #[test]
    fn bodies_are_taken_apart() {
        assert_eq!(split(Batch::Lines, "a\r\n\n{\"b\": 1}\n").unwrap(), ["a", "{\"b\": 1}"]);
        assert_eq!(split(Batch::Array, r#"[{"b":1,"a":2.50}, "x"]"#).unwrap(), [r#"{"b":1,"a":2.5}"#, "\"x\""]);
        for (batch, wrong) in
            [(Batch::Lines, "\n\r\n"), (Batch::Array, "[]"), (Batch::Array, "{}"), (Batch::Array, r#"[{"a":1,"a":2}]"#)]
        {
            assert!(matches!(split(batch, wrong), Err(InvokeError::Unsupported(_))), "{wrong}");
        }
        assert!(matches!(split(Batch::Array, "[1,2,3,4]"), Err(InvokeError::RequestTooLarge { .. })));
    }

    #[test]
    fn headers_speak_of_each_record() {
        for (batch, expected) in [(Batch::Array, Some("application/json")), (Batch::Lines, None)] {
            let said = [(CONTENT_TYPE, "application/x-ndjson"), (CONTENT_ENCODING, "identity")];
            let mut headers = HeaderMap::from_iter(said.map(|(name, value)| (name, HeaderValue::from_static(value))));
            assert_eq!(batch.split(&mut headers, &Bytes::from("[1]"), 3).unwrap().len(), 1);
            assert_eq!(headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap()), expected);
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            assert!(matches!(batch.split(&mut headers, &Bytes::from("[1]"), 3), Err(InvokeError::Unsupported(_))));
        }
    }

    #[test]
    fn what_became_of_each_is_said() {
        let kept = || Outcome::Kept(Map::from_iter([("sequence".to_owned(), "7".into())]));
        let failed = |failure| Outcome::Failed(failure);
        assert_eq!(answer(&[kept(), kept()]).unwrap().status(), 202);
        assert_eq!(answer(&[kept(), failed(Failure::Throttled)]).unwrap().status(), 207);
        assert_eq!(answer(&[failed(Failure::Unknown), failed(Failure::Failed)]).unwrap().status(), 207);
        let none = answer(&[failed(Failure::Failed), failed(Failure::Throttled)]);
        assert!(matches!(none, Err(InvokeError::Throttled { .. })));
        assert!(matches!(answer(&[failed(Failure::Failed)]), Err(InvokeError::FunctionFailed(_))));
    }
}
