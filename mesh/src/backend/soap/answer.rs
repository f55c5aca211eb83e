//! What a service's answer means: JSON, a fault, or nothing.

use super::{Form, Inner};
use crate::{
    backend::{exchange::plain, platform},
    invocation::{CallContext, InvokeError},
    payload::{Answer, Reply, whole::whole},
    soap::{
        INSTANCE,
        envelope::{self, Fault, Opened},
        xml::{self, elements},
    },
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use roxmltree::Node;
use serde_json::{Map, Value, json};
use tokio::time::timeout_at;

/// Longest answer that is read for what it says went wrong, in bytes.
const PROBLEM_BYTES_MAX: u64 = 64 * 1024;

/// Types of answers that are envelopes.
const XML: [&str; 3] = ["text/xml", "application/soap+xml", "application/xml"];

/// What stands for the text of an element that has attributes.
const TEXT: &str = "$";

/// Reads an answer: as JSON, or, if the caller sent a message of its own (`passing`), for whether it may have it as it is.
pub(super) async fn told(
    reply: Reply,
    soap: &Inner,
    passing: bool,
    context: &CallContext,
) -> Result<Reply, InvokeError> {
    let form = &soap.form;
    let (head, body) = reply.into_parts();
    let (status, headers) = (head.status, &head.headers);
    let refused = || platform::refused(status, headers, status.as_u16().to_string(), None);
    // Who has no room may say so in a fault, too.
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return Err(refused());
    }
    let success = status.is_success();
    let bytes_max = match success {
        true => context.response_bytes_max,
        false => context.response_bytes_max.min(PROBLEM_BYTES_MAX),
    };
    let body = timeout_at(context.deadline, whole(body, bytes_max)).await.map_err(|_| InvokeError::TimedOut)?;
    let body = match body {
        Err(InvokeError::AnswerTooLarge { .. }) if !success => return Err(refused()),
        body => body?,
    };
    if success && body.is_empty() {
        return if expects_nothing(form) { Ok(platform::accepted()) } else { Err(malformed("it is empty".to_owned())) };
    }
    if !is_xml(headers) || headers.contains_key(CONTENT_ENCODING) {
        return Err(if success { malformed("it is no XML".to_owned()) } else { refused() });
    }
    let document = xml::text(&body).and_then(xml::parse);
    let opened = match &document {
        Ok(document) => envelope::open(document.root_element()),
        Err(why) => Err(why.clone()),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(why) => return Err(if success { malformed(why) } else { refused() }),
    };
    // A fault is one whatever the status says.
    if let Some(fault) = Fault::read(&opened) {
        let problem = failed(&fault, form, context)?;
        return Ok(if passing { as_it_is(status, headers, &body) } else { problem });
    }
    if !success {
        return Err(refused());
    }
    if opened.version != form.version() {
        return Err(malformed("it is of another version of SOAP".to_owned()));
    }
    let value = match form {
        _ if passing => return Ok(as_it_is(status, headers, &body)),
        Form::Described(operation) => operation.told(&opened).map_err(malformed)?,
        Form::Written(..) => plainly(&opened, &soap.config.arrays),
    };
    let mut reply = Response::new(Answer::Buffered(Bytes::from(value.to_string())));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(reply)
}

/// The service's own message; of its headers only what belongs to that.
fn as_it_is(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Reply {
    let mut reply = Response::new(Answer::Buffered(body.clone()));
    *reply.status_mut() = status;
    reply.headers_mut().extend(headers.get(CONTENT_TYPE).map(|kind| (CONTENT_TYPE, kind.clone())));
    reply
}

fn expects_nothing(form: &Form) -> bool {
    matches!(form, Form::Described(operation) if !operation.answers())
}

/// What a fault means. Its code is the service's interface; all else stays inside.
fn failed(fault: &Fault, form: &Form, context: &CallContext) -> Result<Reply, InvokeError> {
    let code = plain(&fault.code.local);
    tracing::debug!(call = %context.call_id, code, words = plain(&fault.words), "the service answered with a fault");
    // Such codes are about the gateway: its credential, its version, its headers.
    let ours = fault.code.namespace.contains("wss-wssecurity")
        || matches!(&*fault.code.local, "VersionMismatch" | "MustUnderstand");
    if ours {
        return Err(InvokeError::Refused(format!("a fault: {code}")));
    }
    let detail = fault.detail.as_ref().filter(|detail| match form {
        Form::Described(operation) => operation.declares(detail),
        Form::Written(..) => false,
    });
    let (status, code) = match detail {
        Some(detail) => (StatusCode::UNPROCESSABLE_ENTITY, plain(&detail.local)),
        None if fault.sender => (StatusCode::BAD_REQUEST, code),
        None => return Err(InvokeError::FunctionFailed(format!("a fault: {code}"))),
    };
    let problem = json!({ "title": "The service refused the message", "status": status.as_u16(), "code": code });
    let mut reply = Response::new(Answer::Buffered(Bytes::from(problem.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    Ok(reply)
}

/// JSON of an answer that nothing describes: texts, objects, and arrays where elements come again or are named so.
fn plainly(opened: &Opened<'_, '_>, arrays: &[String]) -> Value {
    opened.element.map_or_else(|| Value::Object(Map::new()), |node| undescribed(node, arrays))
}

fn undescribed(node: Node<'_, '_>, arrays: &[String]) -> Value {
    let nil = node.attribute((INSTANCE, "nil")).is_some_and(|nil| matches!(nil, "true" | "1"));
    let attributes = node.attributes().filter(|attribute| attribute.namespace() != Some(INSTANCE));
    let mut members: Map<String, Value> = attributes
        .map(|attribute| (format!("@{}", attribute.name()), Value::String(attribute.value().to_owned())))
        .collect();
    if let Some(text) = xml::content(node) {
        let text = if nil { Value::Null } else { Value::String(text) };
        if members.is_empty() {
            return text;
        }
        members.insert(TEXT.to_owned(), text);
        return Value::Object(members);
    }
    for child in elements(node) {
        let name = child.tag_name().name();
        let value = undescribed(child, arrays);
        match members.get_mut(name) {
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None if arrays.iter().any(|array| array == name) => {
                members.insert(name.to_owned(), Value::Array(vec![value]));
            }
            None => drop(members.insert(name.to_owned(), value)),
        }
    }
    Value::Object(members)
}

fn is_xml(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let media = kind.split(';').next().unwrap_or_default().trim();
    XML.iter().any(|xml| media.eq_ignore_ascii_case(xml))
}

fn malformed(why: String) -> InvokeError {
    InvokeError::BadAnswer(why)
}
