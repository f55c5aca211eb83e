//! Metrics that are read when they are asked for: policy, keys, audit log, processes.

use crate::{
    audit::ship::{self, Status},
    reload::Outcome,
    server::Gateway,
};
use policy::bundle::validity::Expiries;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
};

/// Reads the gateway's state once it runs.
#[derive(Clone, Debug, Default)]
pub struct State(Arc<OnceLock<Weak<Gateway>>>);

impl State {
    /// From now on this gateway is read.
    pub fn set(&self, gateway: &Arc<Gateway>) {
        // A second gateway in one process has its own registry and state.
        let _ = self.0.set(Arc::downgrade(gateway));
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(gateway) = self.0.get().and_then(Weak::upgrade) else { return Ok(()) };
        policy(&gateway, &mut encoder)?;
        issuers(&gateway, &mut encoder)?;
        audit(&gateway, &mut encoder)?;
        shipping(&gateway, &mut encoder)?;
        retention(&gateway, &mut encoder)?;
        processes(&gateway, &mut encoder)?;
        certificates(&gateway, &mut encoder)?;
        telemetry(&gateway, &mut encoder)
    }
}

fn policy(gateway: &Gateway, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let generation = gateway.generation();
    let bundle = [("bundle", generation.policy.id().0.to_string())];
    gauge(encoder, "bundle", "The bundle in force", &[(&bundle, 1)])?;
    gauge(encoder, "generation", "How often a configuration came into force", &[(&[], signed(generation.number))])?;
    gauge(encoder, "policies", "Policies in force", &[(&[], generation.policy.policies().count() as i64)])?;
    let ending = Expiries::of(generation.policy.policies(), jiff::Timestamp::now());
    gauge(encoder, "policies_expiring", "Permits that end within 30 days", &[(&[], signed(ending.soon as u64))])?;
    gauge(
        encoder,
        "policies_expired",
        "Permits whose `@expires` has passed, so they grant nothing",
        &[(&[], signed(ending.expired as u64))],
    )?;
    let shadowed = generation.policy.shadowed().count();
    gauge(encoder, "policies_shadowed", "Policies that are asked and decide nothing", &[(&[], shadowed as i64)])?;
    let problems = i64::from(!generation.shadows.problems().is_empty());
    gauge(encoder, "shadow_broken", "1 while the shadow bundle on disk can't be asked", &[(&[], problems)])?;
    let ends = generation.policy.validity().until().map(|end| (&[][..], end.as_second()));
    let help = "When the signed bundle ends, in seconds since 1970";
    gauge(encoder, "bundle_ends_timestamp_seconds", help, ends.as_slice())?;
    let emergencies = generation.emergencies.list().len();
    gauge(encoder, "emergencies", "Emergency forbids in force", &[(&[], signed(emergencies as u64))])?;
    let broken = |o: Outcome| i64::from(matches!(o.result, "failed" | "held"));
    let broken = gateway.reloads.last().map_or(0, broken);
    gauge(encoder, "reload_broken", "1 while what is on disk could not be put in force", &[(&[], broken)])?;
    let quarantined = generation.served.values().filter(|s| s.quarantine.is_some()).count();
    gauge(
        encoder,
        "functions_quarantined",
        "Functions that do not serve because their configuration is broken",
        &[(&[], quarantined as i64)],
    )
}

fn issuers(gateway: &Gateway, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let stats = gateway.generation().identify.stats();
    let labels: Vec<_> = stats.iter().map(|s| [("issuer", s.alias.to_string())]).collect();
    let gauges = |value: fn(&crate::identify::IssuerStats) -> i64| -> Vec<(&[(&str, String)], i64)> {
        labels.iter().zip(&stats).map(|(l, s)| (l.as_slice(), value(s))).collect()
    };
    let counters = |value: fn(&crate::identify::IssuerStats) -> u64| -> Vec<(&[(&str, String)], u64)> {
        labels.iter().zip(&stats).map(|(l, s)| (l.as_slice(), value(s))).collect()
    };
    gauge(
        encoder,
        "issuer_available",
        "1 while tokens of the issuer can be verified",
        &gauges(|s| i64::from(s.available)),
    )?;
    gauge(encoder, "issuer_keys", "Usable keys of the issuer", &gauges(|s| s.keys as i64))?;
    counter(encoder, "issuer_fetches_ok", "Fetches of keys that succeeded", &counters(|s| s.fetches_ok))?;
    counter(encoder, "issuer_fetches_failed", "Fetches of keys that failed", &counters(|s| s.fetches_failed))?;
    counter(encoder, "tokens_verified", "Tokens that were verified", &counters(|s| s.tokens_verified))?;
    counter(encoder, "tokens_refused", "Tokens that were refused", &counters(|s| s.tokens_refused))?;
    counter(encoder, "tokens_remembered", "Tokens that had been verified before", &counters(|s| s.cache_hits))
}

fn audit(gateway: &Gateway, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let stats = gateway.log.stats();
    let kinds: Vec<_> = stats.records.iter().map(|(kind, n)| ([("kind", kind.as_str().to_owned())], *n)).collect();
    let records: Vec<_> = kinds.iter().map(|(l, n)| (l.as_slice(), *n)).collect();
    counter(encoder, "audit_records", "Records that the log holds, by kind", &records)?;
    counter(encoder, "audit_bytes", "Bytes of records that the log holds", &[(&[], stats.bytes)])?;
    counter(
        encoder,
        "audit_counted",
        "Refusals of strangers that were counted instead of recorded one by one",
        &[(&[], stats.counted)],
    )?;
    counter(encoder, "audit_syncs", "Syncs to disk", &[(&[], stats.syncs)])?;
    gauge(encoder, "audit_waiting", "Records that wait to be written", &[(&[], stats.queued as i64)])?;
    gauge(encoder, "audit_healthy", "1 while the log can be written", &[(&[], i64::from(gateway.log.healthy()))])
}

/// There are none where nothing is shipped.
fn shipping(gateway: &Gateway, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let sinks = gateway.shipping.status();
    if sinks.is_empty() {
        return Ok(());
    }
    let labels: Vec<_> = sinks.iter().map(|sink| [("sink", sink.name.to_string())]).collect();
    let each = |value: fn(&Status) -> u64| -> Vec<(&[(&str, String)], u64)> {
        labels.iter().zip(&sinks).map(|(label, sink)| (label.as_slice(), value(sink))).collect()
    };
    let now = |value: fn(&Status) -> u64| -> Vec<(&[(&str, String)], i64)> {
        each(value).into_iter().map(|(label, value)| (label, signed(value))).collect()
    };
    counter(encoder, "audit_ship_records", "Records that the sink has acknowledged", &each(Status::shipped))?;
    counter(encoder, "audit_ship_failures", "Tries to ship that failed", &each(Status::failures))?;
    let help = "Records that the sink answered it will never take";
    counter(encoder, "audit_ship_rejected", help, &each(Status::rejected))?;
    let help = "Records that could not be shipped because the log does not have them any more";
    counter(encoder, "audit_ship_missing", help, &each(Status::missing))?;
    let help = "1 while records are shipped, 0 while that fails or another process does it";
    let healthy = now(|sink| u64::from(sink.state().0 == ship::State::Shipping));
    gauge(encoder, "audit_ship_healthy", help, &healthy)?;
    gauge(
        encoder,
        "audit_ship_lag",
        "Records of the log that the sink has not acknowledged",
        &now(Status::lag_records),
    )?;
    let help = "How long the oldest record has waited that the sink was given and has not acknowledged";
    gauge(encoder, "audit_ship_lag_seconds", help, &now(Status::lag_seconds))
}

fn retention(gateway: &Gateway, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let stats = gateway.keeper.stats();
    let label = |name, value: &str| [(name, value.to_owned())];
    let (log, archive) = (label("place", "log"), label("place", "archive"));
    let stored = [(&log[..], signed(stats.stored_bytes)), (&archive[..], signed(stats.archived_bytes))];
    gauge(encoder, "audit_stored_bytes", "Bytes that segments of the audit log take, by place", &stored)?;
    counter(encoder, "audit_retired", "Segments of the audit log that were retired", &[(&[], stats.retired)])?;
    let (hold, shipping) = (label("why", "hold"), label("why", "shipping"));
    let kept = [(&hold[..], signed(stats.on_hold)), (&shipping[..], signed(stats.unshipped))];
    gauge(encoder, "audit_kept", "Segments that should be retired and may not be", &kept)?;
    let healthy = i64::from(stats.healthy);
    gauge(encoder, "audit_retention_healthy", "1 while the audit log is kept within its limits", &[(&[], healthy)])
}

fn processes(gateway: &Gateway, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let stats = gateway.host.stats();
    let labels: Vec<_> = stats.iter().map(|s| [("function", s.function.to_string())]).collect();
    let states: Vec<_> = stats
        .iter()
        .flat_map(|s| [("busy", s.busy), ("idle", s.idle), ("starting", s.starting)].map(|(state, n)| (s, state, n)))
        .map(|(s, state, n)| ([("function", s.function.to_string()), ("state", state.to_owned())], n as i64))
        .collect();
    let states: Vec<_> = states.iter().map(|(l, n)| (l.as_slice(), *n)).collect();
    let each = |value: fn(&mesh::host::ProcessStats) -> u64| -> Vec<(&[(&str, String)], u64)> {
        labels.iter().zip(&stats).map(|(l, s)| (l.as_slice(), value(s))).collect()
    };
    gauge(encoder, "process_instances", "Instances of process functions by state", &states)?;
    counter(encoder, "process_starts", "Instances that were started", &each(|s| s.starts))?;
    counter(encoder, "process_crashes", "Instances that ended by themselves", &each(|s| s.crashes))?;
    let help = "Instances that were killed because they used too much memory";
    counter(encoder, "process_memory_kills", help, &each(|s| s.memory_kills))?;
    counter(
        encoder,
        "process_timeouts",
        "Instances that were ended because a call took too long",
        &each(|s| s.time_outs),
    )
}

fn certificates(gateway: &Gateway, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let ends: Vec<_> = gateway.certificates().map(|(name, end)| ([("listener", name.to_string())], end)).collect();
    let ends: Vec<_> = ends.iter().map(|(l, end)| (l.as_slice(), end.as_second())).collect();
    let help = "When the listener's certificate ends, in seconds since 1970";
    gauge(encoder, "certificate_ends_timestamp_seconds", help, &ends)
}

fn telemetry(gateway: &Gateway, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let waiting = gateway.exporter().map(|exporter| exporter.waiting()).unwrap_or_default();
    let waiting: Vec<_> =
        waiting.into_iter().map(|(signal, n)| ([("signal", signal.as_str().to_owned())], n as i64)).collect();
    let waiting: Vec<_> = waiting.iter().map(|(l, n)| (l.as_slice(), *n)).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    gauge(encoder, "telemetry_waiting", "Spans and log lines that wait for the collector", &waiting)
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: &[(&[(&str, String)], i64)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        if labels.is_empty() {
            return ConstGauge::new(*value).encode(family);
        }
        ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: &[(&[(&str, String)], u64)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        if labels.is_empty() {
            return ConstCounter::new(*value).encode(family);
        }
        ConstCounter::new(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
