//! `[telemetry]`: an endpoint that can be spoken to, secrets by reference, numbers within limits.

use super::{issuer::is_loopback, reference, tls};
use crate::config::{
    Node, Sampling, Secret, Signals, Telemetry, raw,
    raw::{At, Signal},
    value::{Desk, shorten},
};
use http::{HeaderName, HeaderValue};
use std::{sync::Arc, time::Duration};
use url::Url;

/// Most headers, and most attributes of the resource.
const ENTRIES_MAX: usize = 32;
/// Most items that may be configured to wait: with the longest of them, some hundred megabytes.
const QUEUE_MAX: u64 = 16_384;
/// Names of headers that HTTP/2 and gRPC use themselves.
const OWN_HEADERS: [&str; 8] =
    ["te", "host", "connection", "content-type", "content-length", "transfer-encoding", "user-agent", "grpc-timeout"];
/// The attribute that tells gateways apart.
const INSTANCE: &str = "service.instance.id";

pub(crate) fn telemetry(written: Option<&At<raw::Telemetry>>, node: &Node, desk: &mut Desk<'_>) -> Option<Telemetry> {
    let At { value: table, span } = written?;
    let endpoint = desk.required("endpoint", &table.endpoint, span).cloned();
    let endpoint = endpoint.and_then(|endpoint| self::endpoint(&endpoint, table, node, desk));
    let ca = table.ca.as_ref().and_then(|ca| tls::authorities(ca, desk));
    let signals = signals(table.signals.as_ref(), desk);
    let headers = headers(table, desk);
    let resource = resource(table, desk);
    let ratio = table.sample_ratio.as_ref().map_or(1.0, |ratio| {
        if !(0.0..=1.0).contains(&ratio.value) {
            desk.error("out_of_range", &ratio.span, format!("{} is not between 0 and 1", ratio.value));
        }
        ratio.value
    });
    let limits = Duration::from_millis(100)..=Duration::from_secs(3600);
    let interval = desk.duration(table.interval.as_ref(), Duration::from_secs(10), limits);
    let limits = Duration::from_millis(100)..=Duration::from_secs(60);
    let timeout = desk.duration(table.timeout.as_ref(), Duration::from_secs(10), limits);
    let queue_max = desk.number(table.queue_max.as_ref(), 2048, 1..=QUEUE_MAX);
    Some(Telemetry {
        endpoint: endpoint?,
        signals,
        headers,
        ca,
        sampling: Sampling { ratio, parent_based: table.parent_based.unwrap_or(true) },
        interval,
        timeout,
        queue_max: usize::try_from(queue_max).unwrap_or(usize::MAX),
        resource,
    })
}

fn endpoint(written: &At<String>, table: &raw::Telemetry, node: &Node, desk: &mut Desk<'_>) -> Option<http::Uri> {
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
    clear_text(&url, written, table, node, desk);
    if let (Some(ca), "http") = (&table.ca, url.scheme()) {
        desk.error("unused_key", &ca.span, "`ca` counts with `https` only");
    }
    url.as_str().parse().ok()
}

/// Spans and log lines name functions and callers: they are not for everybody on the way.
fn clear_text(url: &Url, written: &At<String>, table: &raw::Telemetry, node: &Node, desk: &mut Desk<'_>) {
    let meant = table.clear_text.as_ref().filter(|flag| flag.value);
    match meant {
        Some(flag) if url.scheme() == "https" => {
            desk.error("contradiction", &flag.span, "`https` and `clear_text = true` exclude each other");
        }
        _ if url.scheme() == "https" || is_loopback(url) => {}
        Some(flag) if node.production => {
            desk.error("clear_text", &flag.span, "no clear text off loopback in production");
        }
        Some(_) => {}
        None => {
            let message = "telemetry would go in clear text off loopback";
            let help = "`https://…`, or `clear_text = true` if that is meant";
            desk.error_help("clear_text", &written.span, message, help);
        }
    }
}

fn signals(written: Option<&At<Vec<At<Signal>>>>, desk: &mut Desk<'_>) -> Signals {
    let Some(At { value: list, span }) = written else { return Signals { traces: true, metrics: true, logs: true } };
    if list.is_empty() {
        let finding = desk.text.error("empty_list", span, "nothing would be sent");
        desk.report.push_missing("signals", finding.help("leave `[telemetry]` out"));
    }
    let has = |signal| list.iter().any(|written| written.value == signal);
    Signals { traces: has(Signal::Traces), metrics: has(Signal::Metrics), logs: has(Signal::Logs) }
}

fn headers(table: &raw::Telemetry, desk: &mut Desk<'_>) -> Vec<(HeaderName, Secret)> {
    let mut headers = Vec::new();
    for (written, reference) in &table.headers {
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
    if let Some((name, _)) = table.headers.iter().nth(ENTRIES_MAX) {
        desk.error("too_many", &name.span, format!("at most {ENTRIES_MAX} headers"));
    }
    headers
}

fn resource(table: &raw::Telemetry, desk: &mut Desk<'_>) -> Vec<(Arc<str>, Arc<str>)> {
    let mut resource = Vec::new();
    for (name, value) in &table.resource {
        if name.value == INSTANCE {
            let message = format!("`{INSTANCE}` is the node's id");
            desk.error_help("reserved_name", &name.span, message, "`id` in `[node]`");
            continue;
        }
        let name = desk.word("name of an attribute", name);
        let value = desk.word("value of an attribute", value);
        resource.extend(name.zip(value));
    }
    if let Some((name, _)) = table.resource.iter().nth(ENTRIES_MAX) {
        desk.error("too_many", &name.span, format!("at most {ENTRIES_MAX} attributes of the resource"));
    }
    resource
}
