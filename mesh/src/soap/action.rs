//! The action that a request's headers name: `SOAPAction` of SOAP 1.1, the parameter of SOAP 1.2's media type.

use super::Version;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};

/// The header of SOAP 1.1.
pub const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");

/// Longest action, in bytes.
pub const ACTION_BYTES_MAX: usize = 1024;

/// What the headers of a request say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The version, by the media type.
    pub version: Version,
    /// The action; `None` when none is named.
    pub action: Option<String>,
}

/// The version of which a request says that its body is: by SOAP 1.2's own media type, or SOAP 1.1's with the header that
/// belongs to it, since others post `text/xml`, too. Whether the rest of it is sound is not asked.
#[must_use]
pub fn spoken(headers: &HeaderMap) -> Option<Version> {
    let version = headers.get(CONTENT_TYPE).and_then(|kind| media(kind.to_str().ok()?).0)?;
    (version == Version::V12 || headers.contains_key(SOAP_ACTION)).then_some(version)
}

/// The version of a media type, and its parameters.
fn media(kind: &str) -> (Option<Version>, &str) {
    let (media, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let version = match media.trim().to_ascii_lowercase().as_str() {
        "text/xml" => Some(Version::V11),
        "application/soap+xml" => Some(Version::V12),
        _ => None,
    };
    (version, parameters)
}

/// Reads the headers of a request; `Ok(None)` when it does not say that it is SOAP.
///
/// # Errors
/// Headers that two servers could take differently.
pub fn announced(headers: &HeaderMap) -> Result<Option<Announced>, &'static str> {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let Some(kind) = kinds.next() else { return Ok(None) };
    let kind = kind.to_str().map_err(|_| "`content-type` is no text")?;
    if kinds.next().is_some() {
        return Err("`content-type` is given more than once");
    }
    let (Some(version), parameters) = media(kind) else { return Ok(None) };
    let mut action = header(headers)?;
    for (name, value) in pairs(parameters).ok_or("`content-type` is malformed")? {
        match name.to_ascii_lowercase().as_str() {
            "charset" if value.eq_ignore_ascii_case("utf-8") => {}
            "charset" => return Err("`charset` is not UTF-8"),
            "action" => match &action {
                Some(other) if *other != value => return Err("the actions in `soapaction` and `content-type` differ"),
                _ => action = Some(value),
            },
            _ => {}
        }
    }
    if action.as_ref().is_some_and(|action| action.len() > ACTION_BYTES_MAX) {
        return Err("the action is too long");
    }
    Ok(Some(Announced { version, action: action.filter(|action| !action.is_empty()) }))
}

/// The one value of `SOAPAction`, with or without quotes.
fn header(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    let mut values = headers.get_all(SOAP_ACTION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("`soapaction` is given more than once");
    }
    let text = value.to_str().map_err(|_| "`soapaction` is no text")?.trim();
    let bare = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or("`soapaction` has one quote")?,
        None => text,
    };
    // A list is read as its first, its last, or one value.
    if bare.contains(['"', ',']) { Err("`soapaction` is malformed") } else { Ok(Some(bare.to_owned())) }
}

/// Parameters of a media type; each name once.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted_string(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                let (value, after) = after.split_at_checked(end)?;
                (value.trim().to_owned(), after)
            }
        };
        let name = name.trim();
        let sound = !name.is_empty() && !name.contains([' ', ';', '"', ',']) && !value.contains(';');
        if !sound || pairs.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return None;
        }
        pairs.push((name.to_owned(), value));
        rest = match after.trim_start() {
            "" => "",
            after => after.strip_prefix(';')?.trim(),
        };
    }
    Some(pairs)
}

/// What a quoted string says, and what follows it.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut said = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((said, text.get(at + 1..)?)),
            '\\' => said.push(characters.next()?.1),
            character => said.push(character),
        }
    }
    None
}

/// Makes the headers of a message say this, and nothing else of its action.
///
/// # Errors
/// An action that can't stand in a header.
pub fn announce(headers: &mut HeaderMap, version: Version, action: &str) -> Result<(), &'static str> {
    let value = |text: String| HeaderValue::from_str(&text).map_err(|_| "an action can't stand in a header");
    let media = version.media_type();
    headers.remove(SOAP_ACTION);
    match version {
        Version::V11 => {
            headers.insert(CONTENT_TYPE, value(format!("{media}; charset=utf-8"))?);
            headers.insert(SOAP_ACTION, value(format!("\"{action}\""))?);
        }
        Version::V12 if action.is_empty() => {
            headers.insert(CONTENT_TYPE, value(format!("{media}; charset=utf-8"))?);
        }
        Version::V12 => {
            headers.insert(CONTENT_TYPE, value(format!("{media}; charset=utf-8; action=\"{action}\""))?);
        }
    }
    Ok(())
}

/// Whether a text can be an action: a URI, or whatever else has no blank, quote or sign of lists.
#[must_use]
pub fn is_action(text: &str) -> bool {
    text.len() <= ACTION_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic() && !b"\",;\\".contains(&b))
}
