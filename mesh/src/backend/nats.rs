//! A record in a stream of NATS JetStream, acknowledged by the stream; or a function that answers over NATS.

mod answer;
mod link;
mod proof;

use super::{
    Backend, ConfigError, duration,
    endpoint::{self, Carries},
    exchange::answer_bytes_max,
    http::trust::Trust,
    record::{
        self,
        naming::{self, Naming, Said},
    },
    remote::Remote,
};
use crate::{
    event,
    invocation::{InvokeError, Invoking, Outbound},
    nats::{Address, NAME_BYTES_MAX, SERVERS_MAX, is_stream, is_subject},
    report::Starts,
};
use async_nats::{HeaderMap, HeaderName, HeaderValue, Request};
use link::{Link, Links};
use proof::Proof;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// Most headers of a record that a configuration names.
const HEADERS_MAX: usize = 32;

/// `nats = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// Server, such as `"tls://nats.internal:4222"`, or several of one cluster with commas between.
    pub url: String,
    /// Subject, such as `"orders.{id}"`: `{name}` stands for a path parameter, `{header.name}` for a header, and
    /// `{body.name}` for a member of the body.
    pub subject: String,
    /// Whether a record is published, or a function asked that answers.
    #[serde(default)]
    pub call: NatsCall,
    /// The stream that must be the one that acknowledges; without it, whichever takes the subject.
    pub stream: Option<String>,
    /// By what the stream knows a record that it has already (`Nats-Msg-Id`), such as `"{header.idempotency-key}"`. Default
    /// the call's id.
    pub message_id: Option<String>,
    /// Further headers, such as `{ "X-Tenant" = "{header.x-tenant}" }`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A token, by reference: `"env:NAME"` or `"file:PATH"`.
    pub token: Option<String>,
    /// A user; needs `password`.
    pub user: Option<String>,
    /// Its password, by reference.
    pub password: Option<String>,
    /// The seed of an NKey, by reference.
    pub nkey: Option<String>,
    /// A credentials file (a JWT and its seed), by reference.
    pub credentials: Option<String>,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// What a call is to NATS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NatsCall {
    /// A record: the answer is 202 once a stream has acknowledged it.
    #[default]
    Publish,
    /// A request of core NATS: the answer is that of whoever answers first. Nothing is kept.
    Request,
}

/// The backend. Its connection is shared by clones.
#[derive(Clone, Debug)]
pub struct Nats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: NatsConfig,
    trust: Trust,
    names: Names,
    links: Links,
}

/// The texts that a call fills.
#[derive(Debug)]
struct Names {
    subject: Naming,
    message_id: Option<Naming>,
    headers: Vec<(HeaderName, Naming)>,
}

impl Remote for NatsConfig {
    fn kind(&self) -> &'static str {
        "nats"
    }

    fn starts(&self) -> Starts {
        match self.call {
            NatsCall::Publish => Starts::Unmet,
            NatsCall::Request => Starts::Untold,
        }
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = self.server_problems();
        problems.extend(self.name_problems());
        problems.extend(proof::problems(self));
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }

    fn parameters(&self) -> Vec<String> {
        Names::of(self)
            .map(|names| names.all().flat_map(Naming::parameters).map(str::to_owned).collect())
            .unwrap_or_default()
    }

    fn is_exposed(&self) -> bool {
        self.servers().any(|text| Address::parse(text).is_ok_and(|at| !at.secure && !at.loopback))
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        Nats::new(self, base).map(Backend::Nats)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::Nats(Nats(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl NatsConfig {
    fn servers(&self) -> impl Iterator<Item = &str> {
        self.url.split(',').map(str::trim)
    }

    fn server_problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        let carries = Carries::of(proof::given(self));
        for text in self.servers() {
            let message = match Address::parse(text) {
                Ok(at) if at.secure && self.ca.is_none() || at.loopback && !at.secure && self.ca.is_none() => continue,
                Ok(at) if !at.secure && self.ca.is_some() => {
                    problems.push(endpoint::bad(
                        "ca",
                        "a `nats://` server has no certificate to verify: `tls://`".to_owned(),
                    ));
                    continue;
                }
                Ok(at) if at.secure || carries == Carries::Nothing => continue,
                Ok(_) => "a server gets credentials in clear text on loopback only: `tls://`".to_owned(),
                // What stands in it may be a secret.
                Err(error) => error.to_string(),
            };
            problems.push(endpoint::bad("url", message));
        }
        if self.servers().count() > SERVERS_MAX {
            problems.push(endpoint::bad("url", format!("at most {SERVERS_MAX} servers")));
        }
        problems
    }

    fn name_problems(&self) -> Vec<ConfigError> {
        let names = match Names::of(self) {
            Ok(names) => names,
            Err(problem) => return vec![problem],
        };
        let mut problems = Vec::new();
        if !is_subject(&names.subject.sample()) {
            let message =
                format!("`{}` is no subject: words with `.` between, no `*` or `>`", endpoint::shown(&self.subject));
            problems.push(endpoint::bad("subject", message));
        }
        if let Some(stream) = self.stream.as_ref().filter(|stream| !is_stream(stream)) {
            let message = format!("`{}` is no name of a stream", endpoint::shown(stream));
            problems.push(endpoint::bad("stream", message));
        }
        if self.call == NatsCall::Request {
            let kept = [("stream", self.stream.is_some()), ("message_id", self.message_id.is_some())];
            let unused = kept.into_iter().filter(|(_, given)| *given);
            problems.extend(unused.map(|(field, _)| endpoint::bad(field, "a request is kept in no stream".to_owned())));
        }
        if names.headers.len() > HEADERS_MAX {
            problems.push(endpoint::bad("headers", format!("at most {HEADERS_MAX} headers")));
        }
        problems
    }

    /// What is in the authorities' file, so that a change of it is a change.
    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca.as_deref(), "https:", base)
    }
}

impl Names {
    fn of(config: &NatsConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            subject: Naming::parse("subject", &config.subject)?,
            message_id: config.message_id.as_deref().map(|text| Naming::parse("message_id", text)).transpose()?,
            headers: naming::all("headers", &config.headers)?
                .into_iter()
                .map(|(name, naming)| Ok((own_header(&name)?, naming)))
                .collect::<Result<_, _>>()?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Naming> {
        [&self.subject].into_iter().chain(&self.message_id).chain(self.headers.iter().map(|(_, naming)| naming))
    }
}

impl Nats {
    /// Reads secrets and authorities; connects to nothing.
    pub(super) fn new(config: &NatsConfig, base: &Path) -> Result<Self, ConfigError> {
        let trust = config.trust(base)?;
        let timeout = duration("connect_timeout", &config.connect_timeout)?;
        let ca = config.ca.as_ref().map(|ca| base.join(ca));
        let servers = config.servers().map(str::to_owned).collect();
        let links = Links::new(servers, Proof::new(config, base)?, ca, timeout);
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, names: Names::of(config)?, links })))
    }

    /// The path parameters that its names use.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.names.all().flat_map(Naming::parameters)
    }

    /// Publishes the record, or asks.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { config, names, links, .. } = &*self.0;
            let Outbound { head, payload, context } = outbound;
            let body = event::whole(payload, &context).await?;
            let said = Said::new(&head, &body, names.all())?;
            let subject = names.subject.of(&said, is_word)?;
            if subject.len() > NAME_BYTES_MAX {
                return Err(InvokeError::Unsupported("a subject this long"));
            }
            let mut headers = HeaderMap::new();
            for (name, value) in &record::beside(&head, &context) {
                headers.insert(header(name.as_str())?, value_of(value.to_str().unwrap_or_default())?);
            }
            for (name, naming) in &names.headers {
                headers.insert(name.clone(), value_of(&naming.of(&said, naming::is_header)?)?);
            }
            if config.call == NatsCall::Publish {
                let id = match &names.message_id {
                    Some(naming) => naming.of(&said, naming::is_header)?,
                    None => context.call_id.to_string(),
                };
                headers.insert(async_nats::header::NATS_MESSAGE_ID, value_of(&id)?);
                if let Some(stream) = &config.stream {
                    headers.insert(async_nats::header::NATS_EXPECTED_STREAM, value_of(stream)?);
                }
            }
            let link: Arc<Link> = links.get(context.deadline).await?;
            // The call's own deadline counts, below.
            let request = Request::new().payload(body).headers(headers).timeout(None);
            let message = link.ask(subject, request, context.deadline).await?;
            match config.call {
                NatsCall::Publish => answer::acknowledged(&message),
                NatsCall::Request => answer::answered(message, answer_bytes_max(&context)),
            }
        })
    }
}

/// Whether what a call fills in stays one word of a subject.
fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && !b".*>".contains(&b))
}

/// A header that a configuration may set: its name is one, and neither the gateway's nor the server's.
fn own_header(name: &str) -> Result<HeaderName, ConfigError> {
    let lower = name.to_ascii_lowercase();
    let free = http::HeaderName::try_from(name).is_ok() && !record::OWN.iter().any(|own| lower.starts_with(own));
    let header = HeaderName::from_str(name).ok().filter(|_| free);
    let message = || format!("`{}` is no header that a target may set", endpoint::shown(name));
    header.ok_or_else(|| endpoint::bad("headers", message()))
}

fn header(name: &str) -> Result<HeaderName, InvokeError> {
    HeaderName::from_str(name).map_err(|_| InvokeError::Unsupported("a header's name"))
}

fn value_of(text: &str) -> Result<HeaderValue, InvokeError> {
    HeaderValue::from_str(text).map_err(|_| InvokeError::Unsupported("a header's value"))
}

#[cfg(test)]
mod tests;
