//! `credentials` as they are written: a word, or a table.

use super::profile;
use crate::{
    backend::{
        duration,
        endpoint::{endpoint, shown},
    },
    secret::Reference,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, value::MapAccessDeserializer},
};
use std::{borrow::Cow, fmt, path::Path, time::Duration};

/// Most roles that are assumed one after the other.
const ROLES_MAX: usize = 8;

/// Longest name of a session, in bytes; the shortest has two.
const SESSION_BYTES_MAX: usize = 64;

/// Shortest and longest time that a role may be assumed for.
const ASSUMED_MIN: Duration = Duration::from_secs(15 * 60);
const ASSUMED_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// `credentials = …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialsConfig {
    /// `"environment"`, `"container"`, `"instance"` or `"web_identity"`
    At(Place),
    /// `"none"`: nothing is signed. Only a function URL that anybody may call is called so.
    None,
    /// `{ … }`
    Given(Box<Given>),
}

/// Where keys come from that no configuration names further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// What the environment names: keys, a web identity or a container's endpoint. It must be one of them only.
    #[default]
    Environment,
    /// The container's endpoint (ECS tasks, EKS pod identity), which the environment names.
    Container,
    /// The metadata service of the machine (IMDSv2).
    Instance,
    /// A token of the cluster's, and a role, which the environment names.
    WebIdentity,
}

/// `credentials = { … }`: one source of keys, and roles that are assumed with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    /// The access key's id by reference: `"env:NAME"` or `"file:PATH"`.
    pub access_key: Option<String>,
    /// The access key's secret by reference.
    pub secret_key: Option<String>,
    /// The session token of temporary keys by reference.
    pub session_token: Option<String>,
    /// A profile of the shared files, instead of keys.
    pub profile: Option<String>,
    /// `"environment"`, `"container"`, `"instance"` or `"web_identity"`, instead of keys.
    pub source: Option<Place>,
    /// A token that proves the gateway to a role, instead of keys.
    pub web_identity: Option<WebIdentityConfig>,
    /// Roles that are assumed one after the other.
    pub assume: Vec<AssumeConfig>,
    /// Another address to assume roles at than the region's own.
    pub sts_endpoint: Option<String>,
    /// Another address of the machine's metadata service.
    pub metadata_endpoint: Option<String>,
}

/// `{ role = "arn:…", … }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssumeConfig {
    /// The role's ARN.
    pub role: String,
    /// What the role's owner asks for besides.
    pub external_id: Option<String>,
    /// What the session is called in the provider's own log; `latchwork` when absent.
    pub session_name: Option<String>,
    /// How long each session lasts, such as `"1h"`; the provider's default when absent.
    pub duration: Option<String>,
}

/// `web_identity = { … }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebIdentityConfig {
    /// The role's ARN.
    pub role: String,
    /// The token by reference, such as `"file:/var/run/secrets/token"`; read again for each session.
    pub token: String,
    /// What the session is called in the provider's own log; `latchwork` when absent.
    pub session_name: Option<String>,
}

impl Default for CredentialsConfig {
    fn default() -> Self {
        Self::At(Place::Environment)
    }
}

impl Given {
    /// What is wrong with it as it is written; nothing is read.
    pub(super) fn check(&self) -> Result<(), String> {
        let keys = [&self.access_key, &self.secret_key, &self.session_token];
        let named = [self.profile.is_some(), self.source.is_some(), self.web_identity.is_some()];
        match (keys.iter().any(|key| key.is_some()), named.into_iter().filter(|named| *named).count()) {
            (true, 0) => self.keys()?,
            (false, 1) => {}
            (true, _) if self.profile.is_some() => {
                return Err("a profile has its own keys: no `access_key`, `secret_key` or `session_token`".to_owned());
            }
            (true, _) | (false, 2..) => {
                return Err("keys come from one place: `access_key`, `profile`, `source` or `web_identity`".to_owned());
            }
            (false, 0) => {
                return Err("`access_key` and `secret_key` belong together, or a `profile` instead".to_owned());
            }
        }
        self.profile.as_deref().map(profile::check).transpose()?;
        if let Some(WebIdentityConfig { role, token, session_name }) = &self.web_identity {
            check_role(role)?;
            check_session(session_name.as_deref())?;
            Reference::parse("token", token, Path::new(""))?;
        }
        if self.assume.len() > ROLES_MAX {
            return Err(format!("at most {ROLES_MAX} roles are assumed one after the other"));
        }
        self.assume.iter().try_for_each(AssumeConfig::check)?;
        self.endpoints()
    }

    fn keys(&self) -> Result<(), String> {
        let (Some(access_key), Some(secret_key)) = (&self.access_key, &self.secret_key) else {
            return Err("`access_key` and `secret_key` belong together, or a `profile` instead".to_owned());
        };
        let written = [("access_key", Some(access_key)), ("secret_key", Some(secret_key))];
        for (name, text) in written.into_iter().chain([("session_token", self.session_token.as_ref())]) {
            text.map(|text| Reference::parse(name, text, Path::new(""))).transpose()?;
        }
        Ok(())
    }

    fn endpoints(&self) -> Result<(), String> {
        let sts = self.sts_endpoint.as_deref().map(|text| endpoint("sts_endpoint", text));
        sts.transpose().map_err(|problem| problem.to_string())?;
        let metadata = self.metadata_endpoint.as_deref().map(|text| endpoint("metadata_endpoint", text));
        metadata.transpose().map_err(|problem| problem.to_string())?;
        match self.source {
            Some(Place::Instance) => Ok(()),
            _ if self.metadata_endpoint.is_some() && self.profile.is_none() => {
                Err("`metadata_endpoint` is for `source = \"instance\"`, or a profile that names it".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl AssumeConfig {
    fn check(&self) -> Result<(), String> {
        check_role(&self.role)?;
        check_session(self.session_name.as_deref())?;
        if self.external_id.as_ref().is_some_and(|id| id.is_empty() || id.chars().any(char::is_control)) {
            return Err("`external_id` is empty or no text".to_owned());
        }
        self.seconds().map(drop)
    }

    /// How long a session lasts.
    pub(super) fn seconds(&self) -> Result<Option<u64>, String> {
        let Some(text) = &self.duration else { return Ok(None) };
        let lasts = duration("duration", text).map_err(|problem| problem.to_string())?;
        match (ASSUMED_MIN..=ASSUMED_MAX).contains(&lasts) {
            true => Ok(Some(lasts.as_secs())),
            false => Err(format!("`{text}` is not a time from 15 minutes to 12 hours")),
        }
    }
}

/// A role is named by its ARN.
pub(super) fn check_role(role: &str) -> Result<(), String> {
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let shaped = match parts.as_slice() {
        ["arn", partition, "iam", "", account, resource] => {
            partition.starts_with("aws")
                && !account.is_empty()
                && account.bytes().all(|b| b.is_ascii_digit())
                && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
        }
        _ => false,
    };
    let sound = shaped && role.bytes().all(|b| b.is_ascii_graphic());
    if sound { Ok(()) } else { Err(format!("`{}` is no role's ARN: `arn:aws:iam::ACCOUNT:role/NAME`", shown(role))) }
}

/// What a session may be called.
pub(super) fn check_session(name: Option<&str>) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-');
    match name {
        Some(name) if !(2..=SESSION_BYTES_MAX).contains(&name.len()) || !name.bytes().all(plain) => {
            Err(format!("`{}` is no name of a session", shown(name)))
        }
        Some(_) | None => Ok(()),
    }
}

/// The words that stand for credentials.
const WORDS: [&str; 5] = ["environment", "container", "instance", "web_identity", NONE];

/// The word for none.
const NONE: &str = "none";

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
                    NONE => Ok(CredentialsConfig::None),
                    "environment" => Ok(CredentialsConfig::At(Place::Environment)),
                    "container" => Ok(CredentialsConfig::At(Place::Container)),
                    "instance" => Ok(CredentialsConfig::At(Place::Instance)),
                    "web_identity" => Ok(CredentialsConfig::At(Place::WebIdentity)),
                    _ => Err(E::unknown_variant(text, &WORDS)),
                }
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<CredentialsConfig, A::Error> {
                Given::deserialize(MapAccessDeserializer::new(map)).map(Box::new).map(CredentialsConfig::Given)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for CredentialsConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(place) => place.serialize(serializer),
            Self::None => serializer.serialize_str(NONE),
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
        json_schema!({ "anyOf": [{ "enum": WORDS }, given] })
    }
}
