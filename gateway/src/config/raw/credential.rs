//! Credentials other than tokens, as written, and the entries of `identify`.

use super::{At, Declared, Identity, Kind, Named};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer},
};
use std::{borrow::Cow, fmt, ops::Range};

/// `[identity.mtls.ALIAS]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Mtls {
    /// SPIFFE trust domain whose workloads count, such as `prod.example`.
    #[schemars(required)]
    pub(crate) trust_domain: Option<At<String>>,
}

/// `[identity.api_keys.ALIAS]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ApiKeys {
    /// TOML file of clients and the hashes of their keys, which `latchwork key` edits.
    #[schemars(required)]
    pub(crate) file: Option<At<String>>,
    /// The header that holds a key. Default `"x-api-key"`.
    pub(crate) header: Option<At<String>>,
    /// Kind of principal: `"Client"`.
    pub(crate) principal: Option<At<Kind>>,
    /// The groups that its clients may be in: a list, or a TOML file with `groups = [...]`.
    pub(crate) groups: Option<Declared>,
}

/// `[identity.webhook.ALIAS]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Webhook {
    /// How deliveries are signed: `"standard"` (Standard Webhooks) or `"github"` (`X-Hub-Signature-256`).
    #[schemars(required)]
    pub(crate) form: Option<At<Form>>,
    /// Name of the sender; policy knows it as `Client::"ALIAS/NAME"`.
    #[schemars(required)]
    pub(crate) client: Option<At<String>>,
    /// The shared secret by reference: `"env:NAME"` or `"file:PATH"`.
    #[schemars(required)]
    pub(crate) secret: Option<At<String>>,
    /// The secret before it, while both count.
    pub(crate) former_secret: Option<At<String>>,
}

/// How a webhook is signed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// Standard Webhooks.
    Standard,
    /// GitHub's.
    Github,
}

/// The file of clients and keys.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct KeysFile {
    /// Clients by name.
    pub(crate) client: Named<KeyClient>,
}

/// `[client.NAME]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct KeyClient {
    /// Groups, without the alias.
    pub(crate) groups: Vec<At<String>>,
    /// Scopes.
    pub(crate) scopes: Vec<At<String>>,
    /// Tenant.
    pub(crate) tenant: Option<At<String>>,
    /// Contract tier.
    pub(crate) tier: Option<At<String>>,
    /// Keys by id.
    pub(crate) key: Named<Key>,
}

/// `[client.NAME.key.ID]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Key {
    /// `sha256:<hex>` of the whole key.
    pub(crate) hash: Option<At<String>>,
    /// When it was made.
    pub(crate) created: Option<At<String>>,
    /// From when on it does not count.
    pub(crate) expires: Option<At<String>>,
    /// When it was revoked.
    pub(crate) revoked: Option<At<String>>,
}

/// Whether there is a connection without a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientAuth {
    /// None.
    Required,
    /// Other credentials may do.
    Optional,
}

/// One entry of `identify`.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// An alias, or `anonymous`.
    One(At<String>),
    /// Several together.
    All(At<Together>),
}

/// `{ all = ["mtls", "corp"], principal = "corp" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Together {
    /// Aliases whose credentials must all be there.
    #[schemars(required)]
    pub(crate) all: Option<At<Vec<At<String>>>>,
    /// The one of them that names the caller; the others say through whom it calls.
    #[schemars(required)]
    pub(crate) principal: Option<At<String>>,
}

impl Identity {
    /// Whether there is a table of that alias.
    pub(crate) fn has(&self, alias: &str) -> bool {
        let mut aliases = self.issuer.keys().chain(self.mtls.keys()).chain(self.api_keys.keys());
        aliases.any(|name| name.value == alias) || self.webhook.keys().any(|name| name.value == alias)
    }
}

impl Accepted {
    /// Where it is written.
    pub(crate) fn span(&self) -> &Range<usize> {
        match self {
            Self::One(one) => &one.span,
            Self::All(all) => &all.span,
        }
    }
}

impl<'de> Deserialize<'de> for Accepted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        enum Either {
            One(String),
            All(Together),
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Either;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an alias in quotes or `{ all = [\"mtls\", \"corp\"], principal = \"corp\" }`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Either, E> {
                Ok(Either::One(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Either, A::Error> {
                Together::deserialize(MapAccessDeserializer::new(map)).map(Either::All)
            }
        }
        impl<'de> Deserialize<'de> for Either {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Visitor)
            }
        }
        let At { value, span }: At<Either> = At::deserialize(deserializer)?;
        Ok(match value {
            Either::One(value) => Self::One(At { value, span }),
            Either::All(value) => Self::All(At { value, span }),
        })
    }
}

impl JsonSchema for Accepted {
    fn schema_name() -> Cow<'static, str> {
        "Accepted".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let together = generator.subschema_for::<Together>();
        json_schema!({ "anyOf": [{ "type": "string" }, together] })
    }
}
