//! A record in a topic of Kafka, acknowledged by every replica in sync. Builds without the feature `kafka` read and check its
//! keys all the same, and say that they can't send.

#[cfg(feature = "kafka")]
mod answer;
#[cfg(feature = "kafka")]
mod cluster;
#[cfg(feature = "kafka")]
mod link;
#[cfg(feature = "kafka")]
mod partition;
#[cfg(feature = "kafka")]
mod publish;
#[cfg(feature = "kafka")]
mod topic;

#[cfg(feature = "kafka")]
pub use publish::Kafka;

use super::{
    Backend, ConfigError, duration, endpoint,
    record::{
        self,
        batch::Batch,
        naming::{self, Naming},
    },
    remote::Remote,
};
use crate::report::Starts;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
};
use url::Url;

/// Most brokers that may be named.
const BROKERS_MAX: usize = 16;

/// Most headers of a record that a configuration names.
const HEADERS_MAX: usize = 32;

/// Longest name of a topic, in bytes.
const TOPIC_BYTES_MAX: usize = 249;

/// Most bytes of what one call sends to one partition, unless its topic takes more.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Most that a configuration may say instead: no call's body is larger.
const BATCH_BYTES_LIMIT: usize = 8 * 1024 * 1024;

/// `kafka = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers that are asked who leads what: `["tls://kafka-1.internal:9093"]`, or `tcp://` in clear text, all in one way.
    pub brokers: Vec<String>,
    /// The topic; it has to be there.
    pub topic: String,
    /// By what records find their partition and stay in order, such as `"{id}"`: `{name}` stands for a path parameter,
    /// `{header.name}` for a header, and `{body.name}` for a member of the record. Without it partitions take turns.
    pub key: Option<String>,
    /// Further headers, such as `{ "X-Tenant" = "{header.x-tenant}" }`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body holds several records: a list in JSON (`"array"`), or lines (`"lines"`).
    pub batch: Option<Batch>,
    /// Most bytes of what one call sends to one partition, keys and headers included, where the topic takes other than 1 MiB.
    #[serde(default = "batch_bytes_max")]
    pub batch_bytes_max: usize,
    /// PEM file of the authorities that may vouch for the brokers, instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate that this gateway shows: the chain, leaf first.
    pub client_certificate: Option<PathBuf>,
    /// Its private key by reference: `"file:PATH"` of a PEM file.
    pub client_key: Option<String>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

fn batch_bytes_max() -> usize {
    BATCH_BYTES_MAX
}

/// The texts that a call fills.
#[derive(Debug)]
struct Names {
    key: Option<Naming>,
    headers: Vec<(String, Naming)>,
}

/// A broker's address as it is written.
#[derive(Debug)]
struct Address {
    /// Host and port.
    #[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "only who connects reads it"))]
    authority: String,
    /// It is reached over TLS.
    secure: bool,
    /// It is on this machine.
    loopback: bool,
}

impl Remote for KafkaConfig {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn starts(&self) -> Starts {
        Starts::Unmet
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = self.written_problems();
        if !cfg!(feature = "kafka") {
            problems.push(absent());
        }
        problems
    }

    fn parameters(&self) -> Vec<String> {
        Names::of(self)
            .map(|names| names.all().flat_map(Naming::parameters).map(str::to_owned).collect())
            .unwrap_or_default()
    }

    fn is_exposed(&self) -> bool {
        self.addresses().flatten().any(|at| !at.secure && !at.loopback)
    }

    fn files(&self) -> Vec<&Path> {
        let key = self.client_key.as_deref().and_then(|key| key.strip_prefix("file:")).map(Path::new);
        self.client_certificate.as_deref().into_iter().chain(key).collect()
    }

    #[cfg(feature = "kafka")]
    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        Kafka::new(self, base).map(Backend::Kafka)
    }

    #[cfg(feature = "kafka")]
    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::Kafka(made) = backend else { return false };
        made.is_of(self, base)
    }

    #[cfg(not(feature = "kafka"))]
    fn build(&self, _base: &Path) -> Result<Backend, ConfigError> {
        Err(absent())
    }

    #[cfg(not(feature = "kafka"))]
    fn made(&self, _backend: &Backend, _base: &Path) -> bool {
        false
    }
}

fn absent() -> ConfigError {
    endpoint::bad("kafka", "this build has no Kafka: `cargo build --release --features kafka` has".to_owned())
}

impl KafkaConfig {
    fn addresses(&self) -> impl Iterator<Item = Result<Address, ConfigError>> {
        self.brokers.iter().map(|text| Address::parse(text))
    }

    /// Whether brokers are reached over TLS.
    fn is_tls(&self) -> bool {
        self.brokers.first().is_some_and(|text| text.starts_with("tls:"))
    }

    /// What is wrong, whatever the build.
    fn written_problems(&self) -> Vec<ConfigError> {
        let mut problems: Vec<ConfigError> = self.addresses().filter_map(Result::err).collect();
        if self.brokers.is_empty() || self.brokers.len() > BROKERS_MAX {
            problems.push(endpoint::bad("brokers", format!("1 to {BROKERS_MAX} brokers")));
        }
        if self.addresses().flatten().any(|at| at.secure != self.is_tls()) {
            problems
                .push(endpoint::bad("brokers", "all brokers are reached in one way: `tls://`, or `tcp://`".to_owned()));
        }
        if !is_topic(&self.topic) {
            let message = format!("`{}` is no name of a topic", endpoint::shown(&self.topic));
            problems.push(endpoint::bad("topic", message));
        }
        problems.extend(Names::of(self).err());
        if self.headers.len() > HEADERS_MAX {
            problems.push(endpoint::bad("headers", format!("at most {HEADERS_MAX} headers")));
        }
        if !(1..=BATCH_BYTES_LIMIT).contains(&self.batch_bytes_max) {
            let message = format!("{} is not between 1 and {BATCH_BYTES_LIMIT} bytes", self.batch_bytes_max);
            problems.push(endpoint::bad("batch_bytes_max", message));
        }
        if !self.is_tls() {
            let given = [
                ("ca", self.ca.is_some()),
                ("client_certificate", self.client_certificate.is_some()),
                ("client_key", self.client_key.is_some()),
            ];
            let unused = given.into_iter().filter(|(_, given)| *given);
            problems.extend(unused.map(|(field, _)| endpoint::bad(field, "it is for `tls://`".to_owned())));
        }
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }
}

impl Names {
    fn of(config: &KafkaConfig) -> Result<Self, ConfigError> {
        let headers = naming::all("headers", &config.headers)?;
        match headers.iter().find(|(name, _)| !is_free(name)) {
            Some((name, _)) => {
                let message = format!("`{}` is no header that a target may set", endpoint::shown(name));
                Err(endpoint::bad("headers", message))
            }
            None => {
                let key = config.key.as_deref().map(|text| Naming::parse("key", text)).transpose()?;
                Ok(Self { key, headers })
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Naming> {
        self.key.iter().chain(self.headers.iter().map(|(_, naming)| naming))
    }
}

impl Address {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let bad = |words: &str| endpoint::bad("brokers", format!("`{}` {words}", endpoint::shown(text)));
        let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "tcp" | "tls") && url.has_host());
        let url = url.ok_or_else(|| bad("is no address of a broker, such as `tls://kafka-1.internal:9093`"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(endpoint::bad("brokers", "an address has no user".to_owned()));
        }
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let (Some(host), Some(port), true) = (url.host_str(), url.port().filter(|port| *port > 0), bare) else {
            return Err(bad("is not host and port alone"));
        };
        let authority = format!("{host}:{port}");
        if authority.parse::<http::uri::Authority>().is_err() || authority.contains('%') {
            return Err(bad("is no address of a broker"));
        }
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let loopback = address.map_or(host == "localhost", |address| address.is_loopback());
        Ok(Self { secure: url.scheme() == "tls", loopback, authority })
    }
}

/// Whether a text can name a topic.
fn is_topic(text: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=TOPIC_BYTES_MAX).contains(&text.len()) && text.bytes().all(sound) && !matches!(text, "." | "..")
}

/// Whether a configuration may set this header: its name is one, and not the gateway's.
fn is_free(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    http::HeaderName::try_from(name).is_ok() && !record::OWN.iter().any(|own| lower.starts_with(own))
}

#[cfg(test)]
mod tests;
