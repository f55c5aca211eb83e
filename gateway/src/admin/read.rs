//! What can be read of a gateway: readiness, metrics, functions.

use super::{error, json_answer};
use crate::{audit::ship::Status, generation::Served, server::Gateway};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use mesh::cost::PICO;
use serde_json::{Value, json};
use std::sync::{Arc, atomic::Ordering};

/// Whether it takes calls, and to whom may read it: why not, and how everything fares.
pub(super) fn ready(gateway: &Gateway, detailed: bool) -> Response<Full<Bytes>> {
    let ready = gateway.ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if !detailed {
        return json_answer(status, &json!({"ready": ready}));
    }
    let generation = gateway.generation();
    let stats = generation.identify.stats();
    let issuers: Vec<Value> = stats
        .iter()
        .map(|s| json!({"alias": s.alias, "available": s.available, "keys": s.keys, "problem": s.problem}))
        .collect();
    let quarantined: Vec<Value> = generation
        .served
        .values()
        .filter_map(|s| Some(json!({"function": s.function.name, "problem": s.quarantine.as_ref()?.finding})))
        .collect();
    let healthy = gateway.log.healthy();
    let detail = json!({
        "ready": ready,
        "audit": {
            "healthy": healthy,
            "problem": gateway.log.stats().failing.map(|f| f.error),
            "ship": gateway.shipping.status().iter().map(|sink| shipped(sink)).collect::<Vec<_>>(),
        },
        "bundle": generation.policy.id(),
        "reload": gateway.reloads.last(),
        "emergencies": generation.emergencies.list(),
        "issuers": issuers,
        "quarantined": quarantined,
    });
    json_answer(status, &detail)
}

/// How a sink of records fares.
fn shipped(sink: &Status) -> Value {
    let (state, since, problem) = sink.state();
    json!({
        "sink": sink.name,
        "kind": sink.kind,
        "state": state.as_str(),
        "since": since,
        "problem": problem,
        "records": sink.shipped(),
        "rejected": sink.rejected(),
        "missing": sink.missing(),
        "lag": sink.lag_records(),
        "lag_seconds": sink.lag_seconds(),
    })
}

/// Metrics as OpenMetrics.
pub(super) fn metrics(gateway: &Gateway) -> Response<Full<Bytes>> {
    let Ok(text) = gateway.metrics.text() else {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "metrics can't be written");
    };
    let mut response = Response::new(Full::new(text.into()));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Every function that is served.
pub(super) fn functions(gateway: &Gateway) -> Value {
    let (generation, now) = (gateway.generation(), tokio::time::Instant::now());
    let mut all: Vec<_> = generation.served.values().collect();
    all.sort_by(|a, b| a.function.name.cmp(&b.function.name));
    let one = |served: &&Arc<Served>| {
        let targets: Vec<Value> = served
            .function
            .targets
            .iter()
            .map(|t| {
                json!({
                    "index": t.index,
                    "kind": t.backend.kind(),
                    "region": t.region,
                    "price": t.price.as_ref().map(|price| &price.name),
                    "resting": !t.health.is_good(now),
                    "running": t.measured.running(),
                    "seconds": t.measured.seconds(),
                    "cost": t.measured.cost().map(|pico| pico / PICO),
                })
            })
            .collect();
        let route = served.config.route.as_ref().map(|r| {
            let bindings: Vec<String> = r.bindings.iter().map(ToString::to_string).collect();
            let method = r.method.as_ref().map(Method::as_str);
            json!({"method": method, "host": r.host, "pattern": r.pattern, "bindings": bindings})
        });
        json!({
            "name": served.function.name,
            "app": served.function.app,
            "route": route,
            "targets": targets,
            "running": served.function.concurrency_max - served.slots.available_permits(),
            "waiting": served.waiting.load(Ordering::Relaxed),
            "quarantine": served.quarantine.as_ref().map(|q| &q.finding),
        })
    };
    json!({"functions": all.iter().map(one).collect::<Vec<_>>()})
}
