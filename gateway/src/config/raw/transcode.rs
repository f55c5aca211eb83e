//! `transcode` and `messages`, as written: whose rules count, and in what form messages go.

use super::At;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, value::SeqAccessDeserializer},
};
use std::{borrow::Cow, fmt};

/// `transcode = "annotations"` or `transcode = [{ route = "GET /v1/{name=shelves/*}" }]`
#[derive(Debug)]
pub(crate) enum Transcode {
    /// Those of the descriptors.
    Annotations,
    /// These.
    Rules(Vec<Rule>),
}

/// The form of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Messages {
    /// JSON.
    Json,
    /// The message as it is.
    Bytes,
}

/// One rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rule {
    /// Method and path, such as `"GET /v1/{name=shelves/*}"`, whose variables are fields of the message; a path alone
    /// takes any method.
    #[schemars(required)]
    pub(crate) route: Option<At<String>>,
    /// The field that the body is; `"*"` for all that the path does not hold. Default no body: fields are in the query.
    pub(crate) body: Option<At<String>>,
    /// The field of the answer that is sent. Default the whole answer.
    pub(crate) response_body: Option<At<String>>,
}

impl<'de> Deserialize<'de> for Transcode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Transcode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`\"annotations\"` or a list such as `[{ route = \"GET /v1/{name=shelves/*}\" }]`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Transcode, E> {
                let known = text == "annotations";
                if known { Ok(Transcode::Annotations) } else { Err(E::unknown_variant(text, &["annotations"])) }
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Transcode, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Transcode::Rules)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Transcode {
    fn schema_name() -> Cow<'static, str> {
        "Transcode".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rules = generator.subschema_for::<Vec<Rule>>();
        json_schema!({ "anyOf": [{ "const": "annotations" }, rules] })
    }
}
