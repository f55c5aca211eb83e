//! A collector: an endpoint that can be spoken to, secrets by reference.

use super::{issuer::is_loopback, reference, tls};
use crate::config::{
    Collector, Node, Secret,
    raw::At,
    value::{Desk, shorten},
};
use http::{HeaderName, HeaderValue};
use std::{collections::BTreeMap, ops::Range, time::Duration};
use url::Url;

/// Most headers.
const HEADERS_MAX: usize = 32;
/// Names of headers that HTTP/2 and gRPC use themselves.
const OWN_HEADERS: [&str; 8] =
    ["te", "host", "connection", "content-type", "content-length", "transfer-encoding", "user-agent", "grpc-timeout"];

/// What tables that name a collector say of it.
pub(crate) struct Written<'a> {
    /// What goes there.
    pub(crate) what: &'static str,
    pub(crate) endpoint: &'a Option<At<String>>,
    pub(crate) headers: &'a BTreeMap<At<String>, At<String>>,
    pub(crate) ca: &'a Option<At<String>>,
    pub(crate) clear_text: &'a Option<At<bool>>,
    pub(crate) timeout: &'a Option<At<String>>,
    /// The table.
    pub(crate) span: &'a Range<usize>,
}

pub(crate) fn collector(table: &Written<'_>, node: &Node, desk: &mut Desk<'_>) -> Option<Collector> {
    let endpoint = desk.required("endpoint", table.endpoint, table.span);
    let endpoint = endpoint.and_then(|endpoint| self::endpoint(endpoint, table, node, desk));
    let ca = table.ca.as_ref().and_then(|ca| tls::authorities(ca, desk));
    let headers = headers(table, desk);
    let limits = Duration::from_millis(100)..=Duration::from_secs(60);
    let timeout = desk.duration(table.timeout.as_ref(), Duration::from_secs(10), limits);
    Some(Collector { endpoint: endpoint?, headers, ca, timeout })
}

fn endpoint(written: &At<String>, table: &Written<'_>, node: &Node, desk: &mut Desk<'_>) -> Option<http::Uri> {
    let text = &written.value;
    let help = "such as `https://collector.internal:4317`";
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
    let Some(url) = url else {
        desk.error_help("bad_url", &written.span, format!("`{}` is no address of a collector", shorten(text)), help);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        let finding = desk.text.error_unsaid("inline_secret", &written.span, "the address has user information");
        desk.report.push(finding.help("`headers = { authorization = \"env:NAME\" }`"));
        return None;
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        let message = "the address of a collector ends with its port: OTLP over gRPC has no path";
        desk.error_help("bad_url", &written.span, message, help);
        return None;
    }
    let secure = url.scheme() == "https";
    clear_text((table.what, "https"), (secure, is_loopback(&url)), written, table.clear_text.as_ref(), node, desk);
    if let (Some(ca), "http") = (&table.ca, url.scheme()) {
        desk.error("unused_key", &ca.span, "`ca` counts with `https` only");
    }
    url.as_str().parse().ok()
}

/// Spans, log lines and records name functions and callers: they are not for everybody on the way. `what` goes there,
/// and `scheme` would hide it.
pub(crate) fn clear_text(
    (what, scheme): (&str, &str),
    (secure, loopback): (bool, bool),
    written: &At<String>,
    flag: Option<&At<bool>>,
    node: &Node,
    desk: &mut Desk<'_>,
) {
    match flag.filter(|flag| flag.value) {
        Some(flag) if secure => {
            let message = format!("`{scheme}` and `clear_text = true` exclude each other");
            desk.error("contradiction", &flag.span, message);
        }
        _ if secure || loopback => {}
        Some(flag) if node.production => {
            desk.error("clear_text", &flag.span, "no clear text off loopback in production");
        }
        Some(_) => {}
        None => {
            let message = format!("{what} would go in clear text off loopback");
            let help = format!("`{scheme}://…`, or `clear_text = true` if that is meant");
            desk.error_help("clear_text", &written.span, message, help);
        }
    }
}

fn headers(table: &Written<'_>, desk: &mut Desk<'_>) -> Vec<(HeaderName, Secret)> {
    let mut headers = Vec::new();
    for (written, reference) in table.headers {
        let name = HeaderName::try_from(written.value.as_str()).ok();
        let own = |name: &HeaderName| OWN_HEADERS.contains(&name.as_str()) || name.as_str().ends_with("-bin");
        let Some(name) = name.filter(|name| !own(name)) else {
            let message = format!("`{}` can't be a header of these requests", shorten(&written.value));
            desk.error("bad_header", &written.span, message);
            continue;
        };
        let Some(value) = reference::referred(reference, desk) else { continue };
        if value.is_empty() || HeaderValue::try_from(&value).is_err() || !value.is_ascii() {
            desk.error("bad_secret", &reference.span, "the value is no text of a header");
            continue;
        }
        headers.push((name, Secret::new(value.into_bytes())));
    }
    if let Some((name, _)) = table.headers.iter().nth(HEADERS_MAX) {
        desk.error("too_many", &name.span, format!("at most {HEADERS_MAX} headers"));
    }
    headers
}
