//! The other direction: what an event says that was answered, with its attributes in headers or all of it in JSON.

use super::{PREFIX, is_json, kind};
use crate::{
    backend::platform,
    invocation::{CallContext, InvokeError},
    payload::{Answer, Reply, whole::whole},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use serde::de::{DeserializeOwned, IgnoredAny};
use std::str;
use tokio::time::timeout_at;

/// Says that an answer is an event with its attributes in headers.
const SPEC_VERSION: HeaderName = HeaderName::from_static("ce-specversion");

/// The version that is read.
const VERSION: &str = "1.0";

/// What every event says of itself.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

/// An event that is JSON, as far as it is read: each member as it was written.
#[derive(Default)]
struct Structured<'t> {
    members: Vec<(String, &'t str)>,
}

/// The data of an event that was answered, under the answer's status; what is no event is as it is.
pub(crate) async fn data(mut reply: Reply, context: &CallContext) -> Result<Reply, InvokeError> {
    if !reply.status().is_success() {
        platform::reserve(reply.headers_mut(), &[PREFIX]);
        return Ok(reply);
    }
    let said = kind(reply.headers()).unwrap_or_default().to_ascii_lowercase();
    if said.starts_with("application/cloudevents-batch") {
        return Err(malformed("a batch of events"));
    }
    if !said.starts_with("application/cloudevents") {
        let other = reply.headers().get(SPEC_VERSION).is_some_and(|version| version != VERSION);
        platform::reserve(reply.headers_mut(), &[PREFIX]);
        return if other { Err(malformed("an event of another version")) } else { Ok(reply) };
    }
    if !is_json(&said) {
        return Err(malformed("an event that is not JSON"));
    }
    let (mut head, answer) = reply.into_parts();
    let text = timeout_at(context.deadline, whole(answer, context.response_bytes_max)).await;
    let text = text.map_err(|_| InvokeError::TimedOut)??;
    let (kind, data) = Structured::read(&text)?.into_data()?;
    tracing::debug!(call = %context.call_id, "an event was answered");
    platform::reserve(&mut head.headers, &[PREFIX]);
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(CONTENT_TYPE);
    let answer = match data {
        None => Answer::Empty,
        Some(data) => {
            let kind = HeaderValue::try_from(kind).map_err(|_| malformed("an event with an odd `datacontenttype`"))?;
            head.headers.insert(CONTENT_TYPE, kind);
            Answer::Buffered(data)
        }
    };
    Ok(Reply::from_parts(head, answer))
}

impl<'t> Structured<'t> {
    /// Reads an event; its data stays as it is, to the last digit.
    fn read(bytes: &'t [u8]) -> Result<Self, InvokeError> {
        let text = str::from_utf8(bytes).map_err(|_| malformed("an event that is no text"))?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| malformed("an event that is no JSON"))?;
        let mut rest = text.trim_start().strip_prefix('{').ok_or_else(|| malformed("an event that is no object"))?;
        let mut event = Self::default();
        loop {
            rest = rest.trim_start_matches([',', ' ', '\t', '\r', '\n']);
            if rest.starts_with('}') {
                break;
            }
            let (name, after) = value::<String>(rest)?;
            let after = after.trim_start().strip_prefix(':').unwrap_or_default().trim_start();
            let (_, next) = value::<IgnoredAny>(after)?;
            let written = after.get(..after.len() - next.len()).unwrap_or_default();
            if event.written(&name).is_some() {
                return Err(malformed("an event that says something twice"));
            }
            event.members.push((name, written));
            rest = next;
        }
        if event.text("specversion")?.is_some_and(|version| version != VERSION) {
            return Err(malformed("an event of another version"));
        }
        for name in REQUIRED {
            if event.text(name)?.is_none_or(|text| text.is_empty()) {
                return Err(malformed("an event without a required attribute"));
            }
        }
        Ok(event)
    }

    /// Its type and bytes, if it has any.
    fn into_data(self) -> Result<(String, Option<Bytes>), InvokeError> {
        let kind = self.text("datacontenttype")?.unwrap_or_else(|| "application/json".to_owned());
        let data = match (self.written("data"), self.text("data_base64")?) {
            (None, None) => None,
            (Some(_), Some(_)) => return Err(malformed("an event with two kinds of data")),
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text).map_err(|_| malformed("an event whose data is no base64"))?;
                Some(Bytes::from(bytes))
            }
            (Some(written), None) if is_json(&kind) => Some(Bytes::copy_from_slice(written.as_bytes())),
            (Some(_), None) => self.text("data")?.map(Bytes::from),
        };
        Ok((kind, data))
    }

    fn written(&self, name: &str) -> Option<&'t str> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, written)| *written)
    }

    fn text(&self, name: &str) -> Result<Option<String>, InvokeError> {
        let read = |written| serde_json::from_str::<Option<String>>(written);
        let text = self.written(name).map(read).transpose();
        text.map(Option::flatten).map_err(|_| malformed("an event with an attribute that is no text"))
    }
}

/// The first value of a text, and what follows it.
fn value<T: DeserializeOwned>(text: &str) -> Result<(T, &str), InvokeError> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let first = values.next().and_then(Result::ok).ok_or_else(|| malformed("an event that is no JSON"))?;
    Ok((first, text.get(values.byte_offset()..).unwrap_or_default()))
}

fn malformed(what: &str) -> InvokeError {
    InvokeError::BadAnswer(what.to_owned())
}

#[cfg(test)]
mod tests;
