//! Keys that may be written in two shapes, and closed lists of words.

use super::At;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer, value::SeqAccessDeserializer},
};
use std::{borrow::Cow, fmt};

/// `functions = "all"` or `functions = { app = [...], name = [...] }`
#[derive(Debug)]
pub(crate) enum Selection {
    /// All.
    All,
    /// Those of these apps and those named.
    Only(Only),
}

/// `{ app = [...], name = [...] }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Only {
    /// Apps.
    pub(crate) app: Vec<At<String>>,
    /// Function names.
    pub(crate) name: Vec<At<String>>,
}

/// `declared = "groups.toml"` or `declared = ["staff"]`
#[derive(Debug)]
pub(crate) enum Declared {
    /// A file.
    File(At<String>),
    /// The groups themselves.
    List(Vec<At<String>>),
}

/// Kinds of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Kind {
    /// A person.
    User,
    /// A service.
    Workload,
    /// A third party's application.
    Client,
    /// An AI agent.
    Agent,
    /// Nobody in particular.
    Anonymous,
}

/// What an accepted record survives.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// A power cut.
    Fsync,
    /// A killed process.
    Write,
}

/// What a bundle does whose time is over.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Expired {
    /// It denies every call.
    Deny,
    /// It goes on deciding.
    Keep,
}

/// Who may read metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Metrics {
    /// Everybody who reaches the interface.
    Open,
    /// As policy says.
    Policy,
}

/// The type of a query parameter.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QueryType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Selection;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`\"all\"` or a table such as `{ app = [\"shop\"], name = [\"orders.create\"] }`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Selection, E> {
                if text == "all" { Ok(Selection::All) } else { Err(E::unknown_variant(text, &["all"])) }
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Selection, A::Error> {
                Only::deserialize(MapAccessDeserializer::new(map)).map(Selection::Only)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for Declared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Either;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file such as `\"groups.toml\"` or a list of groups")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Either, E> {
                Ok(Either::Text(text.to_owned()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Either, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Either::List)
            }
        }
        enum Either {
            Text(String),
            List(Vec<At<String>>),
        }
        impl<'de> Deserialize<'de> for Either {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Visitor)
            }
        }
        let At { value, span }: At<Either> = At::deserialize(deserializer)?;
        Ok(match value {
            Either::Text(value) => Self::File(At { value, span }),
            Either::List(list) => Self::List(list),
        })
    }
}

impl JsonSchema for Selection {
    fn schema_name() -> Cow<'static, str> {
        "Selection".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let only = generator.subschema_for::<Only>();
        json_schema!({ "anyOf": [{ "const": "all" }, only] })
    }
}

impl JsonSchema for Declared {
    fn schema_name() -> Cow<'static, str> {
        "Declared".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// What becomes of a function's calls while the audit log can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unrecorded {
    /// They are refused (503).
    Refuse,
    /// They run; their records are written once the log can be written again, if the gateway lives that long.
    Run,
}
