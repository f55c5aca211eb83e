//! Calls as OCSF events (class API Activity): one per call, refused or not, one per administrative action, and one per
//! summary of refusals that were counted. What is concealed in a record is not in its event.

use super::{Form, filter::begins};
use crate::audit::{query::Line, record::Kind};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// The version of the schema.
const VERSION: &str = "1.5.0";
const CLASS: u64 = 6003;
/// What a caller is where nobody was identified.
const NOBODY: &str = "anonymous";

/// See the file's first line.
#[derive(Debug)]
pub struct Ocsf<W>(pub W);

impl<W: Write> Form for Ocsf<W> {
    fn joins(&self) -> bool {
        true
    }

    fn write(&mut self, records: &[Line]) -> io::Result<bool> {
        let Some(event) = event(records)? else { return Ok(false) };
        serde_json::to_writer(&mut self.0, &event)?;
        self.0.write_all(b"\n")?;
        Ok(true)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The event of records that belong together; `None` if there is none for them.
fn event(records: &[Line]) -> io::Result<Option<Value>> {
    let Some(first) = records.first() else { return Ok(None) };
    let read = |line: &Line| serde_json::from_slice::<Value>(&line.bytes).map_err(io::Error::from);
    let of = |kind: Kind| records.iter().find(|line| line.head.kind == kind);
    let parts = match first.head.kind {
        Kind::Admin => administration(&read(first)?),
        Kind::Summary => summary(&read(first)?),
        _ if begins(first) => {
            let closed = of(Kind::Closed).map(read).transpose()?;
            let attempts = records.iter().filter(|line| line.head.kind == Kind::Attempt).count();
            call(&read(first)?, closed.as_ref(), attempts)
        }
        // What is left of a call whose beginning is not there, and the log's own life.
        _ => return Ok(None),
    };
    let end = records.last().map_or(first.head.at, |last| last.head.at);
    Ok(Some(whole(first, end, parts)))
}

/// What differs between events.
struct Parts {
    activity: (u64, &'static str),
    severity: (u64, &'static str),
    status: (u64, &'static str),
    /// Members of the event, without those that are null.
    members: Value,
    unmapped: Value,
    begun: Option<Timestamp>,
}

const OTHER: u64 = 99;
const INFORMATIONAL: (u64, &str) = (1, "Informational");
const LOW: (u64, &str) = (2, "Low");
const MEDIUM: (u64, &str) = (3, "Medium");
const UNKNOWN: (u64, &str) = (0, "Unknown");
const SUCCESS: (u64, &str) = (1, "Success");
const FAILURE: (u64, &str) = (2, "Failure");

fn whole(first: &Line, end: Timestamp, parts: Parts) -> Value {
    let Parts { activity, severity, status, members, unmapped, begun } = parts;
    let head = &first.head;
    let begun = begun.unwrap_or(head.at);
    let mut event = json!({
        "metadata": {
            "version": VERSION,
            "product": { "name": "Latchwork", "vendor_name": "Latchwork", "version": env!("CARGO_PKG_VERSION") },
            "log_name": "audit",
            "log_provider": head.node,
            "log_version": head.v.to_string(),
            "uid": format!("{}/{}", head.incarnation, head.seq),
            "correlation_uid": head.call,
            "sequence": head.seq,
            "logged_time": end.as_millisecond(),
        },
        "category_uid": CLASS / 1000,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "activity_id": activity.0,
        "activity_name": activity.1,
        "type_uid": CLASS * 100 + activity.0,
        "type_name": format!("API Activity: {}", activity.1),
        "severity_id": severity.0,
        "severity": severity.1,
        "status_id": status.0,
        "status": status.1,
        "time": begun.as_millisecond(),
        "start_time": begun.as_millisecond(),
        "end_time": end.as_millisecond(),
        "dst_endpoint": { "name": head.node, "svc_name": "latchwork" },
    });
    if let (Some(event), Value::Object(members)) = (event.as_object_mut(), members) {
        event.extend(members);
        event.insert("unmapped".to_owned(), unmapped);
    }
    without_nulls(&mut event);
    event
}

fn call(begin: &Value, closed: Option<&Value>, attempts: usize) -> Parts {
    let refusal = begin.get("refusal").and_then(Value::as_str);
    let end = if refusal.is_some() { Some(begin) } else { closed };
    let member = |name: &str| end.and_then(|end| end.get(name)).cloned().unwrap_or_default();
    let outcome = end.and_then(|end| end.get("outcome")).and_then(Value::as_str);
    let status = match (refusal, outcome) {
        (Some(_), _) | (None, Some("failed" | "timed_out" | "abandoned" | "revoked")) => FAILURE,
        (None, Some("completed")) => SUCCESS,
        (None, _) => UNKNOWN,
    };
    let severity = match refusal {
        Some("policy_error" | "unrecorded" | "internal") => MEDIUM,
        Some(_) => LOW,
        None if status == FAILURE => LOW,
        None => INFORMATIONAL,
    };
    let request = begin.get("request").filter(|request| request.is_object());
    let method = request.and_then(|request| request.get("method")).and_then(Value::as_str);
    let activity = match method {
        Some("GET" | "HEAD") => (2, "Read"),
        Some("PUT" | "PATCH") => (3, "Update"),
        Some("DELETE") => (4, "Delete"),
        // What a function does that is asked with POST or by name, its name says.
        _ => (OTHER, "Invoke"),
    };
    let function = begin.get("function").and_then(Value::as_str);
    let code = member("status");
    let detail = refusal.or(member("error").as_str()).or(outcome.filter(|_| status == FAILURE)).map(ToOwned::to_owned);
    let detail = detail.or_else(|| end.is_none().then(|| "the log has no end of it".to_owned()));
    let resources = function.map(|function| json!([{ "uid": function, "name": function, "type": "function" }]));
    let members = json!({
        "actor": actor(begin),
        "api": {
            "operation": function.unwrap_or("unknown"),
            "service": function.and_then(|f| f.rsplit_once('.')).map(|(app, _)| json!({ "name": app })),
            "request": { "uid": begin.get("call") },
            "response": { "code": code, "error": detail },
        },
        "src_endpoint": source(begin),
        "http_request": request.map(|request| json!({
            "http_method": method,
            "version": request.get("version"),
            "url": { "path": request.get("path") },
        })),
        "http_response": code.is_number().then(|| json!({ "code": code })),
        "resources": resources,
        "duration": member("duration_us").as_u64().map(|us| us / 1000),
        "status_code": code.as_u64().map(|code| code.to_string()),
        "status_detail": detail,
    });
    let unmapped =
        unmapped(begin, &["decision", "observed", "reason", "stage", "bundle", "verb", "tenant", "listener"]);
    let more = json!({
        "kind": if refusal.is_some() { "refused" } else { "call" },
        "outcome": outcome,
        "refusal": refusal,
        "attempts": (attempts > 0).then_some(attempts),
        "bytes_in": member("bytes_in"),
        "bytes_out": member("bytes_out"),
        "trace": begin.get("trace"),
        "protected": begin.get("protected"),
    });
    let at = |value: &Value| value.get("at").and_then(Value::as_str).and_then(|at| at.parse::<Timestamp>().ok());
    let took = member("duration_us").as_i64().map(jiff::SignedDuration::from_micros);
    let begun = end.and_then(at).zip(took).and_then(|(end, took)| end.checked_sub(took).ok()).or_else(|| at(begin));
    Parts { activity, severity, status, members, unmapped: joined(unmapped, more), begun }
}

fn administration(record: &Value) -> Parts {
    let ruling = record.pointer("/authority/ruling").and_then(Value::as_str);
    let refused = matches!(ruling, Some("denied" | "unidentified"));
    let who = record.get("who").and_then(Value::as_str).unwrap_or(NOBODY);
    let verb = record.get("verb").and_then(Value::as_str).unwrap_or("unknown");
    let source = record.get("authority").and_then(|authority| authority.pointer("/facts/network/source"));
    let source = source.map_or_else(|| json!({ "name": "administrative interface" }), |ip| json!({ "ip": ip }));
    let unmapped = unmapped(record, &["bundle_before", "bundle_after"]);
    Parts {
        activity: (OTHER, "Administer"),
        severity: if refused { MEDIUM } else { INFORMATIONAL },
        status: if refused { FAILURE } else { SUCCESS },
        members: json!({
            "actor": {
                "user": { "uid": who, "name": who, "type_id": 2, "type": "Admin" },
                "authorizations": ruling.map(|ruling| json!([{ "decision": ruling }])),
            },
            "api": { "operation": verb },
            "src_endpoint": source,
            "message": record.get("detail"),
            "status_detail": ruling.filter(|_| refused),
        }),
        unmapped: joined(unmapped, json!({ "kind": "admin" })),
        begun: None,
    }
}

fn summary(record: &Value) -> Parts {
    let network = record.get("network").and_then(Value::as_str).unwrap_or("other");
    let counts = record.get("counts").and_then(Value::as_object).cloned().unwrap_or_default();
    let words: Vec<_> = counts.iter().map(|(word, count)| format!("{word} {count}")).collect();
    let from = record.get("from").and_then(Value::as_str).and_then(|at| at.parse().ok());
    Parts {
        activity: (OTHER, "Refuse before identification"),
        severity: LOW,
        status: FAILURE,
        members: json!({
            "actor": { "user": { "uid": NOBODY, "type_id": 0, "type": "Unknown" } },
            "api": { "operation": "unknown" },
            "src_endpoint": { "name": network },
            "count": counts.values().filter_map(Value::as_u64).sum::<u64>(),
            "status_detail": words.join(", "),
        }),
        unmapped: json!({ "kind": "summary", "counts": counts }),
        begun: from,
    }
}

fn actor(begin: &Value) -> Value {
    let principal = begin.get("principal");
    let text = |name: &str| principal.and_then(|principal| principal.get(name)).and_then(Value::as_str);
    let (kind_id, kind) = match text("kind") {
        Some("User" | "user") => (1, "User"),
        Some("Workload" | "workload") => (4, "Service"),
        Some("System" | "system") => (3, "System"),
        Some("Client" | "client" | "Agent" | "agent") => (OTHER, "Other"),
        _ => (0, "Unknown"),
    };
    let groups = principal.and_then(|principal| principal.get("groups")).and_then(Value::as_array);
    let groups = groups.map(|groups| groups.iter().map(|group| json!({ "name": group })).collect::<Vec<_>>());
    let names = begin.get("determining").and_then(Value::as_array).cloned().unwrap_or_default();
    let decision = if begin.get("refusal").is_some() { "deny" } else { "allow" };
    let authorizations: Vec<_> =
        names.iter().map(|name| json!({ "decision": decision, "policy": { "name": name } })).collect();
    json!({
        "user": {
            "uid": text("id").unwrap_or(NOBODY),
            "name": text("id").unwrap_or(NOBODY),
            "type_id": kind_id,
            "type": kind,
            "domain": text("issuer"),
            "groups": groups.filter(|groups| !groups.is_empty()),
        },
        "idp": text("issuer").map(|issuer| json!({ "name": issuer })),
        "authorizations": Some(authorizations).filter(|some| !some.is_empty()),
    })
}

fn source(begin: &Value) -> Value {
    let network = begin.pointer("/facts/network");
    let ip = network.and_then(|network| network.get("source")).or_else(|| begin.get("source"));
    let zone = network.and_then(|network| network.get("zone"));
    // One that is concealed, or of a Unix socket, has no address.
    match ip {
        Some(ip) => json!({ "ip": ip, "zone": zone }),
        None => json!({ "name": "unknown", "zone": zone }),
    }
}

fn unmapped(record: &Value, names: &[&str]) -> Map<String, Value> {
    names.iter().filter_map(|name| Some(((*name).to_owned(), record.get(*name)?.clone()))).collect()
}

fn joined(mut members: Map<String, Value>, more: Value) -> Value {
    if let Value::Object(more) = more {
        members.extend(more);
    }
    Value::Object(members)
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
