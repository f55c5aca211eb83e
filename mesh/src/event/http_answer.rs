//! What functions answer that were given a request: status, headers, cookies and body, in any of the forms they know.

use crate::{
    hop,
    invocation::InvokeError,
    payload::{Answer, Reply},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE},
};
use serde_json::{Map, Value};

/// Most header fields that a function may set.
const FIELDS_MAX: usize = 100;

/// Longest header that a function may set, in bytes.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// What stands between the head and the body of an answer that comes piece by piece.
pub(super) const PRELUDE_END: [u8; 8] = [0; 8];

/// What an answer means.
pub(super) fn reply(bytes: Bytes) -> Result<Reply, InvokeError> {
    let value = serde_json::from_slice(&bytes).map_err(|error| bad(format!("it is not JSON: {error}")))?;
    match value {
        Value::Object(mut answer) if answer.contains_key("statusCode") => {
            let body = answer.remove("body");
            let body = read_body(body, answer.get("isBase64Encoded"))?;
            finish(&answer, body)
        }
        // Without a status, the answer itself is the body.
        _ => {
            let mut reply = Response::new(Answer::Buffered(bytes));
            reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(reply)
        }
    }
}

fn finish(answer: &Map<String, Value>, body: Bytes) -> Result<Reply, InvokeError> {
    let (mut head, ()) = head(answer)?.into_parts();
    let answer = if body.is_empty() || is_bodiless(head.status) { Answer::Empty } else { Answer::Buffered(body) };
    if matches!(answer, Answer::Buffered(_)) && !head.headers.contains_key(CONTENT_TYPE) {
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    Ok(Response::from_parts(head, answer))
}

/// Status and headers.
pub(super) fn head(answer: &Map<String, Value>) -> Result<Response<()>, InvokeError> {
    let mut response = Response::new(());
    *response.status_mut() = read_status(answer.get("statusCode"))?;
    let headers = response.headers_mut();
    *headers = read_headers(answer)?;
    hop::strip(headers);
    // It follows from the body.
    headers.remove(CONTENT_LENGTH);
    Ok(response)
}

/// Whether an answer of this status has no body.
pub(super) fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

fn read_status(status: Option<&Value>) -> Result<StatusCode, InvokeError> {
    let number = match status {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(digits)) => digits.parse().ok(),
        // Only the head of an answer that comes piece by piece may leave it out.
        None => Some(200),
        Some(_) => None,
    };
    let number = number.filter(|n| (200..=599).contains(n)).and_then(|n| u16::try_from(n).ok());
    let status = number.and_then(|n| StatusCode::from_u16(n).ok());
    status.ok_or_else(|| bad("`statusCode` is not a number from 200 to 599"))
}

fn read_headers(answer: &Map<String, Value>) -> Result<HeaderMap, InvokeError> {
    let mut headers = HeaderMap::new();
    let mut fields: Vec<(&str, String)> = Vec::new();
    let single = object(answer, "headers")?;
    let multiple = object(answer, "multiValueHeaders")?;
    let again = |name: &str| multiple.iter().flat_map(|m| m.keys()).any(|other| other.eq_ignore_ascii_case(name));
    for (name, value) in single.into_iter().flatten().filter(|(name, _)| !again(name)) {
        fields.push((name, scalar(name, value)?));
    }
    for (name, values) in multiple.into_iter().flatten() {
        let Value::Array(values) = values else { return Err(bad(format!("`multiValueHeaders.{name}` is not a list"))) };
        for value in values {
            fields.push((name, scalar(name, value)?));
        }
    }
    match answer.get("cookies") {
        None | Some(Value::Null) => {}
        Some(Value::Array(cookies)) => {
            for cookie in cookies {
                fields.push((SET_COOKIE.as_str(), scalar("cookies", cookie)?));
            }
        }
        Some(_) => return Err(bad("`cookies` is not a list")),
    }
    let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    if fields.len() > FIELDS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(bad(format!("it has more than {FIELDS_MAX} headers or {HEADER_BYTES_MAX} bytes of them")));
    }
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("a header's name is malformed"))?;
        let value =
            HeaderValue::try_from(value).map_err(|_| bad(format!("the value of header `{name}` is malformed")))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn object<'a>(answer: &'a Map<String, Value>, name: &str) -> Result<Option<&'a Map<String, Value>>, InvokeError> {
    match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(bad(format!("`{name}` is not an object"))),
    }
}

fn scalar(name: &str, value: &Value) -> Result<String, InvokeError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(bad(format!("the value of `{name}` is not a text"))),
    }
}

fn read_body(body: Option<Value>, is_base64: Option<&Value>) -> Result<Bytes, InvokeError> {
    let text = match body {
        None | Some(Value::Null) => return Ok(Bytes::new()),
        Some(Value::String(text)) => text,
        Some(_) => return Err(bad("`body` is not a text")),
    };
    match is_base64 {
        None | Some(Value::Null | Value::Bool(false)) => Ok(Bytes::from(text)),
        Some(Value::Bool(true)) => STANDARD.decode(text).map(Bytes::from).map_err(|_| bad("`body` is not base64")),
        Some(_) => Err(bad("`isBase64Encoded` is not true or false")),
    }
}

fn bad(words: impl Into<String>) -> InvokeError {
    InvokeError::BadAnswer(words.into())
}

#[cfg(test)]
mod tests;
