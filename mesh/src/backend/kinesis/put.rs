//! The requests: one record, or several, of which those that failed are put again.

use super::answer::{self, Said};
use crate::{
    backend::{
        aws_lambda::credentials::Credentials,
        exchange::{AGENT, Exchange},
        record::batch::{Failure, Outcome},
    },
    invocation::InvokeError,
    payload::Reply,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The service that is signed for.
const SERVICE: &str = "kinesis";

/// What requests are in.
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

const PUT_RECORD: HeaderValue = HeaderValue::from_static("Kinesis_20131202.PutRecord");
const PUT_RECORDS: HeaderValue = HeaderValue::from_static("Kinesis_20131202.PutRecords");
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// Longest answer, in bytes: that of 500 records has some 100,000.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How long after each round records that failed wait for the next. There is no round after the last.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// Where records go.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its name or ARN.
    pub(super) name: String,
    pub(super) region: String,
    pub(super) uri: Uri,
    pub(super) exchange: Exchange,
    pub(super) credentials: Credentials,
}

/// A record with its keys.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) data: Bytes,
    pub(super) partition_key: String,
    pub(super) explicit_hash_key: Option<String>,
    pub(super) sequence: Option<String>,
}

impl Record {
    /// What counts against the service's limits.
    pub(super) fn bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }

    fn written(&self) -> Map<String, Value> {
        let mut written = Map::new();
        written.insert("Data".to_owned(), STANDARD.encode(&self.data).into());
        written.insert("PartitionKey".to_owned(), self.partition_key.as_str().into());
        if let Some(key) = &self.explicit_hash_key {
            written.insert("ExplicitHashKey".to_owned(), key.as_str().into());
        }
        if let Some(sequence) = &self.sequence {
            written.insert("SequenceNumberForOrdering".to_owned(), sequence.as_str().into());
        }
        written
    }
}

impl Stream {
    /// Puts one record.
    pub(super) async fn put_one(&self, record: &Record, deadline: Instant) -> Result<Reply, InvokeError> {
        let answer = self.ask(PUT_RECORD, record.written(), deadline).await?;
        answer::of_one(answer)
    }

    /// Puts several. What the service says it has not kept is put again while there is time: nothing is kept twice. The
    /// order of records with one key is theirs only if none failed.
    pub(super) async fn put_all(&self, records: &[Record], deadline: Instant) -> Result<Vec<Outcome>, InvokeError> {
        let mut outcomes = vec![Outcome::Failed(Failure::Failed); records.len()];
        let mut left: Vec<usize> = (0..records.len()).collect();
        let mut pauses = PAUSES.into_iter();
        let mut first = true;
        loop {
            let round = self.put_round(records, &left, deadline).await;
            let said = match round {
                Ok(said) => said,
                Err(error) if first => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, records = left.len(), "records could not be put again");
                    for at in left {
                        if let (Some(outcome), Some(failure)) = (outcomes.get_mut(at), meaning(&error)) {
                            *outcome = Outcome::Failed(failure);
                        }
                    }
                    return Ok(outcomes);
                }
            };
            first = false;
            let mut failed = Vec::new();
            for (at, said) in left.into_iter().zip(said) {
                if matches!(said, Outcome::Failed(_)) {
                    failed.push(at);
                }
                if let Some(outcome) = outcomes.get_mut(at) {
                    *outcome = said;
                }
            }
            left = failed;
            let pause = pauses.next().filter(|pause| Instant::now() + *pause < deadline);
            let (Some(pause), false) = (pause, left.is_empty()) else { return Ok(outcomes) };
            tracing::debug!(records = left.len(), "records that were not kept are put again");
            sleep(pause).await;
        }
    }

    async fn put_round(&self, records: &[Record], at: &[usize], deadline: Instant) -> Result<Said, InvokeError> {
        let written: Vec<Value> =
            at.iter().filter_map(|at| records.get(*at)).map(|record| Value::Object(record.written())).collect();
        let count = written.len();
        let request = Map::from_iter([("Records".to_owned(), Value::Array(written))]);
        answer::of_all(self.ask(PUT_RECORDS, request, deadline).await?, count)
    }

    /// The answer to a signed request. Nothing of the caller's head is in it but what names say.
    async fn ask(
        &self,
        target: HeaderValue,
        mut written: Map<String, Value>,
        deadline: Instant,
    ) -> Result<Response<Bytes>, InvokeError> {
        let named = if self.name.starts_with("arn:") { "StreamARN" } else { "StreamName" };
        written.insert(named.to_owned(), self.name.as_str().into());
        let body = Bytes::from(json!(written).to_string());
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(TARGET, target);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(USER_AGENT, AGENT);
        let unsigned = || InvokeError::NoCredential("the service takes signed requests only".to_owned());
        let proof = self.credentials.proof(deadline).await?.ok_or_else(unsigned)?;
        proof.sign(&mut request, &body, (SERVICE, &self.region))?;
        let answer = self.exchange.ask(request, deadline, ANSWER_BYTES_MAX).await?;
        proof.judge(answer.status(), answer.headers(), answer.body());
        Ok(answer)
    }
}

/// What a round that failed whole means for its records; nothing if they are as they were.
fn meaning(error: &InvokeError) -> Option<Failure> {
    match error {
        InvokeError::Throttled { .. } => Some(Failure::Throttled),
        InvokeError::Refused(_) => Some(Failure::Failed),
        error if error.had_no_effect() => None,
        _ => Some(Failure::Unknown),
    }
}
