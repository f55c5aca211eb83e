//! The story of one call: what was decided and why, who called what, and how it ended.

mod runs;

use super::{Record, clauses::Clauses};
use crate::{
    audit::record::{Body, ClosedBody, IntentBody, RefusedBody, Request, kept},
    command::audit::line::{duration, printable, reason_words, shadow_words},
};
use policy::{
    permit::{DenialReason, PolicyName},
    question::{Facts, FunctionName, Principal},
};
use serde::Serialize;
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
};
use uuid::Uuid;

/// Width of the names before values.
const NAME_WIDTH: usize = 10;

/// Writes it for people.
pub(super) fn human(call: Uuid, records: &[Record], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "call {call}: {}", verdict(records))?;
    let mut story = Story { out };
    let several = records.iter().any(|(line, _)| records.first().is_some_and(|(f, _)| f.head.node != line.head.node));
    let mut node = None;
    for (line, body) in records {
        if several && node.replace(&line.head.node) != Some(&line.head.node) {
            story.line("node", &printable(&line.head.node))?;
        }
        let at = format!("{:.6}", line.head.at);
        match body {
            Body::Intent(intent) => story.intent(&at, intent)?,
            Body::Refused(refused) => story.refused(&at, refused)?,
            Body::Attempt(attempt) => {
                let error = attempt.error.as_deref().map(|e| format!(": {}", printable(e))).unwrap_or_default();
                if let Some(run) = &attempt.run {
                    story.line("ran", &runs::line(run))?;
                }
                let (target, failed) = (attempt.target.0, printable(&attempt.failed));
                let why = if attempt.failed == "slow" { "was slow" } else { "failed" };
                story.line(
                    "attempt",
                    &format!("target {target} at {at}, because the one before {why}: {failed}{error}"),
                )?;
            }
            Body::Answered(answered) => {
                let (status, target) = (answered.status, answered.target.0);
                story.line("answered", &format!("{status} from target {target} at {at}"))?;
            }
            Body::Closed(closed) => story.closed(&at, closed)?,
            Body::Shadow(shadow) => story.line("shadow", &shadow_words(shadow))?,
            Body::Summary(_) | Body::Admin(_) | Body::System(_) => {}
        }
    }
    if !records.iter().any(|(_, body)| matches!(body, Body::Closed(_) | Body::Refused(_))) {
        story.line("outcome", "not known: the call is running, or the gateway was stopped meanwhile")?;
    }
    Ok(())
}

/// Writes it for programs, with the records as they are in the log.
pub(super) fn json(call: Uuid, records: &[Record], policy: Option<&Clauses>, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Explained<'a> {
        call: Uuid,
        verdict: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<DenialReason>,
        determining: &'a [PolicyName],
        #[serde(skip_serializing_if = "Option::is_none")]
        told: Option<u16>,
        records: Vec<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        policy: Option<&'a Clauses>,
    }
    let refused =
        records.iter().find_map(|(_, body)| if let Body::Refused(refused) = body { Some(refused) } else { None });
    let intent = records.iter().find_map(|(_, body)| if let Body::Intent(intent) = body { Some(intent) } else { None });
    let closed = records.iter().find_map(|(_, body)| if let Body::Closed(closed) = body { Some(closed) } else { None });
    let explained = Explained {
        call,
        verdict: verdict(records),
        reason: refused.and_then(|refused| refused.reason),
        determining: intent
            .map(|intent| intent.determining.as_slice())
            .or(refused.map(|refused| refused.determining.as_slice()))
            .unwrap_or_default(),
        told: refused.map(|refused| refused.status).or(closed.and_then(|closed| closed.status)),
        records: records.iter().map(|(line, _)| serde_json::from_slice(&line.bytes)).collect::<Result<_, _>>()?,
        policy,
    };
    serde_json::to_writer(&mut *out, &explained)?;
    writeln!(out)
}

/// Why a target was asked first, in words.
fn chosen(word: &str) -> Cow<'_, str> {
    match word {
        "listed" => "the first of the list that works".into(),
        "weighted" => "by lot, as weights say".into(),
        "cheapest" => "it costs least".into(),
        "fastest" => "it answers fastest".into(),
        "explored" => "so that what is known of it stays true".into(),
        "resting" => "none works, and it has rested longest".into(),
        other => printable(other).to_string().into(),
    }
}

fn verdict(records: &[Record]) -> &'static str {
    let refused =
        records.iter().find_map(|(_, body)| if let Body::Refused(refused) = body { Some(refused) } else { None });
    match refused {
        None => "allowed",
        Some(refused) if refused.reason.is_some() => "denied",
        Some(_) => "refused",
    }
}

struct Story<'a> {
    out: &'a mut dyn Write,
}

impl Story<'_> {
    fn line(&mut self, name: &str, text: &str) -> io::Result<()> {
        writeln!(self.out, "  {name:<NAME_WIDTH$} {text}")
    }

    fn intent(&mut self, at: &str, intent: &IntentBody) -> io::Result<()> {
        self.line("when", at)?;
        self.who(Some(&intent.principal))?;
        self.what(Some(&intent.function), intent.request.as_ref())?;
        self.facts(Some(&intent.facts), &intent.protected)?;
        self.parameters(&intent.path, &intent.query, intent.input.as_ref())?;
        self.line("decision", "allowed: at least one permit was satisfied and no forbid")?;
        self.policies("permits", &intent.determining)?;
        self.line("bundle", &printable(&intent.bundle.0))?;
        let targets: Vec<_> = intent.targets.iter().map(|target| target.0.to_string()).collect();
        let chosen = intent.chosen.as_deref().map(|why| format!(" ({})", chosen(why))).unwrap_or_default();
        self.line("target", &format!("{}{chosen} of those allowed: {}", intent.target.0, targets.join(", ")))?;
        if !intent.resting.is_empty() {
            let resting: Vec<_> = intent.resting.iter().map(|target| target.0.to_string()).collect();
            self.line("resting", &format!("{}: did not work at the time", resting.join(", ")))?;
        }
        self.unrecorded(&intent.protected, intent.input_read.as_deref())?;
        self.truncated(&intent.truncated)
    }

    fn refused(&mut self, at: &str, refused: &RefusedBody) -> io::Result<()> {
        self.line("when", at)?;
        self.who(refused.principal.as_ref())?;
        self.what(refused.function.as_ref(), refused.request.as_ref())?;
        if refused.facts.is_none()
            && let Some(source) = refused.source
        {
            self.line("from", &source.to_string())?;
        }
        self.facts(refused.facts.as_ref(), &refused.protected)?;
        self.parameters(&refused.path, &refused.query, refused.input.as_ref())?;
        match refused.reason {
            Some(reason) => self.denied(reason, &refused.determining)?,
            None => {
                let stage = serde_json::to_value(refused.stage)?;
                let stage = stage.as_str().unwrap_or_default();
                self.line(
                    "decision",
                    &format!("policy was not the cause: {} at {stage}", printable(&refused.refusal)),
                )?;
            }
        }
        for error in &refused.errors {
            self.line("error", &printable(error))?;
        }
        if let Some(bundle) = &refused.bundle {
            self.line("bundle", &printable(&bundle.0))?;
        }
        self.line("told", &told(refused))?;
        self.line("took", &duration(refused.duration_us))?;
        self.unrecorded(&refused.protected, refused.input_read.as_deref())?;
        self.truncated(&refused.truncated)
    }

    fn denied(&mut self, reason: DenialReason, determining: &[PolicyName]) -> io::Result<()> {
        let (why, name) = match reason {
            DenialReason::NotPermitted => ("no permit was satisfied", "policies"),
            DenialReason::Forbidden => ("a forbid was satisfied", "forbids"),
            DenialReason::PolicyError => ("a policy could not be evaluated", "policies"),
            DenialReason::AbsentEntity => ("it names something that nobody vouches for", "policies"),
            DenialReason::NoTarget => ("it is permitted, but on none of the function's targets", "policies"),
            DenialReason::BundleExpired => ("the time of its policies is over", "policies"),
        };
        self.line("decision", &format!("denied, {}: {why}", reason_words(reason)))?;
        self.policies(name, determining)
    }

    fn closed(&mut self, at: &str, closed: &ClosedBody) -> io::Result<()> {
        let status = closed.status.map_or_else(|| "nothing sent".to_owned(), |status| format!("status {status}"));
        let error = closed.error.as_deref().map(|e| format!(", {}", printable(e))).unwrap_or_default();
        let (outcome, took) = (closed.outcome.as_str(), duration(closed.duration_us));
        let (bytes_in, bytes_out) = (closed.bytes_in, closed.bytes_out);
        if let Some(run) = &closed.run {
            self.line("ran", &runs::line(run))?;
        }
        self.line(
            "outcome",
            &format!("{outcome}{error}, {status}, {took}, {bytes_in} bytes in, {bytes_out} out, at {at}"),
        )
    }

    fn who(&mut self, principal: Option<&Principal>) -> io::Result<()> {
        let Some(principal) = principal else { return self.line("who", "not identified") };
        let groups: Vec<_> = principal.groups.iter().map(|group| printable(group)).collect();
        let groups = if groups.is_empty() { String::new() } else { format!(", in {}", groups.join(", ")) };
        self.line("who", &format!("{} {}{groups}", principal.kind.as_str(), printable(&principal.id)))
    }

    fn what(&mut self, function: Option<&FunctionName>, request: Option<&Request>) -> io::Result<()> {
        let name = function.map_or_else(|| "none was found".to_owned(), ToString::to_string);
        self.line("function", &name)?;
        match request {
            Some(r) => self
                .line("request", &format!("{} {} {}", printable(&r.method), printable(&r.path), printable(&r.version))),
            None => Ok(()),
        }
    }

    fn facts(&mut self, facts: Option<&Facts>, protected: &BTreeMap<String, String>) -> io::Result<()> {
        let Some(facts) = facts else { return Ok(()) };
        // A fact that is concealed is listed as such, and what stands in its place says nothing.
        let known = |fact: &str, text: String| match protected.contains_key(&format!("/facts/{fact}")) {
            true => "(concealed)".to_owned(),
            false => text,
        };
        let transport = match facts.transport.tls {
            0 => "in clear text".to_owned(),
            version => format!("over TLS {}.{}", version / 10, version % 10),
        };
        let mtls = if facts.transport.mtls { " with a client certificate" } else { "" };
        let source = facts.network.source.map_or_else(|| "a unix socket".to_owned(), |source| source.to_string());
        let (source, zone) = (known("network/source", source), printable(&facts.network.zone));
        let (transport, mtls) = (known("transport/tls", transport), known("transport/mtls", mtls.to_owned()));
        self.line("from", &format!("{source}, zone {zone}, {transport}{mtls}"))?;
        let clock = &facts.clock;
        let (hour, minute) = (clock.minute / 60, clock.minute % 60);
        let day = known("clock/weekday", format!("day {} of the week", clock.weekday));
        let minute = known("clock/minute", format!("{hour:02}:{minute:02}"));
        self.line("clock", &format!("{day}, {minute} for the app"))?;
        if let Some(token) = &facts.token {
            let scopes: Vec<_> = token.scopes.iter().map(|scope| printable(scope)).collect();
            let acr = token.acr.as_deref().map(|acr| format!(", acr {}", printable(acr))).unwrap_or_default();
            self.line(
                "token",
                &format!(
                    "scopes: {}{acr}",
                    known("token/scopes", if scopes.is_empty() { "none".into() } else { scopes.join(" ") })
                ),
            )?;
        }
        for (name, via) in [("workload", &facts.via.workload), ("client", &facts.via.client)] {
            if let Some(via) = via {
                self.line("via", &format!("{name} {}", printable(&via.id)))?;
            }
        }
        Ok(())
    }

    fn parameters(
        &mut self,
        path: &BTreeMap<String, String>,
        query: &BTreeMap<String, Vec<String>>,
        input: Option<&Value>,
    ) -> io::Result<()> {
        for (name, value) in path {
            self.line("path", &format!("{} = {}", printable(name), printable(value)))?;
        }
        for (name, values) in query {
            self.line("query", &format!("{} = {}", printable(name), printable(&values.join(", "))))?;
        }
        input.map_or(Ok(()), |input| self.line("input", &printable(&input.to_string())))
    }

    fn policies(&mut self, name: &str, policies: &[PolicyName]) -> io::Result<()> {
        if policies.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = policies.iter().map(|policy| printable(&policy.0)).collect();
        self.line(name, &names.join(", "))
    }

    /// What the record does not have, or not so that it can be read.
    fn unrecorded(&mut self, protected: &BTreeMap<String, String>, read: Option<&[String]>) -> io::Result<()> {
        for (place, value) in protected {
            self.line("concealed", &format!("{} is {}", printable(place), printable(kept::shown(value))))?;
        }
        let Some(read) = read else { return Ok(()) };
        let read: Vec<_> = read.iter().map(|place| printable(place)).collect();
        self.line("recorded", &format!("of the input only what policy looked at: {}", read.join(", ")))
    }

    fn truncated(&mut self, names: &[String]) -> io::Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = names.iter().map(|name| printable(name)).collect();
        self.line("cut", &format!("the record was too large for: {}", names.join(", ")))
    }
}

/// What the caller was told.
fn told(refused: &RefusedBody) -> String {
    let why = match (refused.reason, refused.may_describe) {
        (Some(_), Some(false)) => ", as if there were no such function: the caller may not describe it",
        (Some(_), _) => ", that policy denied the call: the caller may describe the function",
        (None, _) => "",
    };
    format!("{}{why}", refused.status)
}
