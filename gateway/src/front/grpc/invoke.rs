//! Calls by name, `latchwork.invoke.v1`: the message becomes the request that an HTTP caller would have sent.

use super::message::{self, MESSAGE_BYTES_MAX};
use crate::{
    audit::record::Stage,
    call::{Arrived, Named, Unread},
    front::hygiene,
    identify::pass,
    refusal::Refusal,
    trail::Stopped,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use proto::invoke::v1::{InvokeRequest, Parameter, payload::Form};
use std::{mem, sync::Arc};
use tokio::sync::Semaphore;

/// How the answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole.
    Unary,
    /// As it comes.
    Stream,
}

/// Opens a call by name; passes every other call on as it is. The message names the function, so it must be read before
/// the call is routed; nobody's message is read before its sender is known.
///
/// # Errors
/// Those of identify, which answers from what it remembers when it is asked again; of reading; [`Refusal::Malformed`].
pub async fn open(mut arrived: Arrived, budget: &Arc<Semaphore>) -> Result<Arrived, Stopped> {
    // What the gateway calls itself is named already.
    if arrived.envelope.invoke.is_none() || arrived.envelope.pass.is_some() {
        return Ok(arrived);
    }
    let known = pass::known(&mut arrived, budget);
    known.await.map_err(Stopped::at(Stage::Identify))?;
    read(arrived, budget).await.map_err(Stopped::at(Stage::Front))
}

async fn read(mut arrived: Arrived, budget: &Arc<Semaphore>) -> Result<Arrived, Refusal> {
    let body = mem::replace(&mut arrived.body, Unread::Empty);
    let bounds = message::bounds(&arrived.envelope, MESSAGE_BYTES_MAX);
    let request: InvokeRequest = message::one(body, bounds, budget).await?;
    let (kind, bytes) = input(request.input)?;
    let headers = &mut arrived.head.headers;
    let ours: Vec<HeaderName> = headers.keys().filter(|name| of_grpc(name)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    further(headers, &request.headers)?;
    if let Some(kind) = kind {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    arrived.head.query = query(&request.query);
    arrived.body = if bytes.is_empty() { Unread::Empty } else { Unread::Whole(bytes) };
    let path = request.path.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    arrived.named = Some(Named { function: request.function.into(), path });
    Ok(arrived)
}

fn input(input: Option<proto::invoke::v1::Payload>) -> Result<(Option<HeaderValue>, Bytes), Refusal> {
    let input = input.unwrap_or_default();
    match input.form {
        Some(Form::Json(_)) if !input.content_type.is_empty() => Err(malformed("`json` has no `content_type`")),
        Some(Form::Json(text)) => Ok((Some(HeaderValue::from_static("application/json")), text.into())),
        Some(Form::Binary(bytes)) if input.content_type.is_empty() => {
            Ok((Some(HeaderValue::from_static("application/octet-stream")), bytes))
        }
        Some(Form::Binary(bytes)) => {
            let kind = HeaderValue::try_from(input.content_type);
            Ok((Some(kind.map_err(|_| malformed("`content_type` is no media type"))?), bytes))
        }
        None => Ok((None, Bytes::new())),
    }
}

/// Fields that concern the gRPC call, not the function's.
fn of_grpc(name: &HeaderName) -> bool {
    name.as_str().starts_with("grpc-") || [header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name)
}

/// Adds the message's headers to the metadata; those that the HTTP front would drop or read itself are refused.
fn further(headers: &mut HeaderMap, given: &[Parameter]) -> Result<(), Refusal> {
    let mut further = HeaderMap::new();
    for Parameter { name, value } in given {
        let parsed = HeaderName::try_from(name).ok().filter(|parsed| parsed.as_str() == name);
        let parsed = parsed.ok_or(malformed("a header's name is not lowercase, or none"))?;
        let value = HeaderValue::try_from(value).map_err(|_| malformed("a header's value is none"))?;
        further.append(parsed, value);
    }
    let count = further.len();
    hygiene::clean(&mut further).map_err(|e| Refusal::Malformed(e.to_string().into()))?;
    let taken = |name: &HeaderName| !hygiene::may_be_given(name) || headers.contains_key(name);
    if further.len() != count || further.keys().any(taken) {
        return Err(malformed("a header is not the message's to give"));
    }
    if headers.len() + count > hygiene::FIELDS_MAX {
        return Err(malformed("there are too many header fields"));
    }
    for (name, value) in &further {
        headers.append(name, value.clone());
    }
    Ok(())
}

fn query(parameters: &[Parameter]) -> Option<Arc<str>> {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(parameters.iter().map(|p| (&p.name, &p.value)));
    let text = text.finish();
    (!text.is_empty()).then(|| text.into())
}

fn malformed(why: &'static str) -> Refusal {
    Refusal::Malformed(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(given: &[(&str, &str)]) -> Result<HeaderMap, Refusal> {
        let mut headers: HeaderMap = [(header::USER_AGENT, HeaderValue::from_static("client"))].into_iter().collect();
        let parameter = |(name, value): &(&str, &str)| Parameter { name: (*name).into(), value: (*value).into() };
        further(&mut headers, &given.iter().map(parameter).collect::<Vec<_>>())?;
        Ok(headers)
    }

    #[test]
    fn the_message_gives_only_headers_that_are_its_own() {
        let headers = added(&[("x-tag", "a"), ("x-tag", "b"), ("accept", "text/plain")]).unwrap();
        assert_eq!(headers.get_all("x-tag").iter().count(), 2);
        for name in [
            "authorization",
            "cookie",
            "host",
            "content-type",
            "content-length",
            "connection",
            "te",
            "transfer-encoding",
            "latchwork-caller",
            "x-forwarded-for",
            "x_user_id",
            "grpc-timeout",
            "user-agent",
            "X-Tag",
            "a b",
            "",
        ] {
            assert!(matches!(added(&[(name, "x")]), Err(Refusal::Malformed(_))), "{name}");
        }
        assert!(added(&[("x-tag", "a\r\nb")]).is_err());
    }

    #[test]
    fn query_parameters_are_encoded_in_order() {
        let parameter = |name: &str, value: &str| Parameter { name: name.into(), value: value.into() };
        let text = query(&[parameter("b", "1 &=%"), parameter("a", "é"), parameter("b", "")]);
        assert_eq!(text.as_deref(), Some("b=1+%26%3D%25&a=%C3%A9&b="));
        assert_eq!(query(&[]), None);
    }
}
