//! Routes: `"GET /stock/{sku}"`, and which of them can't stand side by side.

use super::catalog::{Catalog, Placed};
use crate::config::{
    Listener, Route, Shown, raw,
    raw::At,
    report::Report,
    value::{Desk, shorten},
};
use std::{collections::HashMap, ops::Range, sync::Arc};

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1024;
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Reads `route` and `host`.
pub(crate) fn route(table: &raw::Function, desk: &mut Desk<'_>) -> Option<Route> {
    let host = table.host.as_ref().and_then(|host| self::host(host, desk));
    let Some(At { value, span }) = &table.route else {
        if let Some(host) = &table.host {
            let finding = desk.text.error("host_without_route", &host.span, "a host without a route");
            desk.report.push_missing("route", finding);
        }
        return None;
    };
    let (method, pattern) = match value.split_once(' ') {
        Some((method, pattern)) => (Some(self::method(method, span, desk)?), pattern),
        None => (None, value.as_str()),
    };
    if let Err((message, help)) = sound(pattern) {
        desk.error_help("bad_route", span, message, help);
        return None;
    }
    Some(Route { method, host, pattern: pattern.into() })
}

/// Names of the parameters of a pattern.
pub(crate) fn parameters(pattern: &str) -> Vec<Arc<str>> {
    pattern.split('/').filter_map(parameter).map(|name| name.trim_start_matches('*').into()).collect()
}

/// A host of a listener or route: lowercase, without port.
pub(crate) fn host(written: &At<String>, desk: &mut Desk<'_>) -> Option<Arc<str>> {
    let text = written.value.as_str();
    let parsed = url::Host::parse(text.trim_end_matches('.')).ok().map(|host| host.to_string());
    let help = match &parsed {
        _ if text.contains('*') => "hosts are named one by one".to_owned(),
        Some(canonical) if canonical == text => return Some(text.into()),
        Some(canonical) => format!("`{canonical}`"),
        None if text.contains(':') => "a host without scheme and port".to_owned(),
        None => "such as `api.example.com`".to_owned(),
    };
    desk.error_help("bad_host", &written.span, format!("`{}` is no host", shorten(text)), help);
    None
}

fn method(text: &str, span: &Range<usize>, desk: &mut Desk<'_>) -> Option<http::Method> {
    if METHODS.contains(&text) {
        return http::Method::from_bytes(text.as_bytes()).ok();
    }
    let finding = desk.text.error("bad_route", span, format!("`{}` is no method here", shorten(text)));
    let upper = text.to_ascii_uppercase();
    let finding = finding.help(format!("{}, or a path alone for any", METHODS.join(", "))).nearest(&upper, METHODS);
    desk.report.push(finding);
    None
}

/// Patterns are written as canonical paths are, so that what is compared is the same bytes.
fn sound(pattern: &str) -> Result<(), (String, String)> {
    let problem = |message: &str, help: &str| Err((format!("`{}` {message}", shorten(pattern)), help.to_owned()));
    if !pattern.starts_with('/') {
        return problem("does not start with `/`", "such as `GET /stock/{sku}`");
    }
    if pattern.len() > PATTERN_BYTES_MAX {
        return problem("is too long", &format!("at most {PATTERN_BYTES_MAX} bytes"));
    }
    let segments: Vec<&str> = pattern.split('/').skip(1).collect();
    let mut seen: Vec<&str> = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        if let Some(name) = parameter(segment) {
            let rest = name.starts_with('*');
            let name = name.trim_start_matches('*');
            if !name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                || !name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
            {
                return problem("has a parameter with an odd name", "lowercase letters, digits and `_`");
            }
            if rest && !last {
                return problem("takes the rest of the path before its end", "`{*rest}` is the last part");
            }
            if seen.contains(&name) {
                return problem("has two parameters of one name", "give each its own");
            }
            seen.push(name);
        } else if segment.contains(['{', '}']) {
            return problem("has a parameter that is not a whole part", "`{name}` between slashes");
        } else if segment.is_empty() && !last {
            return problem("has an empty part", "remove the doubled slash");
        } else if matches!(*segment, "." | "..") {
            return problem("has a dot segment", "write the path that is meant");
        } else if let Some(odd) = segment.chars().find(|c| !literal(*c)) {
            return problem(
                &format!("has `{odd}`, which no canonical path has"),
                "letters, digits and `-._~!$&'()*+,=:@`",
            );
        }
    }
    Ok(())
}

fn literal(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~!$&'()*+,=:@".contains(character)
}

fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Reports routes of one listener that the same request could mean.
pub(crate) fn conflicts(listeners: &[Listener], catalog: &Catalog<'_>, report: &mut Report) {
    for listener in listeners {
        let mut routers: HashMap<Option<&str>, (matchit::Router<usize>, Vec<Vec<&Placed<'_>>>)> = HashMap::new();
        for placed in catalog.functions.iter().filter(|placed| shows(listener, placed)) {
            let Some(route) = &placed.function.route else { continue };
            let (router, groups) = routers.entry(route.host.as_deref()).or_default();
            let conflict = match router.insert(route.pattern.as_ref(), groups.len()) {
                Ok(()) => {
                    groups.push(vec![placed]);
                    continue;
                }
                Err(conflict) => conflict,
            };
            // Only the same pattern may be shared, by different methods.
            let group = groups.iter_mut().find(|group| {
                group
                    .first()
                    .and_then(|first| first.function.route.as_ref())
                    .is_some_and(|r| r.pattern == route.pattern)
            });
            match group {
                Some(group) => {
                    match group.iter().find(|other| overlap(other, placed)) {
                        Some(other) => report.push(conflicting(placed, other, "duplicate_route", "the same route")),
                        None => group.push(placed),
                    };
                }
                None => {
                    let with = groups.iter().flatten().find(|other| conflicts_with(other, &conflict));
                    if let Some(other) = with {
                        report.push(conflicting(placed, other, "route_conflict", "a route that can't be told apart"));
                    } else {
                        let message = format!("the route can't stand beside the others: {conflict}");
                        report.push(placed.name.text.error("route_conflict", &placed.route, message));
                    }
                }
            }
        }
    }
}

/// Whether a listener shows a function.
pub(crate) fn shows(listener: &Listener, placed: &Placed<'_>) -> bool {
    let function = &placed.function.declared;
    match &listener.functions {
        Shown::All => true,
        Shown::Only { apps, names } => apps.contains(&function.app) || names.contains(function.name.as_str()),
    }
}

fn overlap(one: &Placed<'_>, other: &Placed<'_>) -> bool {
    let method = |placed: &Placed<'_>| placed.function.route.as_ref().and_then(|route| route.method.clone());
    match (method(one), method(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

fn conflicts_with(other: &Placed<'_>, conflict: &matchit::InsertError) -> bool {
    let matchit::InsertError::Conflict { with } = conflict else { return false };
    other.function.route.as_ref().is_some_and(|route| *route.pattern == **with)
}

fn conflicting(placed: &Placed<'_>, other: &Placed<'_>, code: &'static str, what: &str) -> policy::finding::Finding {
    let place = super::catalog::Place { text: other.name.text, span: other.route.clone() };
    let name = &other.function.declared.name;
    let message = format!("`{name}` has {what} at {}", place.shown());
    placed.name.text.error(code, &placed.route, message)
}
