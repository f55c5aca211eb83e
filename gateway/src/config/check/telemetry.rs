//! `[telemetry]`: what is sent, and numbers within limits.

use super::collector::{self, Written};
use crate::config::{
    Node, Sampling, Signals, Telemetry, raw,
    raw::{At, Signal},
    value::Desk,
};
use std::{sync::Arc, time::Duration};

/// Most attributes of the resource.
const ENTRIES_MAX: usize = 32;
/// Most items that may be configured to wait: with the longest of them, some hundred megabytes.
const QUEUE_MAX: u64 = 16_384;
/// The attribute that tells gateways apart.
const INSTANCE: &str = "service.instance.id";

pub(crate) fn telemetry(written: Option<&At<raw::Telemetry>>, node: &Node, desk: &mut Desk<'_>) -> Option<Telemetry> {
    let At { value: table, span } = written?;
    let raw::Telemetry { endpoint, headers, ca, clear_text, timeout, .. } = table;
    let written = Written { what: "telemetry", endpoint, headers, ca, clear_text, timeout, span };
    let collector = collector::collector(&written, node, desk);
    let signals = signals(table.signals.as_ref(), desk);
    let resource = resource(table, desk);
    let ratio = table.sample_ratio.as_ref().map_or(1.0, |ratio| {
        if !(0.0..=1.0).contains(&ratio.value) {
            desk.error("out_of_range", &ratio.span, format!("{} is not between 0 and 1", ratio.value));
        }
        ratio.value
    });
    let limits = Duration::from_millis(100)..=Duration::from_secs(3600);
    let interval = desk.duration(table.interval.as_ref(), Duration::from_secs(10), limits);
    let queue_max = desk.number(table.queue_max.as_ref(), 2048, 1..=QUEUE_MAX);
    Some(Telemetry {
        collector: collector?,
        signals,
        sampling: Sampling { ratio, parent_based: table.parent_based.unwrap_or(true) },
        interval,
        queue_max: usize::try_from(queue_max).unwrap_or(usize::MAX),
        resource,
    })
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
