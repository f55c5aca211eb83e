//! Where a request goes: the configured URL with path parameters, or the caller's path at the configured host.

use crate::{
    backend::ConfigError,
    invocation::{Head, InvokeError},
};
use http::{Uri, uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but RFC 3986's unreserved characters: a value stays one segment and one query value.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Longest URL that is configured or sent, in bytes. hyper's own limit is 65,534.
const URL_BYTES_MAX: usize = 32 * 1024;

/// A checked URL, split where values go in.
#[derive(Debug)]
pub(in crate::backend) struct Template {
    scheme: uri::Scheme,
    authority: uri::Authority,
    /// `None` when the caller's path is kept.
    path: Option<Vec<Piece>>,
    query: Vec<Piece>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// `{name}`: one segment.
    Parameter(String),
    /// `{*name}`: any number of segments; the slashes stay.
    Rest(String),
}

impl Template {
    /// Reads `url`.
    pub(in crate::backend) fn parse(url: &str) -> Result<Self, ConfigError> {
        let bad = |message: String| ConfigError { field: "url", message };
        if url.len() > URL_BYTES_MAX {
            return Err(bad(format!("a url has at most {URL_BYTES_MAX} bytes")));
        }
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| bad(format!("`{url}` has no `http://` or `https://`")))?;
        let scheme = match scheme {
            "http" => uri::Scheme::HTTP,
            "https" => uri::Scheme::HTTPS,
            other => return Err(bad(format!("`{other}` is not `http` or `https`"))),
        };
        if rest.contains('#') {
            return Err(bad(format!("`{url}` has a fragment, which is never sent")));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let authority = read_authority(authority).map_err(bad)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = match path {
            "" | "/" => None,
            path => Some(pieces(path).map_err(bad)?),
        };
        let query = pieces(query).map_err(bad)?;
        if query.iter().any(|piece| matches!(piece, Piece::Rest(_))) {
            return Err(bad("`{*name}` stands for path segments, not for a part of the query".to_owned()));
        }
        let template = Self { scheme, authority, path, query };
        template.check_literals().map_err(bad)?;
        Ok(template)
    }

    /// Whether it asks for TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.scheme == uri::Scheme::HTTPS
    }

    /// The names of the parameters that it uses.
    pub(in crate::backend) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.path.iter().flatten().chain(&self.query).filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Parameter(name) | Piece::Rest(name) => Some(name.as_str()),
        })
    }

    /// The URL of one request.
    pub(super) fn render(&self, head: &Head) -> Result<Uri, InvokeError> {
        let mut target = String::with_capacity(head.path.len() + head.query.as_ref().map_or(0, |q| q.len()) + 64);
        match &self.path {
            None => target.push_str(&head.path),
            Some(pieces) => fill(&mut target, pieces, |name| head.parameters.get(name).map(AsRef::as_ref))?,
        }
        // A value such as `..` would be resolved by the backend: it would serve another path than policy saw.
        if target.split('/').any(is_dot_segment) {
            return Err(InvokeError::Unsupported("a path with a dot segment"));
        }
        let mut mark = '?';
        if !self.query.is_empty() {
            target.push(mark);
            fill(&mut target, &self.query, |name| head.parameters.get(name).map(AsRef::as_ref))?;
            mark = '&';
        }
        if let Some(query) = head.query.as_deref().filter(|q| !q.is_empty()) {
            target.push(mark);
            target.push_str(query);
        }
        if target.len() > URL_BYTES_MAX {
            return Err(InvokeError::Unsupported("a url this long"));
        }
        // Parsing would cut off a fragment silently, and the backend would get less than policy saw.
        if target.contains('#') {
            return Err(InvokeError::Unsupported("a path or query with `#`"));
        }
        let target = uri::PathAndQuery::try_from(target).map_err(|_| InvokeError::Unsupported("this path or query"))?;
        let mut parts = uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        Uri::from_parts(parts).map_err(|_| InvokeError::Unsupported("this path or query"))
    }

    /// Fills in harmless values, so that a bad literal is found at load and not by the first caller.
    fn check_literals(&self) -> Result<(), String> {
        let mut sample = String::new();
        let value = |_: &str| Some("x");
        fill(&mut sample, self.path.as_deref().unwrap_or_default(), value).map_err(|e| e.to_string())?;
        if sample.to_ascii_lowercase().replace("%2e", ".").split('/').any(is_dot_segment) {
            return Err("the path has a dot segment".to_owned());
        }
        sample.push('?');
        fill(&mut sample, &self.query, value).map_err(|e| e.to_string())?;
        let whole = if sample.starts_with('/') { sample } else { format!("/{sample}") };
        if !whole.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("a url has no spaces, control or non-ascii characters: percent-encode them".to_owned());
        }
        uri::PathAndQuery::try_from(whole).map(drop).map_err(|e| format!("the path or query is malformed: {e}"))
    }
}

fn read_authority(text: &str) -> Result<uri::Authority, String> {
    if text.contains(['{', '}']) {
        return Err("the host can't hold a parameter: a caller would choose where calls go".to_owned());
    }
    if text.contains('@') {
        return Err("a url can't hold a user name or password".to_owned());
    }
    let authority =
        uri::Authority::try_from(text).map_err(|_| format!("`{text}` is not a host with an optional port"))?;
    // What follows the host is a colon and a port; the type lets any digits through.
    let port_is_odd = authority.as_str() != authority.host() && matches!(authority.port_u16(), None | Some(0));
    if authority.host().is_empty() || port_is_odd {
        return Err(format!("`{text}` is not a host with an optional port"));
    }
    Ok(authority)
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| format!("`{text}` has `{{` without `}}`"))?;
        push_literal(&mut pieces, literal)?;
        let (rest_of_path, name) = name.strip_prefix('*').map_or((false, name), |name| (true, name));
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return Err(format!("`{name}` is not the name of a path parameter"));
        }
        let name = name.to_owned();
        pieces.push(if rest_of_path { Piece::Rest(name) } else { Piece::Parameter(name) });
        rest = after;
    }
    push_literal(&mut pieces, rest)?;
    Ok(pieces)
}

fn push_literal(pieces: &mut Vec<Piece>, literal: &str) -> Result<(), String> {
    if literal.contains('}') {
        return Err(format!("`{literal}` has `}}` without `{{`"));
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.to_owned()));
    }
    Ok(())
}

fn fill<'a>(
    target: &mut String,
    pieces: &'a [Piece],
    value_of: impl Fn(&'a str) -> Option<&'a str>,
) -> Result<(), InvokeError> {
    // The gateway checks the names at load: a missing one here is a route that changed under the target.
    let value = |name| value_of(name).ok_or(InvokeError::Unsupported("a route without the target's path parameters"));
    for piece in pieces {
        match piece {
            Piece::Literal(text) => target.push_str(text),
            Piece::Parameter(name) => target.extend(utf8_percent_encode(value(name)?, NOT_UNRESERVED)),
            Piece::Rest(name) => {
                for (place, segment) in value(name)?.split('/').enumerate() {
                    target.push_str(if place == 0 { "" } else { "/" });
                    target.extend(utf8_percent_encode(segment, NOT_UNRESERVED));
                }
            }
        }
    }
    Ok(())
}

fn is_dot_segment(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

#[cfg(test)]
mod tests;
