//! `cors = { … }` of an app or a function.

use super::route::METHODS;
use crate::config::{
    Cors, Origins, raw,
    raw::At,
    value::{Desk, shorten},
};
use http::{HeaderName, Method, header};
use std::{sync::Arc, time::Duration};
use url::Url;

const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// Longest time that browsers keep a preflight's answer anyway.
const MAX_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// What scripts send to nearly every function.
const HEADERS: [HeaderName; 2] = [header::AUTHORIZATION, header::CONTENT_TYPE];

pub(crate) fn cors(written: Option<&At<raw::Cors>>, desk: &mut Desk<'_>) -> Option<Cors> {
    let At { value: table, span } = written?;
    let origins = desk.required("origins", &table.origins, span);
    let any = origins.and_then(|list| list.value.iter().find(|origin| origin.value == "*"));
    let origins = match (origins, any) {
        (Some(list), Some(any)) => {
            if list.value.len() > 1 {
                desk.error_help(
                    "bad_origin",
                    &any.span,
                    "`*` is every origin already",
                    "`*` alone, or a list without it",
                );
            }
            if table.credentials {
                let message = "a browser sends no credentials where every origin may read";
                desk.error_help("wildcard_with_credentials", &any.span, message, "name the origins");
            }
            Origins::Any
        }
        (list, _) => {
            let written = list.map(|list| list.value.as_slice()).unwrap_or_default();
            Origins::Only(written.iter().filter_map(|written| origin(written, desk)).collect())
        }
    };
    let methods = table.methods.as_ref().map(|list| list.iter().filter_map(|m| method(m, desk)).collect());
    let headers = match &table.headers {
        None => HEADERS.to_vec(),
        Some(list) => list.iter().filter_map(|written| header(written, desk)).collect(),
    };
    let max_age = desk.duration(table.max_age.as_ref(), MAX_AGE, Duration::ZERO..=MAX_AGE_MAX);
    Some(Cors { origins, methods, headers, credentials: table.credentials, max_age })
}

/// An origin as browsers write it: scheme, host, and a port unless it is the usual one.
fn origin(written: &At<String>, desk: &mut Desk<'_>) -> Option<Arc<str>> {
    let text = written.value.as_str();
    let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let canonical = parsed.map(|url| url.origin().ascii_serialization());
    let help = match canonical {
        Some(canonical) if canonical == text => return Some(text.into()),
        Some(canonical) => format!("`{canonical}`"),
        None => "such as `https://app.example.com`".to_owned(),
    };
    desk.error_help("bad_origin", &written.span, format!("`{}` is no origin", shorten(text)), help);
    None
}

fn method(written: &At<String>, desk: &mut Desk<'_>) -> Option<Method> {
    let known = METHODS.contains(&written.value.as_str());
    if !known {
        desk.unknown("unknown_method", "method", written, METHODS);
    }
    Method::from_bytes(written.value.as_bytes()).ok().filter(|_| known)
}

fn header(written: &At<String>, desk: &mut Desk<'_>) -> Option<HeaderName> {
    let parsed = HeaderName::from_bytes(written.value.as_bytes()).ok().filter(|_| written.value != "*");
    if parsed.is_none() {
        let message = format!("`{}` is no header", shorten(&written.value));
        desk.error_help("bad_header", &written.span, message, "headers are named one by one");
    }
    parsed
}
