//! Asking the cases of one file, and saying in plain words what came out otherwise.

use super::{
    CaseResult, Report, Tally,
    raw::{self, Case, Expect, Values},
};
use crate::{
    bundle::Source,
    engine::{Snapshot, Trace},
    finding::Finding,
    permit::{DenialReason, PolicyName, TargetIndex},
    question::{
        CallKind, Clock, Facts, FunctionName, Network, Principal, PrincipalAttributes, PrincipalKind, Provenance,
        Question, Token, Transport, Verb, Via,
    },
};
use jiff::{Timestamp, tz::TimeZone};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};
use toml::{Spanned, Value};

/// Where callers come from unless a case says so: an address reserved for documentation.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

struct Asker<'a> {
    source: &'a Source,
    file: &'a raw::File,
    snapshot: &'a Snapshot,
    now: Timestamp,
    principals: BTreeMap<&'a str, Principal>,
}

/// Runs the cases of one file.
pub(super) fn file(
    source: &Source,
    file: &raw::File,
    snapshot: &Snapshot,
    now: Timestamp,
    tally: &mut Tally,
    report: &mut Report,
) {
    let principals = file.principal.iter().map(|(name, raw)| (name.as_str(), principal(raw))).collect();
    let asker = Asker { source, file, snapshot, now, principals };
    for case in &file.case {
        match asker.question(case).and_then(|question| asker.known(case).map(|()| question)) {
            Ok(question) => report.cases.push(asker.ask(case, &question, tally)),
            Err(finding) => report.findings.push(*finding),
        }
    }
}

impl Asker<'_> {
    fn finding<T>(&self, code: &'static str, at: &Spanned<T>, message: String) -> Box<Finding> {
        Box::new(Finding::error(code, self.source.file.as_ref(), message).at(&self.source.text, at.span()))
    }

    fn principal(&self, name: &Spanned<String>) -> Result<Principal, Box<Finding>> {
        match self.principals.get(name.get_ref().as_str()) {
            Some(principal) => Ok(principal.clone()),
            None if name.get_ref() == "anonymous" => Ok(Principal::anonymous()),
            None => {
                let message = format!("there is no `[principal.{}]`", name.get_ref());
                let finding = self.finding("unknown_principal", name, message);
                let known = self.principals.keys().copied().chain(["anonymous"]);
                Err(Box::new(finding.nearest(name.get_ref(), known)))
            }
        }
    }

    /// Sees that a case expects what can be, of policies that exist.
    fn known(&self, case: &Case) -> Result<(), Box<Finding>> {
        for id in case.because.iter().flatten() {
            if self.snapshot.policy(&PolicyName(id.get_ref().as_str().into())).is_none() {
                let finding = self.finding("unknown_policy", id, format!("there is no policy `{}`", id.get_ref()));
                let known: Vec<_> = self.snapshot.policies().map(|policy| policy.name.0.as_ref()).collect();
                return Err(Box::new(finding.nearest(id.get_ref(), known)));
            }
        }
        match (case.expect, &case.reason, &case.targets) {
            (Expect::Allow, Some(reason), _) => {
                Err(self.finding("contradiction", reason, "an allow has no reason; it has `because`".to_owned()))
            }
            (Expect::Deny, _, Some(targets)) => {
                Err(self.finding("contradiction", targets, "a denied call runs on no target".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn question(&self, case: &Case) -> Result<Question, Box<Finding>> {
        let name = FunctionName::parse(case.function.get_ref()).ok();
        let known = |name: &FunctionName| self.snapshot.vocabulary().function(name).is_some();
        let Some(function) = name.filter(known) else {
            let message = format!("there is no function `{}`", case.function.get_ref());
            let finding = self.finding("unknown_function", &case.function, message);
            let names = self.snapshot.vocabulary().functions();
            return Err(Box::new(finding.nearest(case.function.get_ref(), names)));
        };
        let principal = self.principal(&case.principal)?;
        let mut question = Question {
            verb: case.verb.clone(),
            facts: self.facts(&self.file.facts, &case.facts)?,
            path: case.path.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect(),
            query: case.query.iter().map(|(name, values)| (name.as_str().into(), texts(values))).collect(),
            input: None,
            principal,
            function,
        };
        // As in the gateway: the input is read only if it can matter.
        let needed = case.verb == Verb::Call && self.snapshot.needs_input(&question.function, &question.principal);
        match &case.input {
            Some(input) if needed => question.input = Some(Arc::new(self.json(input)?)),
            None if needed => {
                let message = format!("policy looks at the input of `{}`, and the case has none", question.function);
                return Err(self.finding("missing_input", &case.function, message));
            }
            Some(_) | None => {}
        }
        Ok(question)
    }

    fn facts(&self, file: &raw::Facts, case: &raw::Facts) -> Result<Facts, Box<Finding>> {
        let time = |at: &Option<Spanned<Value>>| at.as_ref().map(|at| self.time(at)).transpose();
        let noon = self.now.to_zoned_datetime(TimeZone::UTC).date().at(12, 0, 0, 0);
        let noon = TimeZone::UTC.to_timestamp(noon).unwrap_or(self.now);
        let now = time(&case.clock.now)?.or(time(&file.clock.now)?).unwrap_or(noon);
        let utc = now.to_zoned_datetime(TimeZone::UTC);
        let minute = i64::from(utc.hour()) * 60 + i64::from(utc.minute());
        let workload = case.via.workload.as_ref().or(file.via.workload.as_ref());
        let workload = workload.map(|name| self.principal(name)).transpose()?;
        let client = case.via.client.as_ref().or(file.via.client.as_ref());
        let client = client.map(|name| self.principal(name)).transpose()?;
        let hops = i64::from(workload.is_some() || client.is_some());
        let token = match (&file.token, &case.token) {
            (None, None) => None,
            (file, case) => {
                let (a, b) = (case.as_ref(), file.as_ref());
                let list = |get: fn(&raw::Token) -> Option<&Vec<String>>| a.and_then(get).or(b.and_then(get));
                let at = |get: fn(&raw::Token) -> &Option<Spanned<Value>>| {
                    a.and_then(|t| get(t).as_ref())
                        .or(b.and_then(|t| get(t).as_ref()))
                        .map(|v| self.time(v))
                        .transpose()
                };
                Some(Token {
                    scopes: shared(list(|t| t.scopes.as_ref())).unwrap_or_default(),
                    audiences: shared(list(|t| t.audiences.as_ref())).unwrap_or_default(),
                    issued: at(|t| &t.issued)?,
                    authenticated: at(|t| &t.authenticated)?,
                    acr: a.and_then(|t| t.acr.as_deref()).or(b.and_then(|t| t.acr.as_deref())).map(Arc::from),
                    amr: shared(list(|t| t.amr.as_ref())),
                    sender_bound: a.and_then(|t| t.sender_bound).or(b.and_then(|t| t.sender_bound)).unwrap_or(false),
                })
            }
        };
        Ok(Facts {
            call: case.call.or(file.call).unwrap_or(CallKind::Sync),
            network: network(&case.network, &file.network),
            transport: Transport {
                mtls: case.transport.mtls.or(file.transport.mtls).unwrap_or(false),
                tls: case.transport.tls.or(file.transport.tls).unwrap_or(13),
                sealed: case.transport.sealed.or(file.transport.sealed).unwrap_or(false),
            },
            token,
            clock: Clock {
                now,
                weekday: case.clock.weekday.or(file.clock.weekday).unwrap_or_else(|| weekday(&utc)),
                minute: case.clock.minute.or(file.clock.minute).unwrap_or(minute),
                business_day: case.clock.business_day.or(file.clock.business_day),
                frozen: case.clock.frozen.or(file.clock.frozen),
            },
            via: Via {
                workload: workload.map(Arc::new),
                client: client.map(Arc::new),
                depth: case.via.depth.or(file.via.depth).unwrap_or(hops),
            },
        })
    }

    fn time(&self, at: &Spanned<Value>) -> Result<Timestamp, Box<Finding>> {
        let text = match at.get_ref() {
            Value::Datetime(time) => time.to_string(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text.parse().map_err(|_| {
            let finding = self.finding("invalid_time", at, format!("`{text}` is not an instant"));
            Box::new(finding.help("write it like `2026-11-23T10:00:00Z`"))
        })
    }

    fn json(&self, input: &Spanned<Value>) -> Result<serde_json::Value, Box<Finding>> {
        json(input.get_ref()).ok_or_else(|| self.finding("invalid_input", input, "JSON has no such number".to_owned()))
    }

    fn ask(&self, case: &Case, question: &Question, tally: &mut Tally) -> CaseResult {
        let trace = self.snapshot.trace(question);
        for policy in self.snapshot.in_scope(question).into_iter().map(|p| &p.name).collect::<BTreeSet<_>>() {
            tally.in_scope(policy);
        }
        let verdicts: Vec<_> = match question.verb {
            Verb::Call => std::iter::once(&trace.call).chain(&trace.run_on).collect(),
            Verb::Describe => trace.describe.iter().collect(),
        };
        for name in verdicts.iter().flat_map(|verdict| &verdict.determining).collect::<BTreeSet<_>>() {
            tally.determining(name);
        }
        let differences = differences(case, &trace);
        let name = case.name.get_ref().clone();
        let line = Finding::error("", "", "").at(&self.source.text, case.name.span()).line;
        CaseResult { file: Arc::clone(&self.source.file), line, name, passed: differences.is_empty(), differences }
    }
}

fn differences(case: &Case, trace: &Trace) -> Vec<String> {
    let (reason, verdict) = match (&case.verb, &trace.describe) {
        (Verb::Describe, Some(verdict)) => (verdict.denied, verdict.clone()),
        (Verb::Describe | Verb::Call, _) => match trace.denied() {
            Some((reason, verdict)) => (Some(reason), verdict),
            None => (None, trace.call.clone()),
        },
    };
    let determining: Vec<&str> = verdict.determining.iter().map(|name| name.0.as_ref()).collect();
    let errors = verdict.errors.iter().map(|error| format!("policy said: {error}"));
    let mut differences = Vec::new();
    match (case.expect, reason) {
        (Expect::Allow, Some(reason)) => {
            differences.push(format!("expected allow, but it was denied: {}", because(reason, &determining)));
            differences.extend(errors);
        }
        (Expect::Deny, None) => {
            differences.push(format!("expected deny, but it was allowed by {}", list(&determining)));
        }
        (Expect::Deny, Some(reason)) => {
            let expected = case.reason.as_ref().map(|reason| *reason.get_ref());
            let unasked = matches!(reason, DenialReason::PolicyError | DenialReason::AbsentEntity);
            if expected.is_some_and(|expected| expected != reason) || (expected.is_none() && unasked) {
                let wanted = expected.map(|reason| format!(" as {}", word(reason))).unwrap_or_default();
                let found = because(reason, &determining);
                differences.push(format!("expected deny{wanted}, but it was denied otherwise: {found}"));
                differences.extend(errors);
            }
        }
        (Expect::Allow, None) => {}
    }
    if let (Some(wanted), true) = (&case.because, differences.is_empty()) {
        let wanted: BTreeSet<&str> = wanted.iter().map(|id| id.get_ref().as_str()).collect();
        if wanted != determining.iter().copied().collect() {
            let wanted: Vec<_> = wanted.into_iter().collect();
            differences.push(format!(
                "expected it to be decided by {}, but it was by {}",
                list(&wanted),
                list(&determining)
            ));
        }
    }
    if let (Some(wanted), true) = (&case.targets, differences.is_empty()) {
        let found: Vec<u16> = trace.targets().map(|TargetIndex(place)| place).collect();
        if *wanted.get_ref() != found {
            differences.push(format!("expected targets {:?}, but it may run on {found:?}", wanted.get_ref()));
        }
    }
    differences
}

/// A case that names a source has one, whatever its file says.
fn network(case: &raw::Network, file: &raw::Network) -> Network {
    let unix = case.unix.unwrap_or(file.unix.unwrap_or(false) && case.source.is_none());
    Network {
        source: (!unix).then(|| case.source.or(file.source).unwrap_or(SOURCE)),
        provenance: if unix { Provenance::Unix } else { Provenance::Socket },
        zone: case.zone.as_deref().or(file.zone.as_deref()).unwrap_or("other").into(),
    }
}

/// The word of a reason, as cases and records write it.
fn word(reason: DenialReason) -> &'static str {
    match reason {
        DenialReason::NotPermitted => "not_permitted",
        DenialReason::Forbidden => "forbidden",
        DenialReason::PolicyError => "policy_error",
        DenialReason::AbsentEntity => "absent_entity",
        DenialReason::NoTarget => "no_target",
    }
}

fn because(reason: DenialReason, determining: &[&str]) -> String {
    if determining.is_empty() { word(reason).to_owned() } else { format!("{} by {}", word(reason), list(determining)) }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "no policy".to_owned() } else { format!("`{}`", names.join("`, `")) }
}

fn principal(raw: &raw::Principal) -> Principal {
    let alias = match raw.kind {
        PrincipalKind::Anonymous | PrincipalKind::Workload => None,
        _ => raw.id.split_once('/').map(|(alias, _)| alias.to_owned()),
    };
    Principal {
        kind: raw.kind,
        id: raw.id.as_str().into(),
        issuer: raw.issuer.clone().or(alias).map(Arc::from),
        groups: raw.groups.iter().map(|group| Arc::from(group.as_str())).collect(),
        attributes: PrincipalAttributes {
            tenant: raw.tenant.as_deref().map(Arc::from),
            clearance: raw.clearance,
            employed: raw.employed,
            tier: raw.tier.as_deref().map(Arc::from),
        },
    }
}

fn texts(values: &Values) -> Vec<Arc<str>> {
    match values {
        Values::Many(values) => values.iter().map(|value| value.to_string().into()).collect(),
        Values::One(value) => vec![value.to_string().into()],
    }
}

fn shared(texts: Option<&Vec<String>>) -> Option<Arc<[Arc<str>]>> {
    texts.map(|texts| texts.iter().map(|text| Arc::from(text.as_str())).collect())
}

fn weekday(at: &jiff::ZonedDateTime) -> i64 {
    i64::from(at.weekday().to_monday_one_offset())
}

fn json(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => serde_json::Value::Number(serde_json::Number::from_f64(*number)?),
        Value::Boolean(value) => (*value).into(),
        Value::Datetime(time) => time.to_string().into(),
        Value::Array(items) => serde_json::Value::Array(items.iter().map(json).collect::<Option<_>>()?),
        Value::Table(members) => {
            let members = members.iter().map(|(name, value)| Some((name.clone(), json(value)?)));
            serde_json::Value::Object(members.collect::<Option<_>>()?)
        }
    })
}
