//! Asking the cases of one file, and saying in plain words what came out otherwise.

use super::{
    CaseResult, Report, Tally,
    differ::differences,
    raw::{self, Case, Values},
    rows::{Row, contradicts, rows},
};
use crate::{
    bundle::Source,
    engine::Snapshot,
    explain::{conditions_met, explain, human},
    finding::Finding,
    permit::PolicyName,
    question::{
        Approval, CallKind, Clock, Facts, FunctionName, Network, Principal, PrincipalAttributes, PrincipalKind,
        Provenance, Question, Token, Transport, Verb, Via, places,
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

#[derive(Clone)]
struct Asker<'a> {
    source: &'a Source,
    file: &'a raw::File,
    snapshot: &'a Snapshot,
    now: Timestamp,
    principals: Arc<BTreeMap<&'a str, Principal>>,
}

/// Runs the cases of one file.
pub(super) fn file(
    source: &Source,
    file: &raw::File,
    snapshot: &Snapshot,
    (now, filter): (Timestamp, Option<&str>),
    tally: &mut Tally,
    report: &mut Report,
) {
    let principals = file.principal.iter().map(|(name, raw)| (name.as_str(), principal(raw))).collect();
    let asker = Asker { source, file, snapshot, now, principals: Arc::new(principals) };
    for case in &file.case {
        // A case decides by what is in force unless it says otherwise.
        let asker = if case.shadow { asker.shadowed() } else { asker.clone() };
        let rows = match asker.known(case).and_then(|()| asker.rows(case)) {
            Ok(rows) => rows,
            Err(finding) => {
                report.findings.push(*finding);
                continue;
            }
        };
        for row in rows.iter().filter(|row| filter.is_none_or(|part| row.name(case.name.get_ref()).contains(part))) {
            match asker.question(case, row) {
                Ok(question) => report.cases.push(asker.ask(case, row, &question, tally)),
                Err(finding) => {
                    report.findings.push(*finding);
                    break;
                }
            }
        }
    }
}

impl Asker<'_> {
    /// The same, as if the policies in shadow were in force.
    fn shadowed(&self) -> Self {
        Self { snapshot: self.snapshot.twin().unwrap_or(self.snapshot), ..self.clone() }
    }

    fn finding<T>(&self, code: &'static str, at: &Spanned<T>, message: String) -> Box<Finding> {
        Box::new(Finding::error(code, self.source.file.as_ref(), message).at(&self.source.text, at.span()))
    }

    fn principal(&self, at: &Spanned<String>, name: &str) -> Result<Principal, Box<Finding>> {
        match self.principals.get(name) {
            Some(principal) => Ok(principal.clone()),
            None if name == "anonymous" => Ok(Principal::anonymous()),
            None => {
                let message = format!("there is no `[principal.{name}]`");
                let finding = self.finding("unknown_principal", at, message);
                let known = self.principals.keys().copied().chain(["anonymous"]);
                Err(Box::new(finding.nearest(name, known)))
            }
        }
    }

    /// Sees that a case expects what can be, of policies that exist.
    fn known(&self, case: &Case) -> Result<(), Box<Finding>> {
        for id in case.because.iter().flatten() {
            let name = PolicyName(id.get_ref().as_str().into());
            if self.snapshot.shadowed().any(|policy| policy.name == name) {
                let message = format!("`{name}` is in shadow, so it decides nothing");
                let finding = self.finding("shadowed_policy", id, message);
                return Err(Box::new(finding.help("`shadow = true` asks a case as if it were in force")));
            }
            if self.snapshot.policy(&name).is_none() {
                let finding = self.finding("unknown_policy", id, format!("there is no policy `{}`", id.get_ref()));
                let known: Vec<_> = self.snapshot.policies().map(|policy| policy.name.0.as_ref()).collect();
                return Err(Box::new(finding.nearest(id.get_ref(), known)));
            }
        }
        Ok(())
    }

    fn rows<'c>(&self, case: &'c Case) -> Result<Vec<Row<'c>>, Box<Finding>> {
        let rows = rows(self.source, case)?;
        match contradicts(case, &rows) {
            None => Ok(rows),
            Some((range, message)) => Err(Box::new(
                Finding::error("contradiction", self.source.file.as_ref(), message).at(&self.source.text, range),
            )),
        }
    }

    fn question(&self, case: &Case, row: &Row<'_>) -> Result<Question, Box<Finding>> {
        let wanted = row.text(case.function.get_ref());
        let name = FunctionName::parse(&wanted).ok();
        let known = |name: &FunctionName| self.snapshot.vocabulary().askable(name).is_some();
        let Some(function) = name.filter(known) else {
            let message = format!("there is no function `{wanted}`");
            let finding = self.finding("unknown_function", &case.function, message);
            return Err(Box::new(finding.nearest(&wanted, self.snapshot.vocabulary().askables())));
        };
        let principal = self.principal(&case.principal, &row.text(case.principal.get_ref()))?;
        let mut question = Question {
            verb: case.verb.clone(),
            facts: self.facts(&self.file.facts, &case.facts)?,
            path: case.path.iter().map(|(k, v)| (k.as_str().into(), row.text(v).into())).collect(),
            query: case.query.iter().map(|(name, values)| (name.as_str().into(), texts(values, row))).collect(),
            input: case.input.as_ref().map(|input| self.input(input, row)).transpose()?.map(Arc::new),
            principal,
            function,
        };
        for (place, value) in row.places() {
            question = self.set(&question, case, place, value)?;
        }
        // As in the gateway: the input is read only if it can matter.
        let needed = case.verb == Verb::Call && self.snapshot.needs_input(&question.function, &question.principal);
        if needed && question.input.is_none() {
            let message = format!("policy looks at the input of `{}`, and the case has none", question.function);
            return Err(self.finding("missing_input", &case.function, message));
        }
        question.input = question.input.filter(|_| needed);
        Ok(question)
    }

    /// An input, or the one of the file that it names.
    fn input(&self, input: &Spanned<Value>, row: &Row<'_>) -> Result<serde_json::Value, Box<Finding>> {
        let value = row.value(input.get_ref());
        let value = match &value {
            Value::String(name) => match self.file.input.get(name) {
                Some(known) => row.value(known),
                None => {
                    let finding = self.finding("unknown_input", input, format!("there is no `[input.{name}]`"));
                    return Err(Box::new(finding.nearest(name, self.file.input.keys().map(String::as_str))));
                }
            },
            _ => value,
        };
        json(&value).ok_or_else(|| self.finding("invalid_input", input, "JSON has no such number".to_owned()))
    }

    /// A place that the matrix sets.
    fn set(&self, question: &Question, case: &Case, place: &str, value: &Value) -> Result<Question, Box<Finding>> {
        let forwards = matches!(place, "facts.via.workload" | "facts.via.client");
        let named = value.as_str().filter(|_| forwards).and_then(|name| self.principals.get(name));
        let json = match named {
            Some(principal) => serde_json::to_value(principal).ok(),
            None => json(value),
        };
        let json = json.unwrap_or(serde_json::Value::Null);
        places::set_json(question, self.snapshot.vocabulary(), place, &json).map_err(|message| {
            let at = case.matrix.iter().flatten().find(|(name, _)| *name == place).map(|(_, values)| values.span());
            let finding = Finding::error("unknown_place", self.source.file.as_ref(), message);
            Box::new(finding.at(&self.source.text, at.unwrap_or_else(|| case.name.span())))
        })
    }

    fn facts(&self, file: &raw::Facts, case: &raw::Facts) -> Result<Facts, Box<Finding>> {
        let time = |at: &Option<Spanned<Value>>| at.as_ref().map(|at| self.time(at)).transpose();
        let noon = self.now.to_zoned_datetime(TimeZone::UTC).date().at(12, 0, 0, 0);
        let noon = TimeZone::UTC.to_timestamp(noon).unwrap_or(self.now);
        let now = time(&case.clock.now)?.or(time(&file.clock.now)?).unwrap_or(noon);
        let utc = now.to_zoned_datetime(TimeZone::UTC);
        let minute = i64::from(utc.hour()) * 60 + i64::from(utc.minute());
        let workload = case.via.workload.as_ref().or(file.via.workload.as_ref());
        let workload = workload.map(|name| self.principal(name, name.get_ref())).transpose()?;
        let client = case.via.client.as_ref().or(file.via.client.as_ref());
        let client = client.map(|name| self.principal(name, name.get_ref())).transpose()?;
        // As the gateway counts: whoever is named beside the caller is a hop.
        let hops = i64::from(workload.is_some()) + i64::from(client.is_some());
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
            approval: match case.approval.as_ref().or(file.approval.as_ref()) {
                None => None,
                Some(written) => Some(Approval {
                    by: written.by.iter().map(|id| id.as_str().into()).collect(),
                    oldest: time(&written.oldest)?.unwrap_or(now),
                }),
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

    fn ask(&self, case: &Case, row: &Row<'_>, question: &Question, tally: &mut Tally) -> CaseResult {
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
        conditions_met(self.snapshot, question, trace.call.denied.is_none(), &mut |policy, clause, was| {
            tally.condition(policy, clause, was);
        });
        let differences = differences(case, row.expect, &trace);
        let name = row.name(case.name.get_ref());
        let line = Finding::error("", "", "").at(&self.source.text, case.name.span()).line;
        let (passed, file) = (differences.is_empty(), Arc::clone(&self.source.file));
        let why = if passed { Vec::new() } else { why(self.snapshot, question) };
        CaseResult { file, line, name, passed, differences, why }
    }
}

/// The explanation, line by line.
fn why(snapshot: &Snapshot, question: &Question) -> Vec<String> {
    let mut out = Vec::new();
    // Writing to memory can't fail.
    let _ = human::write(&explain(snapshot, question), &mut out);
    String::from_utf8_lossy(&out).lines().map(ToOwned::to_owned).collect()
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

/// The callers that a file names.
pub(super) fn principals(file: &raw::File) -> impl Iterator<Item = (String, Principal)> {
    file.principal.iter().map(|(name, raw)| (name.clone(), principal(raw)))
}

fn principal(raw: &raw::Principal) -> Principal {
    let alias = match raw.kind {
        PrincipalKind::Anonymous | PrincipalKind::Workload | PrincipalKind::System => None,
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

fn texts(values: &Values, row: &Row<'_>) -> Vec<Arc<str>> {
    match values {
        Values::Many(values) => values.iter().map(|value| row.text(&value.to_string()).into()).collect(),
        Values::One(value) => vec![row.text(&value.to_string()).into()],
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
