//! Where the keys come from that calls are signed with: references, a profile, or the environment; nothing else.

mod profile;
mod source;

use crate::{
    backend::ConfigError,
    secret::{Reference, Stamp},
    sign::aws_v4::Keys,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, value::MapAccessDeserializer},
};
use source::Source;
use std::{
    borrow::Cow,
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// `credentials = …`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CredentialsConfig {
    /// `"environment"`: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    #[default]
    Environment,
    /// `{ … }`
    Given(Given),
}

/// `credentials = { access_key = …, secret_key = …, session_token = … }` or `{ profile = … }`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    /// The access key's id by reference: `"env:NAME"` or `"file:PATH"`.
    pub access_key: Option<String>,
    /// The access key's secret by reference.
    pub secret_key: Option<String>,
    /// The session token of temporary keys by reference.
    pub session_token: Option<String>,
    /// A profile of the shared credentials file, instead of keys.
    pub profile: Option<String>,
}

/// Keys as they are now. Files are read again when they change.
#[derive(Debug)]
pub(in crate::backend) struct Credentials {
    source: Source,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    stamps: Vec<Stamp>,
    keys: Arc<Keys>,
}

impl Credentials {
    /// Reads the keys a first time.
    pub(in crate::backend) fn new(config: &CredentialsConfig, base: &Path) -> Result<Self, ConfigError> {
        let source = source(config, base)?;
        // Stamps are taken before reading: what changes in between is read again.
        let stamps = source.stamps();
        let keys = source.read().map_err(bad)?;
        Ok(Self { source, held: Mutex::new(Held { stamps, keys: Arc::new(keys) }) })
    }

    /// The keys. When their files changed to something that can't be used, the last good ones serve on, loudly.
    pub(in crate::backend) fn keys(&self) -> Arc<Keys> {
        let stamps = self.source.stamps();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.stamps != stamps {
            held.stamps = stamps;
            match self.source.read() {
                Ok(keys) => held.keys = Arc::new(keys),
                Err(problem) => tracing::error!(problem, "changed credentials can't be used; the last good ones serve"),
            }
        }
        held.keys.clone()
    }
}

impl CredentialsConfig {
    /// What is wrong with it as it is written; nothing is read.
    pub(in crate::backend) fn check(&self) -> Result<(), ConfigError> {
        match self {
            // Most often its keys were unknown and have been reported: that none is left follows. `new` refuses it.
            Self::Given(given) if *given == Given::default() => Ok(()),
            Self::Given(_) | Self::Environment => source(self, Path::new("")).map(drop),
        }
    }
}

fn source(config: &CredentialsConfig, base: &Path) -> Result<Source, ConfigError> {
    let Given { access_key, secret_key, session_token, profile } = match config {
        CredentialsConfig::Environment => return Ok(Source::Environment),
        CredentialsConfig::Given(given) => given,
    };
    let reference = |name: &str, text: &str| Reference::parse(name, text, base).map_err(bad);
    match (access_key, secret_key, profile) {
        (None, None, Some(profile)) if session_token.is_none() => {
            profile::check(profile).map_err(bad).map(Source::Profile)
        }
        (Some(access_key), Some(secret_key), None) => Ok(Source::References {
            access_key: reference("access_key", access_key)?,
            secret_key: reference("secret_key", secret_key)?,
            session_token: session_token.as_deref().map(|text| reference("session_token", text)).transpose()?,
        }),
        (_, _, Some(_)) => {
            Err(bad("a profile has its own keys: no `access_key`, `secret_key` or `session_token`".into()))
        }
        (_, _, None) => Err(bad("`access_key` and `secret_key` belong together, or a `profile` instead".into())),
    }
}

fn bad(message: String) -> ConfigError {
    ConfigError { field: "credentials", message }
}

/// The only word that stands for credentials.
const ENVIRONMENT: &str = "environment";

impl<'de> Deserialize<'de> for CredentialsConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = CredentialsConfig;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`\"environment\"` or a table such as `{ profile = \"latchwork\" }`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<CredentialsConfig, E> {
                match text {
                    ENVIRONMENT => Ok(CredentialsConfig::Environment),
                    _ => Err(E::unknown_variant(text, &[ENVIRONMENT])),
                }
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<CredentialsConfig, A::Error> {
                Given::deserialize(MapAccessDeserializer::new(map)).map(CredentialsConfig::Given)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for CredentialsConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Environment => serializer.serialize_str(ENVIRONMENT),
            Self::Given(given) => given.serialize(serializer),
        }
    }
}

impl JsonSchema for CredentialsConfig {
    fn schema_name() -> Cow<'static, str> {
        "Credentials".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let given = generator.subschema_for::<Given>();
        json_schema!({ "anyOf": [{ "const": ENVIRONMENT }, given] })
    }
}

#[cfg(test)]
mod tests;
