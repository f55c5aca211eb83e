//! `[function."NAME"]`

use super::{
    calendar, catalog::Known, cors, dispatch, grpc, input, issuer::kind_of, route, soap, target, tcp, transcode, warm,
};
use crate::config::{Function, Unrecorded, raw, raw::At, value::Desk, value::shorten};
use policy::{
    declared::{self, QueryType},
    question::{FunctionName, PrincipalKind},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Largest request body that may be configured, in bytes.
const REQUEST_BYTES_MAX: u64 = 1 << 30;
/// Largest buffered answer that may be configured, in bytes.
const RESPONSE_BYTES_MAX: u64 = 1 << 30;
/// Longest time-out that may be configured.
const TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);
/// Most calls of one function at once that may be configured.
const CONCURRENCY_MAX: u64 = 100_000;
const TIMEOUT: Duration = Duration::from_secs(30);
const MIB: u64 = 1 << 20;
/// Verbs and groups of the base vocabulary that no function may put itself into.
const RESERVED_GROUPS: [&str; 6] = ["call", "describe", "run_on", "approve", "redrive", "administer"];
const FORWARDABLE: [http::HeaderName; 2] = [http::header::AUTHORIZATION, http::header::COOKIE];

pub(crate) fn function(
    name: &At<String>,
    parsed: Option<FunctionName>,
    table: &raw::Function,
    known: &Known<'_>,
    desk: &mut Desk<'_>,
) -> Option<Function> {
    let app = desk.required("app", &table.app, &name.span).cloned();
    let app = app.filter(|app| {
        let there = known.apps.contains_key(app.value.as_str());
        if !there {
            desk.unknown("unknown_app", "app", app, known.apps.keys().map(AsRef::as_ref));
        }
        there
    });
    let mut route = route::route(table, desk);
    let path = route.as_ref().map(|route| route::parameters(&route.pattern)).unwrap_or_default();
    let class = table.class.as_ref();
    let class = desk.number(class, 1, 0..=3);
    let method = grpc::method(table, route.as_ref(), known, desk);
    let bindings = transcode::bindings(table, route.as_ref(), method.as_ref(), desk);
    if let Some(route) = &mut route {
        route.bindings = bindings;
        route.bytes = table.messages.as_ref().is_some_and(|messages| messages.value == raw::Messages::Bytes);
    }
    let input = input::input(table, method.as_ref(), route.as_ref(), desk);
    if let (Some(input), Some("GET" | "HEAD")) =
        (&table.input, route.as_ref().and_then(|route| route.method.as_ref()).map(http::Method::as_str))
    {
        let message = "a GET or HEAD request has no body to check against a schema";
        desk.warn("input_without_body", &input.span, message, "declare `query` parameters instead");
    }
    // Parameters of a route that was refused are not known.
    let bound: Vec<String> = transcode::parameters(route.as_ref());
    let names = || path.iter().map(AsRef::as_ref).chain(bound.iter().map(String::as_str)).collect();
    let parameters = (route.is_some() || table.route.is_none()).then(names);
    let targets = target::targets(name, table, parameters, known, desk);
    grpc::fits(name, table, (route.as_ref(), method.as_ref()), &targets, desk);
    soap::fits(table, route.as_ref(), &targets, desk);
    tcp::fits(table, route.as_ref(), &targets, desk);
    let action_groups = action_groups(table, desk);
    let mut principals = principals(table, desk);
    let owner = table.owner.as_ref().and_then(|owner| super::catalog::owner(owner, known.issuers, desk));
    let tenant = table.tenant.as_ref().and_then(|tenant| desk.word("tenant", tenant));
    let labels = labels(table, desk);
    let query = query(table, desk);
    let timeout = desk.duration(table.timeout.as_ref(), TIMEOUT, Duration::from_millis(1)..=TIMEOUT_MAX);
    let dispatch = dispatch::dispatch(table, &targets, timeout, desk);
    dispatch::fits(table, &dispatch, desk);
    let request_bytes_max = desk.number(table.request_bytes_max.as_ref(), MIB, 0..=REQUEST_BYTES_MAX);
    let response_bytes_max = desk.number(table.response_bytes_max.as_ref(), 8 * MIB, 1..=RESPONSE_BYTES_MAX);
    let concurrency_max = desk.number(table.concurrency_max.as_ref(), 64, 1..=CONCURRENCY_MAX);
    let warm = warm::warm(table, (route.as_ref(), method.as_ref()), &targets, concurrency_max, desk);
    // Policy is asked of these calls too.
    principals.extend(warm.as_ref().map(|_| PrincipalKind::System));
    let forward_headers = forward_headers(table, desk);
    let cors = cors::cors(table.cors.as_ref(), desk);
    let observe = table.observe.as_ref().and_then(|until| observe(until, desk));
    let unrecorded = unrecorded(table.unrecorded.as_ref(), desk);
    let written = (desk.text.file.clone(), desk.text.line(&name.span));
    let (name, app) = (parsed?, app?.value.into());
    let declared = declared::Function {
        name,
        app,
        action_groups,
        principals,
        owner,
        tenant,
        shared: table.shared,
        class: i64::try_from(class).unwrap_or(1),
        labels,
        idempotent: table.idempotent,
        path,
        query,
        input,
        targets: targets.iter().map(target::declared).collect(),
    };
    Some(Function {
        declared,
        route,
        method,
        timeout,
        request_bytes_max,
        response_bytes_max,
        concurrency_max: usize::try_from(concurrency_max).unwrap_or(1),
        forward_headers,
        cors,
        targets,
        dispatch,
        warm,
        unrecorded,
        observe,
        written,
    })
}

fn unrecorded(written: Option<&At<raw::Unrecorded>>, desk: &mut Desk<'_>) -> Unrecorded {
    match written.map(|written| (written.value, &written.span)) {
        None | Some((raw::Unrecorded::Refuse, _)) => Unrecorded::Refuse,
        Some((raw::Unrecorded::Run, span)) => {
            let message = "calls of this function run although the audit log can't take their records";
            desk.warn("runs_unrecorded", span, message, "leave it out unless an outage is worse than a gap");
            Unrecorded::Run
        }
    }
}

/// The end of the last day of observation.
fn observe(written: &At<String>, desk: &mut Desk<'_>) -> Option<jiff::Timestamp> {
    let end = |day: jiff::civil::Date| jiff::tz::TimeZone::UTC.to_timestamp(day.tomorrow().ok()?.at(0, 0, 0, 0)).ok();
    let until = end(calendar::date(written, desk)?)?;
    let message = if until <= jiff::Timestamp::now() {
        "the observation is over, so policy is enforced"
    } else {
        "policy is not enforced for this function: its denials are only recorded"
    };
    desk.warn("observing", &written.span, message, "remove `observe` once policies permit what they should");
    Some(until)
}

fn action_groups(table: &raw::Function, desk: &mut Desk<'_>) -> Vec<Arc<str>> {
    let mut groups: Vec<Arc<str>> = Vec::new();
    for group in &table.action_groups {
        if group.value.contains('.') {
            let message =
                format!("`{}` has a dot, like a function; an action group never has one", shorten(&group.value));
            desk.error_help("bad_action_group", &group.span, message, "such as `read`, `write` or `money`");
        } else if group.value == "call" {
            desk.error_help("reserved_name", &group.span, "every function is in `call` already", "remove it");
        } else if RESERVED_GROUPS.contains(&group.value.as_str()) {
            let message = format!("`{}` is a verb of the base vocabulary", group.value);
            desk.error_help("reserved_name", &group.span, message, "choose another name");
        } else if let Some(name) = desk.name("an action group", group)
            && !groups.contains(&name)
        {
            groups.push(name);
        }
    }
    groups
}

fn principals(table: &raw::Function, desk: &mut Desk<'_>) -> Vec<PrincipalKind> {
    let Some(list) = &table.principals else { return PrincipalKind::CALLERS.to_vec() };
    if list.value.is_empty() {
        let finding = desk.text.error("empty_list", &list.span, "the function is for no kind of caller");
        desk.report.push_missing("principals", finding);
    }
    let kinds: BTreeSet<PrincipalKind> = list.value.iter().map(|kind| kind_of(kind.value)).collect();
    kinds.into_iter().collect()
}

fn labels(table: &raw::Function, desk: &mut Desk<'_>) -> Vec<Arc<str>> {
    let mut labels: Vec<Arc<str>> = table.labels.iter().filter_map(|label| desk.word("label", label)).collect();
    labels.sort();
    labels.dedup();
    labels
}

fn query(table: &raw::Function, desk: &mut Desk<'_>) -> Vec<(Arc<str>, QueryType)> {
    let mut parameters = Vec::new();
    for (name, kind) in &table.query {
        let kind = match kind {
            raw::QueryType::String => QueryType::String,
            raw::QueryType::Integer => QueryType::Long,
            raw::QueryType::Boolean => QueryType::Bool,
        };
        parameters.extend(desk.word("query parameter", name).map(|name| (name, kind)));
    }
    parameters
}

fn forward_headers(table: &raw::Function, desk: &mut Desk<'_>) -> Vec<http::HeaderName> {
    let mut headers = Vec::new();
    for written in &table.forward_headers {
        let known = FORWARDABLE.iter().find(|header| written.value.eq_ignore_ascii_case(header.as_str()));
        match known {
            Some(header) if !headers.contains(header) => headers.push(header.clone()),
            Some(_) => {}
            None => {
                let message = format!("`{}` is not held back, so it needs no leave", shorten(&written.value));
                let help = "only `authorization` and `cookie` are withheld unless named here";
                desk.error_help("bad_header", &written.span, message, help);
            }
        }
    }
    headers
}
