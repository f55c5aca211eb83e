//! What the records themselves say, told another way than by rows.

use crate::audit::{
    query::Records,
    record::Body,
    search::{self, Call},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, sync::Arc};
use uuid::Uuid;

/// What the records themselves say, read by the log's own reader and types.
pub(super) fn told(audit: &Path) -> Vec<(Call, Vec<String>)> {
    let mut calls: BTreeMap<(String, Uuid, Uuid), (Call, Vec<String>)> = BTreeMap::new();
    for node in search::nodes(audit).unwrap() {
        for line in Records::of_node(&node.folder).unwrap().filter_map(Result::ok) {
            let (Some(call), body) = (line.head.call, line.body().unwrap()) else { continue };
            if matches!(body, Body::Shadow(_)) {
                continue;
            }
            let key = (line.head.node.clone(), line.head.incarnation, call);
            let none = || {
                let call: Call = Call { call, at: line.head.at, ..nothing(&line.head.node, line.head.incarnation) };
                (call, Vec::new())
            };
            let (call, texts) = calls.entry(key).or_insert_with(none);
            tell(call, body);
            call.records += 1;
            texts.push(String::from_utf8(line.bytes).unwrap());
        }
    }
    let mut calls: Vec<_> = calls.into_values().collect();
    calls.sort_by_key(|(call, _)| std::cmp::Reverse((call.at, call.call.into_bytes())));
    calls
}

fn nothing(node: &str, incarnation: Uuid) -> Call {
    Call {
        call: Uuid::nil(),
        at: jiff::Timestamp::UNIX_EPOCH,
        node: node.into(),
        incarnation,
        outcome: "open".into(),
        caller: None,
        principal: None,
        function: None,
        tenant: None,
        status: None,
        refusal: None,
        stage: None,
        reason: None,
        policies: Vec::new(),
        target: None,
        attempts: 0,
        error: None,
        listener: None,
        source: None,
        bundle: None,
        duration_us: None,
        bytes_in: None,
        bytes_out: None,
        records: 0,
    }
}

fn tell(call: &mut Call, body: Body) {
    let text = |value: Value| value.as_str().map(Arc::from);
    match body {
        Body::Intent(intent) => {
            call.caller = Some(intent.principal.id.clone());
            call.principal = Some(intent.principal.kind.as_str().into());
            call.function = Some(intent.function.to_string().into());
            call.tenant = intent.tenant.map(Into::into);
            call.policies = intent.determining.iter().map(|name| name.0.to_string().into()).collect();
            call.target = Some(intent.target.0);
            call.listener = intent.listener.map(Into::into);
            call.source = intent.facts.network.source.map(|source| source.to_string().into());
            call.bundle = Some(intent.bundle.0.to_string().into());
        }
        Body::Attempt(attempt) => {
            call.attempts += 1;
            call.target = Some(attempt.target.0);
        }
        Body::Answered(answered) => {
            call.status = Some(answered.status);
            call.target = Some(answered.target.0);
        }
        Body::Closed(closed) => {
            call.outcome = closed.outcome.as_str().into();
            call.target = closed.run.map(|run| run.target.0).or(call.target);
            call.status = closed.status.or(call.status);
            call.error = closed.error.filter(|error| !error.is_empty()).map(Into::into);
            call.duration_us = Some(closed.duration_us);
            call.bytes_in = Some(closed.bytes_in);
            call.bytes_out = Some(closed.bytes_out);
        }
        Body::Refused(refused) => {
            call.outcome = if refused.reason.is_some() { "denied" } else { "refused" }.into();
            call.caller = refused.principal.as_ref().map(|principal| principal.id.clone());
            call.principal = refused.principal.as_ref().map(|principal| principal.kind.as_str().into());
            call.function = refused.function.map(|function| function.to_string().into());
            call.tenant = refused.tenant.map(Into::into);
            call.status = Some(refused.status);
            call.refusal = Some(refused.refusal.into());
            call.stage = text(json!(refused.stage));
            call.reason = refused.reason.and_then(|reason| text(json!(reason)));
            call.policies = refused.determining.iter().map(|name| name.0.to_string().into()).collect();
            call.listener = refused.listener.map(Into::into);
            call.source = refused.source.map(|source| source.to_string().into());
            call.bundle = refused.bundle.map(|bundle| bundle.0.to_string().into());
            call.duration_us = Some(refused.duration_us);
            call.bytes_in = Some(refused.bytes_in);
            call.bytes_out = Some(0);
        }
        body => panic!("{body:?} tells no story"),
    }
}
