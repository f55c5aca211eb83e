//! Routes: `"GET /stock/{sku}"`, and which of them can't stand side by side.

use super::{
    catalog::{Catalog, Placed},
    grpc, soap,
    transcode::Bound,
};
use crate::config::{
    Listener, Route, Shown, raw,
    raw::At,
    report::Report,
    value::{Desk, shorten},
};
use policy::finding::Finding;
use std::{collections::HashMap, ops::Range, sync::Arc};

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1024;
pub(super) const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

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
    if let Some((grpc::WORD, name)) = value.split_once(' ') {
        let pattern = grpc::pattern(table.route.as_ref()?, name, desk)?;
        let (method, pattern) = (Some(http::Method::POST), pattern.into());
        return Some(Route { method, host, pattern, grpc: true, soap: None, bindings: Vec::new(), bytes: false });
    }
    let (method, pattern) = match value.split_once(' ') {
        Some((method, pattern)) => (Some(self::method(method, span, desk)?), pattern),
        None => (None, value.as_str()),
    };
    if let Err((message, help)) = sound(pattern) {
        desk.error_help("bad_route", span, message, help);
        return None;
    }
    let soap = soap::action(table, method.as_ref(), desk);
    Some(Route { method, host, pattern: pattern.into(), grpc: false, soap, bindings: Vec::new(), bytes: false })
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
        let mut hosts: HashMap<Option<&str>, Taken<'_, '_>> = HashMap::new();
        for placed in catalog.functions.iter().filter(|placed| shows(listener, placed)) {
            let Some(route) = &placed.function.route else { continue };
            let taken = hosts.entry(route.host.as_deref()).or_default();
            let findings = taken.add(placed, &route.pattern).into_iter();
            for finding in findings.chain(taken.bound.add(placed, route)) {
                report.push(finding);
            }
        }
    }
}

/// Routes of one host: a router that knows which patterns clash, and the functions at each pattern.
#[derive(Default)]
struct Taken<'p, 'a> {
    router: matchit::Router<()>,
    functions: HashMap<&'p str, Vec<&'p Placed<'a>>>,
    bound: Bound<'p, 'a>,
}

impl<'p, 'a> Taken<'p, 'a> {
    /// Adds a function, or says why it can't stand beside the others.
    fn add(&mut self, placed: &'p Placed<'a>, pattern: &'p str) -> Option<Finding> {
        // One pattern may be shared, by different methods.
        if let Some(same) = self.functions.get_mut(pattern) {
            let other = same.iter().copied().find(|other| overlap(other, placed));
            if other.is_none() {
                same.push(placed);
            }
            return other.map(|other| conflicting(placed, other, "duplicate_route", "the same route"));
        }
        let Err(conflict) = self.router.insert(pattern, ()) else {
            self.functions.insert(pattern, vec![placed]);
            return None;
        };
        let with = match &conflict {
            matchit::InsertError::Conflict { with } => self.functions.get(with.as_str()).and_then(|f| f.first()),
            _ => None,
        };
        Some(match with {
            Some(other) => conflicting(placed, other, "route_conflict", "a route that can't be told apart")
                .help("name the parameter in the same place the same"),
            None => placed.name.text.error("route_conflict", &placed.route, format!("an odd route: {conflict}")),
        })
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
    let (Some(one), Some(other)) = (&one.function.route, &other.function.route) else { return false };
    match (&one.method, &other.method, &one.soap, &other.soap) {
        // Without an action the element in the body decides.
        (_, _, Some(one), Some(other)) if one.action.is_empty() && other.action.is_empty() => {
            one.element == other.element
        }
        (_, _, Some(one), Some(other)) => one.action == other.action,
        (Some(one), Some(other), _, _) => one == other,
        _ => true,
    }
}

fn conflicting(placed: &Placed<'_>, other: &Placed<'_>, code: &'static str, what: &str) -> Finding {
    let place = super::catalog::Place { text: other.name.text, span: other.route.clone() };
    let name = &other.function.declared.name;
    let message = format!("`{name}` has {what} at {}", place.shown());
    placed.name.text.error(code, &placed.route, message)
}
