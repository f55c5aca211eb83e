//! `event` as it is written: a word, or a table for an event of CloudEvents.

use super::cloud_events::{CloudEventConfig, Mode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, value::MapAccessDeserializer},
};
use std::{borrow::Cow, fmt};

/// What a function is given, and what its answer means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EventForm {
    /// `"api_gateway_v2"`: an API Gateway HTTP API event, payload format 2.0; the answer may set status and headers.
    #[default]
    ApiGatewayV2,
    /// `"api_gateway_v1"`: an API Gateway REST API event, payload format 1.0; likewise.
    ApiGatewayV1,
    /// `"alb"`: a load balancer's event, with the last value of each header and part of the query; likewise.
    Alb,
    /// `"alb_multi_value"`: a load balancer's event with all values; likewise.
    AlbMultiValue,
    /// `"function_url"`: the event of a function URL; likewise.
    FunctionUrl,
    /// `"body"`: the body as it is; the answer is the body as it is, with status 200.
    Body,
    /// `{ type = "…", source = "…" }`: an event of CloudEvents in JSON, with the body as its data; the answer is as with
    /// `"body"`.
    CloudEvent(Box<CloudEventForm>),
}

/// `event = { … }`: the event's attributes. Its id is the call's, its time when the call was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudEventForm {
    /// What happened, such as `"example.shop.ordered"`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where, as a URI reference, such as `"/shop/orders"`.
    pub source: String,
    /// What it happened to.
    pub subject: Option<String>,
}

impl CloudEventForm {
    /// The same as others write it.
    pub(crate) fn config(&self) -> CloudEventConfig {
        let Self { kind, source, subject } = self.clone();
        CloudEventConfig { kind, source, subject, mode: Mode::Structured }
    }
}

/// Words, and what they mean.
const WORDS: [(&str, EventForm); 6] = [
    ("api_gateway_v2", EventForm::ApiGatewayV2),
    ("api_gateway_v1", EventForm::ApiGatewayV1),
    ("alb", EventForm::Alb),
    ("alb_multi_value", EventForm::AlbMultiValue),
    ("function_url", EventForm::FunctionUrl),
    ("body", EventForm::Body),
];

impl<'de> Deserialize<'de> for EventForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = EventForm;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word such as `\"api_gateway_v2\"` or a table such as `{ type = \"…\", source = \"…\" }`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<EventForm, E> {
                const NAMES: [&str; 6] =
                    ["api_gateway_v2", "api_gateway_v1", "alb", "alb_multi_value", "function_url", "body"];
                let found = WORDS.into_iter().find(|(word, _)| *word == text);
                found.map(|(_, form)| form).ok_or_else(|| E::unknown_variant(text, &NAMES))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<EventForm, A::Error> {
                CloudEventForm::deserialize(MapAccessDeserializer::new(map)).map(Box::new).map(EventForm::CloudEvent)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for EventForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::CloudEvent(form) => form.serialize(serializer),
            other => {
                let word = WORDS.iter().find(|(_, form)| form == other).map_or("", |(word, _)| word);
                serializer.serialize_str(word)
            }
        }
    }
}

impl JsonSchema for EventForm {
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<CloudEventForm>();
        let words = WORDS.map(|(word, _)| word);
        json_schema!({ "anyOf": [{ "enum": words }, table] })
    }
}
