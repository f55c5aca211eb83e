//! A record in a stream of Amazon Kinesis, or several, put there with requests that are signed with the gateway's own keys.

mod answer;
mod put;

use super::{
    Backend, ConfigError,
    aws_lambda::{CredentialsConfig, credentials::Credentials, place},
    duration, endpoint,
    exchange::Exchange,
    http::trust::Trust,
    record::{
        batch::{self, Batch},
        naming::{Naming, Said},
    },
    remote::Remote,
};
use crate::{
    event,
    invocation::{Head, InvokeError, Invoking, Outbound},
    report::Starts,
};
use bytes::Bytes;
use http::Uri;
use put::{Record, Stream};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Most records of one call.
const RECORDS_MAX: usize = 500;

/// Most bytes of one call's records, their keys included: what every stream takes.
const CALL_BYTES_MAX: usize = 5 * 1024 * 1024;

/// Most bytes of a record, its keys included, unless its stream takes more.
const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Longest partition key, in characters.
const KEY_CHARS_MAX: usize = 256;

/// Longest name or ARN of a stream, in bytes.
const STREAM_BYTES_MAX: usize = 2048;

/// `kinesis = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KinesisConfig {
    /// The stream: a name or an ARN.
    pub stream: String,
    /// Region, such as `"eu-west-1"`.
    pub region: String,
    /// By what records find their shard, such as `"{id}"`: `{name}` stands for a path parameter, `{header.name}` for a header,
    /// and `{body.name}` for a member of the record. Default the call's id.
    pub partition_key: Option<String>,
    /// The shard's hash key instead of the partition key's own, made in the same way.
    pub explicit_hash_key: Option<String>,
    /// The sequence number that the record must come after, made in the same way; not for several records.
    pub sequence_for_ordering: Option<String>,
    /// The body holds several records: a list in JSON (`"array"`), or lines (`"lines"`).
    pub batch: Option<Batch>,
    /// Most bytes of a record, its keys included, where the stream takes other than 1 MiB.
    #[serde(default = "record_bytes_max")]
    pub record_bytes_max: usize,
    /// Another address than the region's own, such as a private endpoint; in clear text on loopback only.
    pub endpoint: Option<String>,
    /// Whose keys sign the requests, as for `aws_lambda`.
    #[serde(default)]
    pub credentials: CredentialsConfig,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

fn record_bytes_max() -> usize {
    RECORD_BYTES_MAX
}

/// The backend. Its connections and keys are shared by clones.
#[derive(Clone, Debug)]
pub struct Kinesis(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: KinesisConfig,
    names: Names,
    trust: Trust,
    stream: Stream,
}

/// The texts that a call fills.
#[derive(Debug)]
struct Names {
    partition_key: Option<Naming>,
    explicit_hash_key: Option<Naming>,
    sequence: Option<Naming>,
}

impl Remote for KinesisConfig {
    fn kind(&self) -> &'static str {
        "kinesis"
    }

    fn starts(&self) -> Starts {
        Starts::Unmet
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        problems.extend(place::region(&self.region).err());
        problems.extend(self.stream_problem());
        problems.extend(self.origin().err());
        problems.extend(Names::of(self).err());
        if self.sequence_for_ordering.is_some() && self.batch.is_some() {
            let message = "several records are put in no order: no `batch`, or none".to_owned();
            problems.push(endpoint::bad("sequence_for_ordering", message));
        }
        if self.record_bytes_max == 0 || self.record_bytes_max > CALL_BYTES_MAX {
            let message = format!("{} is not between 1 and {CALL_BYTES_MAX} bytes", self.record_bytes_max);
            problems.push(endpoint::bad("record_bytes_max", message));
        }
        problems.extend(self.credentials.check().err());
        if self.credentials == CredentialsConfig::None {
            problems.push(endpoint::bad("credentials", "the service takes signed requests only".to_owned()));
        }
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems.extend(endpoint::unverifiable(
            self.ca.as_deref(),
            self.endpoint.as_deref().unwrap_or_default(),
            "endpoint",
        ));
        problems
    }

    fn parameters(&self) -> Vec<String> {
        Names::of(self)
            .map(|names| names.all().flat_map(Naming::parameters).map(str::to_owned).collect())
            .unwrap_or_default()
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        Kinesis::new(self, base).map(Backend::Kinesis)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::Kinesis(Kinesis(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl KinesisConfig {
    fn stream_problem(&self) -> Option<ConfigError> {
        let stream = &self.stream;
        let plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let parts: Vec<&str> = stream.split(':').collect();
        let sound = match parts.as_slice() {
            ["arn", partition, "kinesis", region, account, name] => {
                if *region != self.region {
                    let message = format!("the ARN is of another region than `{}`", endpoint::shown(&self.region));
                    return Some(endpoint::bad("stream", message));
                }
                partition.starts_with("aws") && plain(account) && name.strip_prefix("stream/").is_some_and(plain)
            }
            [name] => plain(name) && name.len() <= 128,
            _ => false,
        };
        let message = || format!("`{}` is no stream: a name or an ARN", endpoint::shown(stream));
        (!sound || stream.len() > STREAM_BYTES_MAX).then(|| endpoint::bad("stream", message()))
    }

    /// Scheme and authority.
    fn origin(&self) -> Result<String, ConfigError> {
        match &self.endpoint {
            Some(written) => endpoint::endpoint("endpoint", written),
            None => Ok(place::service("kinesis", &self.region)),
        }
    }

    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca.as_deref(), &self.origin()?, base)
    }
}

impl Names {
    fn of(config: &KinesisConfig) -> Result<Self, ConfigError> {
        let read = |field, text: &Option<String>| text.as_deref().map(|text| Naming::parse(field, text)).transpose();
        Ok(Self {
            partition_key: read("partition_key", &config.partition_key)?,
            explicit_hash_key: read("explicit_hash_key", &config.explicit_hash_key)?,
            sequence: read("sequence_for_ordering", &config.sequence_for_ordering)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Naming> {
        self.partition_key.iter().chain(&self.explicit_hash_key).chain(&self.sequence)
    }

    /// A record with its keys.
    fn record(&self, head: &Head, data: Bytes, call: &str) -> Result<Record, InvokeError> {
        let said = Said::new(head, &data, self.all())?;
        let read = |naming: &Option<Naming>, sound| naming.as_ref().map(|naming| naming.of(&said, sound)).transpose();
        let record = Record {
            partition_key: read(&self.partition_key, |_| true)?.unwrap_or_else(|| call.to_owned()),
            explicit_hash_key: read(&self.explicit_hash_key, is_number)?,
            sequence: read(&self.sequence, is_number)?,
            data,
        };
        if record.partition_key.chars().count() > KEY_CHARS_MAX {
            return Err(InvokeError::Unsupported("a partition key this long"));
        }
        Ok(record)
    }
}

impl Kinesis {
    /// Reads keys and authorities; connects to nothing.
    pub(super) fn new(config: &KinesisConfig, base: &Path) -> Result<Self, ConfigError> {
        let origin = config.origin()?;
        let trust = config.trust(base)?;
        let timeout = duration("connect_timeout", &config.connect_timeout)?;
        let exchange = Exchange::new(&trust, origin.starts_with("https:"), timeout)?;
        let uri: Result<Uri, _> = format!("{origin}/").parse();
        let uri = uri.map_err(|_| endpoint::bad("endpoint", "it is no address of a server".to_owned()))?;
        let credentials = Credentials::new(&config.credentials, &config.region, base)?;
        let (name, region) = (config.stream.clone(), config.region.clone());
        let stream = Stream { name, region, uri, exchange, credentials };
        Ok(Self(Arc::new(Inner { config: config.clone(), names: Names::of(config)?, trust, stream })))
    }

    /// The path parameters that its names use.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.names.all().flat_map(Naming::parameters)
    }

    /// Puts the record, or all of them.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { config, names, stream, .. } = &*self.0;
            let Outbound { mut head, payload, context } = outbound;
            let body = event::whole(payload, &context).await?;
            let call = context.call_id.to_string();
            let Some(batch) = config.batch else {
                let record = names.record(&head, body, &call)?;
                check(std::slice::from_ref(&record), config.record_bytes_max)?;
                return stream.put_one(&record, context.deadline).await;
            };
            let parts = batch.split(&mut head.headers, &body, RECORDS_MAX)?.into_iter();
            let records: Vec<Record> = parts.map(|data| names.record(&head, data, &call)).collect::<Result<_, _>>()?;
            check(&records, config.record_bytes_max)?;
            batch::answer(&stream.put_all(&records, context.deadline).await?)
        })
    }
}

/// What the service would refuse anyhow, refused before anything is sent.
fn check(records: &[Record], record_bytes_max: usize) -> Result<(), InvokeError> {
    let too_large = |bytes_max: usize| Err(InvokeError::RequestTooLarge { bytes_max: Some(bytes_max as u64) });
    if records.iter().any(|record| record.bytes() > record_bytes_max) {
        return too_large(record_bytes_max);
    }
    if records.iter().map(Record::bytes).sum::<usize>() > CALL_BYTES_MAX {
        return too_large(CALL_BYTES_MAX);
    }
    Ok(())
}

/// A decimal number without a sign or zeros before it, as hash keys and sequence numbers are.
fn is_number(text: &str) -> bool {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= 129;
    digits && (text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests;
