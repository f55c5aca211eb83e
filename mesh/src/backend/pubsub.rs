//! A message of a topic of Google Cloud Pub/Sub, or several, published over REST with an access token.

use super::{
    Backend, ConfigError, duration,
    endpoint::{self, Carries},
    exchange::{AGENT, Exchange, plain},
    google_functions::{GoogleCredentials, identity::Purpose},
    http::trust::Trust,
    platform,
    record::{
        self,
        batch::{self, Batch, Outcome},
        naming::{self, Naming, Said},
    },
    remote::Remote,
};
use crate::{
    event,
    invocation::{CallContext, Head, InvokeError, Invoking, Outbound},
    payload::Reply,
    report::Starts,
    secret::credential,
    token::Kept,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::time::Instant;

/// Where the service is, in the region that is nearest.
const ENDPOINT: &str = "https://pubsub.googleapis.com";

/// What tokens are for.
const SCOPE: &str = "https://www.googleapis.com/auth/pubsub";

/// Most messages of one call.
const MESSAGES_MAX: usize = 1_000;

/// Largest request that the service takes, in bytes.
const REQUEST_BYTES_MAX: usize = 10_000_000;

/// Most attributes of a message, the gateway's own included.
const ATTRIBUTES_MAX: usize = 100;

/// Longest name of an attribute, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Longest value of an attribute, and longest ordering key, in bytes.
const VALUE_BYTES_MAX: usize = 1024;

/// Longest answer, in bytes: that of 1,000 messages has some 20,000.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// `pubsub = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PubSubConfig {
    /// The topic: `"projects/PROJECT/topics/TOPIC"`.
    pub topic: String,
    /// Messages of one key are delivered in order, such as `"{id}"`: `{name}` stands for a path parameter, `{header.name}` for
    /// a header, and `{body.name}` for a member of the message.
    pub ordering_key: Option<String>,
    /// Further attributes, made in the same way, such as `{ tenant = "{header.x-tenant}" }`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The body holds several messages: a list in JSON (`"array"`), or lines (`"lines"`).
    pub batch: Option<Batch>,
    /// Another address, such as a region's: `"https://europe-west1-pubsub.googleapis.com"`.
    pub endpoint: Option<String>,
    /// Where access tokens come from, as for `google_functions`; without it the service is asked without one.
    pub credentials: Option<GoogleCredentials>,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "super::connect_timeout")]
    pub connect_timeout: String,
}

/// The backend. Its connections and token are shared by clones.
#[derive(Clone, Debug)]
pub struct PubSub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: PubSubConfig,
    names: Names,
    trust: Trust,
    uri: Uri,
    exchange: Exchange,
    token: Option<Kept<SecretString>>,
}

/// The texts that a call fills.
#[derive(Debug)]
struct Names {
    ordering_key: Option<Naming>,
    attributes: Vec<(String, Naming)>,
}

/// What the service says of messages that it keeps.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    message_ids: Vec<String>,
}

impl Remote for PubSubConfig {
    fn kind(&self) -> &'static str {
        "pubsub"
    }

    fn starts(&self) -> Starts {
        Starts::Unmet
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        if !is_topic(&self.topic) {
            let message =
                format!("`{}` is no topic such as `projects/shop/topics/orders`", endpoint::shown(&self.topic));
            problems.push(endpoint::bad("topic", message));
        }
        problems.extend(self.origin().err());
        problems.extend(Names::of(self).err());
        let own = record::OWN.iter().map(|own| own.trim_end_matches('-'));
        let is_free = |name: &str| {
            !name.is_empty()
                && name.len() <= NAME_BYTES_MAX
                && !own.clone().any(|own| name.to_ascii_lowercase().starts_with(own))
        };
        let wrong = self.attributes.keys().find(|name| !is_free(name));
        let message = |name: &str| format!("`{}` is no attribute that a target may set", endpoint::shown(name));
        problems.extend(wrong.map(|name| endpoint::bad("attributes", message(name))));
        if self.attributes.len() > ATTRIBUTES_MAX / 2 {
            problems.push(endpoint::bad("attributes", format!("at most {} attributes", ATTRIBUTES_MAX / 2)));
        }
        problems.extend(self.credentials.iter().flat_map(GoogleCredentials::problems));
        problems.extend(endpoint::unverifiable(
            self.ca.as_deref(),
            self.endpoint.as_deref().unwrap_or_default(),
            "endpoint",
        ));
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }

    fn parameters(&self) -> Vec<String> {
        Names::of(self)
            .map(|names| names.all().flat_map(Naming::parameters).map(str::to_owned).collect())
            .unwrap_or_default()
    }

    fn is_exposed(&self) -> bool {
        self.endpoint.as_deref().is_some_and(endpoint::is_exposed)
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        PubSub::new(self, base).map(Backend::PubSub)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::PubSub(PubSub(made)) = backend else { return false };
        made.config == *self && self.trust(base).is_ok_and(|trust| made.trust == trust)
    }
}

impl PubSubConfig {
    /// Scheme and authority.
    fn origin(&self) -> Result<String, ConfigError> {
        let written = self.endpoint.as_deref().unwrap_or(ENDPOINT);
        endpoint::origin("endpoint", written, Carries::of(self.credentials.is_some()))
    }

    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        endpoint::trust(self.ca.as_deref(), &self.origin()?, base)
    }
}

impl Names {
    fn of(config: &PubSubConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            ordering_key: config.ordering_key.as_deref().map(|text| Naming::parse("ordering_key", text)).transpose()?,
            attributes: naming::all("attributes", &config.attributes)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Naming> {
        self.ordering_key.iter().chain(self.attributes.iter().map(|(_, naming)| naming))
    }

    /// A message as it is published: whose call it was is among its attributes.
    fn message(&self, head: &Head, data: &Bytes, context: &CallContext) -> Result<Value, InvokeError> {
        let said = Said::new(head, data, self.all())?;
        let mut attributes = Map::new();
        for (name, value) in &record::beside(head, context) {
            let Ok(text) = value.to_str() else {
                return Err(InvokeError::Unsupported("a content type that is no text"));
            };
            attributes.insert(name.as_str().to_owned(), text.into());
        }
        for (name, naming) in &self.attributes {
            attributes.insert(name.clone(), naming.of(&said, |_| true)?.into());
        }
        let long = |value: &Value| value.as_str().is_some_and(|text| text.len() > VALUE_BYTES_MAX);
        if attributes.values().any(long) {
            return Err(InvokeError::Unsupported("an attribute this long"));
        }
        let mut message = json!({ "data": STANDARD.encode(data), "attributes": attributes });
        if let Some(naming) = &self.ordering_key {
            let key = naming.of(&said, |_| true)?;
            if key.len() > VALUE_BYTES_MAX {
                return Err(InvokeError::Unsupported("an ordering key this long"));
            }
            message.as_object_mut().map(|message| message.insert("orderingKey".to_owned(), key.into()));
        }
        Ok(message)
    }
}

impl PubSub {
    /// Reads keys and authorities; connects to nothing.
    pub(super) fn new(config: &PubSubConfig, base: &Path) -> Result<Self, ConfigError> {
        let origin = config.origin()?;
        let trust = config.trust(base)?;
        let timeout = duration("connect_timeout", &config.connect_timeout)?;
        let exchange = Exchange::new(&trust, origin.starts_with("https:"), timeout)?;
        let uri = format!("{origin}/v1/{}:publish", config.topic).parse();
        let uri = uri.map_err(|_| endpoint::bad("topic", "the topic's address is no URL".to_owned()))?;
        let token = config.credentials.as_ref().map(|from| from.token(&Purpose::Access(SCOPE), base)).transpose()?;
        Ok(Self(Arc::new(Inner { config: config.clone(), names: Names::of(config)?, trust, uri, exchange, token })))
    }

    /// The path parameters that its names use.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.names.all().flat_map(Naming::parameters)
    }

    /// Publishes the message, or all of them.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { config, names, .. } = &*self.0;
            let Outbound { mut head, payload, context } = outbound;
            let body = event::whole(payload, &context).await?;
            let parts = match config.batch {
                Some(batch) => batch.split(&mut head.headers, &body, MESSAGES_MAX)?,
                None => vec![body],
            };
            let messages: Result<Vec<_>, _> = parts.iter().map(|data| names.message(&head, data, &context)).collect();
            let request = Bytes::from(json!({ "messages": messages? }).to_string());
            if request.len() > REQUEST_BYTES_MAX {
                return Err(InvokeError::RequestTooLarge { bytes_max: None });
            }
            let ids = kept(&self.publish(request, context.deadline).await?, parts.len())?;
            match config.batch {
                Some(_) => batch::answer(&ids.into_iter().map(Outcome::Kept).collect::<Vec<_>>()),
                None => one(ids),
            }
        })
    }

    async fn publish(&self, body: Bytes, deadline: Instant) -> Result<Response<Bytes>, InvokeError> {
        let Inner { uri, exchange, token, .. } = &*self.0;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(USER_AGENT, AGENT);
        let token = match token {
            None => None,
            Some(kept) => Some((kept, kept.get(deadline).await?)),
        };
        if let Some((_, token)) = &token {
            let value = credential("the token", &format!("Bearer {}", token.expose_secret()))?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let answer = exchange.ask(request, deadline, ANSWER_BYTES_MAX).await?;
        if let (StatusCode::UNAUTHORIZED, Some((kept, token))) = (answer.status(), &token) {
            kept.reject(token, Instant::now());
        }
        Ok(answer)
    }
}

/// What each of so many messages is kept under: all of them are, or none.
fn kept(answer: &Response<Bytes>, count: usize) -> Result<Vec<Map<String, Value>>, InvokeError> {
    if answer.status() != StatusCode::OK {
        return Err(refused(answer));
    }
    let said: Option<Published> = serde_json::from_slice(answer.body()).ok();
    let ids = said.map(|said| said.message_ids).filter(|ids| ids.len() == count);
    let ids = ids.ok_or_else(|| InvokeError::BadAnswer("not one id for each message".to_owned()))?;
    Ok(ids.into_iter().map(|id| Map::from_iter([("message_id".to_owned(), id.into())])).collect())
}

fn one(ids: Vec<Map<String, Value>>) -> Result<Reply, InvokeError> {
    let id = ids.into_iter().next().ok_or_else(|| InvokeError::BadAnswer("no id".to_owned()))?;
    Ok(record::kept(StatusCode::ACCEPTED, &Value::Object(id)))
}

/// What a status other than 200 means. The message may repeat projects and topics; the error's name says enough.
fn refused(answer: &Response<Bytes>) -> InvokeError {
    let said: Option<Value> = serde_json::from_slice(answer.body()).ok();
    let name = said.as_ref().and_then(|said| said.pointer("/error/status")?.as_str()).unwrap_or("no status");
    let status = answer.status();
    platform::refused(status, answer.headers(), format!("{} {}", status.as_u16(), plain(name)), None)
}

fn is_topic(text: &str) -> bool {
    let ["projects", project, "topics", topic] = text.split('/').collect::<Vec<_>>()[..] else { return false };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+".contains(&b);
    let project_is_sound =
        !project.is_empty() && project.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b));
    project_is_sound
        && (3..=255).contains(&topic.len())
        && topic.starts_with(|c: char| c.is_ascii_alphabetic())
        && !topic.starts_with("goog")
        && topic.bytes().all(plain)
}

#[cfg(test)]
mod tests;
