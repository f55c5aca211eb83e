//! A client's own message on its way to the service: the bytes that policy saw, with the gateway's token in the header.

use super::{Form, bad, security::SECURITY};
use crate::{
    invocation::InvokeError,
    soap::{
        Version,
        envelope::{self, Opened},
        xml::{self, elements},
    },
};

/// The message as it is sent on; `token` is what the gateway adds to its header. Header and body stay as they are but for
/// tokens of the caller's where the gateway has one of its own: it is the gateway that the service knows.
pub(super) fn message(bytes: &[u8], form: &Form, token: Option<&str>) -> Result<String, InvokeError> {
    let Form::Described(operation) = form else {
        return Err(InvokeError::Unsupported("a message, as its own are written"));
    };
    let text = xml::text(bytes).map_err(bad)?;
    let document = xml::parse(text).map_err(bad)?;
    let opened = envelope::open(document.root_element()).map_err(bad)?;
    if opened.version != operation.version {
        let version = if operation.version == Version::V11 { "1.1" } else { "1.2" };
        return Err(bad(format!("messages are taken in SOAP {version} only")));
    }
    if opened.glance().element.as_ref() != operation.element() {
        return Err(bad("the body holds another operation".to_owned()));
    }
    Ok(match token {
        Some(token) => with_token(text, &opened, token),
        None => text.to_owned(),
    })
}

/// Puts the token at the end of the header, instead of the caller's.
fn with_token(text: &str, opened: &Opened<'_, '_>, token: &str) -> String {
    let between = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let Some(header) = opened.header else {
        let at = opened.body.range().start;
        let namespace = opened.version.namespace();
        let header = format!("<soap:Header xmlns:soap=\"{namespace}\">{token}</soap:Header>");
        return [between(0, at), &header, between(at, text.len())].concat();
    };
    let whole = header.range();
    let mut out = between(0, whole.start).to_owned();
    let mut from = whole.start;
    for theirs in elements(header).filter(|node| node.has_tag_name((SECURITY, "Security"))).map(|node| node.range()) {
        out.push_str(between(from, theirs.start));
        from = theirs.end;
    }
    let rest = between(from, whole.end);
    match (rest.strip_suffix("/>"), rest.rsplit_once("</")) {
        // Nothing is in it, so the rest is all of it.
        (Some(opening), _) => {
            let name = opening.trim_start_matches('<').split_whitespace().next().unwrap_or_default();
            out.extend([opening, ">", token, "</", name, ">"]);
        }
        (None, Some((inside, closing))) => out.extend([inside, token, "</", closing]),
        (None, None) => out.push_str(rest),
    }
    out.push_str(between(whole.end, text.len()));
    out
}
