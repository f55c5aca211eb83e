//! CloudEvents 1.0 over HTTP: a call as an event, with its attributes in headers or all of it in JSON.

pub(crate) mod reply;

use crate::{
    backend::{ConfigError, platform},
    event,
    invocation::{CallContext, InvokeError, Outbound},
    payload::Payload,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Map, Value};
use std::str;

/// Longest attribute, in bytes.
const ATTRIBUTE_BYTES_MAX: usize = 1024;

/// What attributes' headers begin with.
const PREFIX: &str = "ce-";

/// The content type of an event that is JSON.
const STRUCTURED: &str = "application/cloudevents+json";

/// What is encoded in a header: all but visible ASCII, and what the binding says besides.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// `event = { … }`: the call's attributes. Its id is the call's, its time when the call was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudEventConfig {
    /// What happened, such as `"example.shop.ordered"`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where, as a URI reference, such as `"/shop/orders"`.
    pub source: String,
    /// What it happened to.
    pub subject: Option<String>,
    /// Attributes in headers and the body as it is (`"binary"`, default), or all in JSON (`"structured"`).
    #[serde(default)]
    pub mode: Mode,
}

/// How an event is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Attributes in headers.
    #[default]
    Binary,
    /// All of it in JSON.
    Structured,
}

impl CloudEventConfig {
    /// What is wrong with it as it is written.
    pub(crate) fn problems(&self) -> Vec<ConfigError> {
        let all = [("type", Some(&self.kind)), ("source", Some(&self.source)), ("subject", self.subject.as_ref())];
        let odd =
            |text: &&String| text.is_empty() || text.len() > ATTRIBUTE_BYTES_MAX || text.chars().any(char::is_control);
        let wrong = all.into_iter().filter(|(_, text)| text.as_ref().is_some_and(odd));
        let mut problems: Vec<_> = wrong
            .map(|(field, _)| ConfigError {
                field,
                message: format!("an attribute has 1 to {ATTRIBUTE_BYTES_MAX} bytes and no control characters"),
            })
            .collect();
        if problems.is_empty() && !self.source.bytes().all(|b| b.is_ascii_graphic()) {
            let message = "a source is a URI reference such as `/shop/orders`".to_owned();
            problems.push(ConfigError { field: "source", message });
        }
        problems
    }

    /// Makes a call into an event.
    pub(crate) async fn raise(&self, outbound: &mut Outbound) -> Result<(), InvokeError> {
        let payload = std::mem::replace(&mut outbound.payload, Payload::Empty);
        let body = event::whole(payload, &outbound.context).await?;
        let body = self.apply(&mut outbound.head.headers, body, &outbound.context)?;
        outbound.payload = Payload::Buffered(body);
        outbound.head.method = Method::POST;
        Ok(())
    }

    /// Makes headers and body into the event's. A caller's own attributes do not count.
    pub(crate) fn apply(
        &self,
        headers: &mut HeaderMap,
        body: Bytes,
        context: &CallContext,
    ) -> Result<Bytes, InvokeError> {
        platform::reserve(headers, &[PREFIX]);
        match self.mode {
            // Its reader would take the body for the event, and the caller's attributes for ours.
            Mode::Binary if kind(headers).is_some_and(is_event) => {
                Err(InvokeError::Unsupported("a body that is an event already"))
            }
            Mode::Binary => {
                for (name, value) in self.attributes(context) {
                    let encoded = utf8_percent_encode(&value, ENCODED).to_string();
                    let name = HeaderName::try_from(format!("{PREFIX}{name}"));
                    let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(encoded)) else { continue };
                    headers.insert(name, value);
                }
                Ok(body)
            }
            Mode::Structured => {
                let event = self.structured(headers, &body, context)?;
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(STRUCTURED));
                Ok(Bytes::from(event))
            }
        }
    }

    fn attributes(&self, context: &CallContext) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("specversion", "1.0".to_owned()),
            ("id", context.call_id.to_string()),
            ("source", self.source.clone()),
            ("type", self.kind.clone()),
            ("time", context.accepted.to_string()),
        ];
        attributes.extend(self.subject.clone().map(|subject| ("subject", subject)));
        attributes
    }

    /// JSON stays as it is, to the last digit; other text is a text, and what is no text is base64.
    fn structured(&self, headers: &HeaderMap, body: &Bytes, context: &CallContext) -> Result<String, InvokeError> {
        let attributes = self.attributes(context).into_iter();
        let mut event: Map<String, Value> = attributes.map(|(name, value)| (name.to_owned(), value.into())).collect();
        if body.is_empty() {
            return Ok(Value::Object(event).to_string());
        }
        let kind = kind(headers).unwrap_or("application/octet-stream");
        event.insert("datacontenttype".to_owned(), kind.into());
        match str::from_utf8(body) {
            Ok(text) if is_json(kind) => {
                let none = |_| InvokeError::Unsupported("a body that says it is JSON and is none");
                serde_json::from_str::<IgnoredAny>(text).map_err(none)?;
                let attributes = Value::Object(event).to_string();
                let open = attributes.strip_suffix('}').unwrap_or_default();
                return Ok(format!("{open},\"data\":{text}}}"));
            }
            Ok(text) => event.insert("data".to_owned(), text.into()),
            Err(_) => event.insert("data_base64".to_owned(), STANDARD.encode(body).into()),
        };
        Ok(Value::Object(event).to_string())
    }
}

fn kind(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok())
}

/// Whether a reader takes a body of this type for an event or several.
fn is_event(kind: &str) -> bool {
    kind.trim_start().to_ascii_lowercase().starts_with("application/cloudevents")
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use serde_json::json;
    use std::time::Duration;

    fn event(mode: Mode) -> CloudEventConfig {
        CloudEventConfig { kind: "shop.ordered".into(), source: "/shop".into(), subject: Some("tea é\"".into()), mode }
    }

    #[test]
    fn attributes_are_headers_and_the_body_is_as_it_is() {
        let mut headers = HeaderMap::new();
        headers.insert("ce-type", HeaderValue::from_static("a-callers-own"));
        headers.insert("ce-admin", HeaderValue::from_static("yes"));
        let context = samples::context(Duration::from_secs(1));
        let body = event(Mode::Binary).apply(&mut headers, Bytes::from("\0x"), &context).unwrap();
        let mut all: Vec<_> = headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        all.sort_unstable();
        let id = format!("ce-id: {}", context.call_id);
        let expected = [
            id.as_str(),
            "ce-source: /shop",
            "ce-specversion: 1.0",
            "ce-subject: tea%20%C3%A9%22",
            "ce-time: 2026-11-23T10:20:30Z",
            "ce-type: shop.ordered",
        ];
        assert_eq!((all, &body[..]), (expected.map(str::to_owned).to_vec(), &b"\0x"[..]));
    }

    #[test]
    fn all_of_it_is_json() {
        let context = samples::context(Duration::from_secs(1));
        let write = |kind: &'static str, body: &'static [u8]| {
            let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            let body = event(Mode::Structured).apply(&mut headers, Bytes::from(body), &context)?;
            assert_eq!(headers[CONTENT_TYPE], STRUCTURED);
            Ok::<Value, InvokeError>(serde_json::from_slice(&body).unwrap())
        };
        let said = write("application/json", b"{\"a\":1}").unwrap();
        assert_eq!((&said["data"], &said["subject"]), (&json!({ "a": 1 }), &json!("tea é\"")));
        assert_eq!(said["datacontenttype"], "application/json");
        assert_eq!(write("text/plain", b"a,b").unwrap()["data"], "a,b");
        assert_eq!(write("image/png", b"\xff").unwrap()["data_base64"], "/w==");
        assert_eq!(write("application/json", b"1e-7").unwrap()["data"].to_string(), "1e-7");
        assert!(write("application/json", b"no").is_err());
        assert_eq!(write("application/json", b"").unwrap().get("data"), None);
    }

    #[test]
    fn attributes_are_checked() {
        assert_eq!(event(Mode::Binary).problems(), []);
        for (field, wrong) in [
            ("type", CloudEventConfig { kind: String::new(), ..event(Mode::Binary) }),
            ("source", CloudEventConfig { source: "a b".into(), ..event(Mode::Binary) }),
            ("subject", CloudEventConfig { subject: Some("a\nb".into()), ..event(Mode::Binary) }),
        ] {
            assert_eq!(wrong.problems().iter().map(|p| p.field).collect::<Vec<_>>(), [field]);
        }
    }
}
