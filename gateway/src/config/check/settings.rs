//! `[node]`, `[network]`, `[policy]` and `[limits]`.

use super::signed;
use crate::config::{Limits, Node, Policy, Rate, Zone, raw, value::Desk};

/// Longest id of a node, in bytes.
const NODE_ID_BYTES_MAX: usize = 64;
/// Where state is kept unless told otherwise.
const STATE: &str = ".latchwork";
const MIB: u64 = 1 << 20;
/// Most calls per second that a rate may name.
const RATE_MAX: u64 = 1_000_000;

pub(crate) fn node(written: &raw::Node, desk: &mut Desk<'_>) -> Node {
    let id = written.id.as_ref().map_or("gateway", |id| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let text = id.value.as_str();
        let sound = text.len() <= NODE_ID_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(allowed);
        if !sound {
            let help = format!("letters, digits, `-`, `_` and `.`, at most {NODE_ID_BYTES_MAX}; it names a folder");
            desk.error_help("bad_name", &id.span, "not an id of a node", help);
        }
        text
    });
    Node { id: id.into(), production: written.production }
}

pub(crate) fn zones(written: &raw::Network, desk: &mut Desk<'_>) -> Vec<Zone> {
    let mut tables: Vec<_> = written.zone.iter().collect();
    // The first zone that holds an address wins, so the order is the one of the file.
    tables.sort_by_key(|(name, _)| name.span.start);
    let mut zones: Vec<Zone> = Vec::new();
    for (name, zone) in tables {
        if name.value == "other" {
            let message = "`other` is where no zone holds the address";
            desk.error_help("reserved_name", &name.span, message, "choose another name");
        }
        let named = desk.name("a zone", name);
        let Some(list) = desk.required("networks", &zone.networks, &name.span) else { continue };
        if list.value.is_empty() {
            let finding = desk.text.error("empty_list", &list.span, "a zone has at least one network");
            desk.report.push_missing("networks", finding);
        }
        let mut networks = Vec::new();
        for written in &list.value {
            let Some(network) = desk.network(written) else { continue };
            let earlier = zones.iter().find(|z: &&Zone| z.networks.iter().any(|n| n.contains(&network)));
            if let Some(earlier) = earlier {
                let message = format!("zone `{}`, which comes first, holds all of `{network}`", earlier.name);
                desk.warn("unreachable_zone", &written.span, message, "put the smaller network first");
            }
            networks.push(network);
        }
        zones.extend(named.map(|name| Zone { name, networks }));
    }
    zones
}

pub(crate) fn policy(written: &raw::Policy, node: &Node, desk: &mut Desk<'_>) -> Policy {
    let path = desk.path(written.path.as_ref().map_or("policies", |path| path.value.as_str()));
    if !path.is_dir() && written.bundle.is_none() {
        let span = written.path.as_ref().map_or(0..0, |path| path.span.clone());
        let message = format!("there is no folder of policies `{}`", path.display());
        desk.error_help("missing_folder", &span, message, "set `path` in `[policy]`");
    }
    let state = desk.path(written.state.as_ref().map_or(STATE, |path| path.value.as_str()));
    let signed = signed::signed(written, node.production, desk);
    let shadow = signed::shadow(written, node.production, desk);
    Policy { path, state, signed, shadow }
}

pub(crate) fn limits(written: &raw::Limits, desk: &mut Desk<'_>) -> Limits {
    let caller_rate = rate(written.caller_rate.as_ref(), 20_000, desk);
    let network_rate = rate(written.network_rate.as_ref(), 100_000, desk);
    let buffered_bytes_max = desk.number(written.buffered_bytes_max.as_ref(), 256 * MIB, MIB..=1 << 40);
    let queue_max = desk.number(written.queue_max.as_ref(), 128, 0..=100_000);
    Limits { caller_rate, network_rate, buffered_bytes_max, queue_max: usize::try_from(queue_max).unwrap_or(0) }
}

fn rate(written: Option<&raw::Rate>, default: u32, desk: &mut Desk<'_>) -> Rate {
    let Some(written) = written else { return Rate { per_second: default, burst: default * 2 } };
    let per_second = match &written.per_second {
        Some(_) => desk.number(written.per_second.as_ref(), default.into(), 1..=RATE_MAX),
        None => {
            let span = written.burst.as_ref().map_or(0..0, |burst| burst.span.clone());
            let finding = desk.text.error("missing_key", &span, "`per_second` is missing");
            desk.report.push_missing("per_second", finding);
            default.into()
        }
    };
    let burst = desk.number(written.burst.as_ref(), (per_second * 2).min(RATE_MAX), 1..=RATE_MAX);
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Rate { per_second: narrow(per_second), burst: narrow(burst) }
}
