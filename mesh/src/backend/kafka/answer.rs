//! What brokers' answers mean: what is kept, what is not and why, and what nobody knows.

use crate::{
    backend::record::{
        self,
        batch::{self, Failure, Outcome},
    },
    invocation::InvokeError,
    payload::Reply,
};
use http::StatusCode;
use rskafka::{
    messenger::RequestError,
    protocol::{error::Error as Code, messages::ProduceResponse},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, time::Duration};

/// Where a record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// Why a record is not kept, or may not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// No broker could be asked: nothing was sent.
    #[error("no broker: {0}")]
    Unreachable(String),
    /// Another broker leads the partition now, or none: nothing is kept, and who leads is to be asked again.
    #[error("no leader: {0}")]
    Moved(String),
    /// Nothing is kept for now.
    #[error("the broker takes no more for now")]
    Throttled(Option<Duration>),
    /// Larger than the target or the topic takes: nothing is kept.
    #[error("too large")]
    TooLarge(Option<usize>),
    /// Names or rights are not right: nothing is kept.
    #[error("refused: {0}")]
    Refused(String),
    /// It may be kept.
    #[error("no answer in time")]
    TimedOut,
    /// It may be kept: the connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// It may be kept: the broker failed.
    #[error("the broker failed: {0}")]
    Failed(String),
    /// It may be kept: the answer is none.
    #[error("no answer of a broker: {0}")]
    Malformed(String),
}

/// What became of a record.
pub(super) type Said = Result<Place, Trouble>;

impl Trouble {
    /// What a broker's code for a partition means.
    pub(super) fn of(code: Code) -> Self {
        let words = format!("{code:?}");
        match code {
            Code::NotLeaderOrFollower
            | Code::LeaderNotAvailable
            | Code::UnknownTopicOrPartition
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable => Self::Moved(words),
            // Too few replicas are in sync, and the leader has not written it.
            Code::NotEnoughReplicas | Code::ThrottlingQuotaExceeded => Self::Throttled(None),
            Code::MessageTooLarge | Code::RecordListTooLarge => Self::TooLarge(None),
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::InvalidTopicException
            | Code::PolicyViolation
            | Code::InvalidRecord
            | Code::CorruptMessage
            | Code::InvalidTimestamp
            | Code::InvalidRequiredAcks
            | Code::InvalidRequest
            | Code::UnsupportedVersion
            | Code::UnsupportedForMessageFormat
            | Code::UnsupportedCompressionType => Self::Refused(words),
            // The leader has it, and the replicas have not said so in time.
            Code::RequestTimedOut => Self::TimedOut,
            // Also `NotEnoughReplicasAfterAppend`: the leader has it.
            _ => Self::Failed(words),
        }
    }

    /// What it means that a request had no answer. It may have been sent.
    pub(super) fn broken(error: &RequestError) -> Self {
        let words = error.to_string();
        match error {
            RequestError::NoVersionMatch { .. } | RequestError::WriteError(_) => Self::Refused(words),
            RequestError::ReadError(_) | RequestError::ReadVersionedError(_) | RequestError::TooMuchData { .. } => {
                Self::Malformed(words)
            }
            _ => Self::Broken(words),
        }
    }

    fn failure(&self) -> Failure {
        match self {
            Self::Throttled(_) => Failure::Throttled,
            Self::Unreachable(_) | Self::Moved(_) | Self::TooLarge(_) | Self::Refused(_) => Failure::Failed,
            Self::TimedOut | Self::Broken(_) | Self::Failed(_) | Self::Malformed(_) => Failure::Unknown,
        }
    }

    fn error(self) -> InvokeError {
        match self {
            Self::Unreachable(words) | Self::Moved(words) => InvokeError::Unreachable(words.into()),
            Self::Throttled(retry_after) => InvokeError::Throttled { retry_after },
            Self::TooLarge(bytes_max) => InvokeError::RequestTooLarge { bytes_max: bytes_max.map(|max| max as u64) },
            Self::Refused(words) => InvokeError::Refused(words),
            Self::TimedOut => InvokeError::TimedOut,
            Self::Broken(words) => InvokeError::Broken(words.into()),
            Self::Failed(words) => InvokeError::FunctionFailed(words),
            Self::Malformed(words) => InvokeError::BadAnswer(words),
        }
    }
}

impl Place {
    fn told(self) -> Map<String, Value> {
        Map::from_iter([("partition".to_owned(), self.partition.into()), ("offset".to_owned(), self.offset.into())])
    }
}

/// What a broker says of each partition: the first record's offset, or why there is none.
pub(super) fn of_partitions(response: ProduceResponse) -> BTreeMap<i32, Result<i64, Trouble>> {
    let parts = response.responses.into_iter().flat_map(|topic| topic.partition_responses);
    parts
        .map(|part| {
            let said = part.error.map_or(Ok(part.base_offset.0), |code| Err(Trouble::of(code)));
            (part.index.0, said)
        })
        .collect()
}

/// The answer to a call of one record.
pub(super) fn of_one(said: Option<Said>) -> Result<Reply, InvokeError> {
    let said = said.unwrap_or_else(|| Err(Trouble::Malformed("nothing of the record".to_owned())));
    let place = said.map_err(Trouble::error)?;
    Ok(record::kept(StatusCode::ACCEPTED, &Value::Object(place.told())))
}

/// The answer to a call of several, each in its place.
pub(super) fn of_all(said: &[Said]) -> Result<Reply, InvokeError> {
    let troubles: Vec<&Trouble> = said.iter().filter_map(|said| said.as_ref().err()).collect();
    if let Some(trouble) = troubles.first() {
        tracing::warn!(%trouble, records = troubles.len(), "records are not kept, or may not be");
    }
    if troubles.len() == said.len() {
        let of = |failure| troubles.iter().find(|trouble| trouble.failure() == failure);
        let worst = of(Failure::Unknown).or_else(|| of(Failure::Throttled)).or(troubles.first());
        if let Some(trouble) = worst {
            return Err((*trouble).clone().error());
        }
    }
    let outcomes: Vec<Outcome> = said
        .iter()
        .map(|said| match said {
            Ok(place) => Outcome::Kept(place.told()),
            Err(trouble) => Outcome::Failed(trouble.failure()),
        })
        .collect();
    batch::answer(&outcomes)
}
