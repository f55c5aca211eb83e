//! `policy who-can FUNCTION` and `policy can PRINCIPAL`: who may, and what it still depends on.
//!
//! Everything about the call itself is left open, and Cedar's own evaluator says what is decided all the same.

use super::{Exit, Format, write_json};
use crate::{
    engine::{Effect, Snapshot, look::Asks},
    explain::{
        Examined,
        anatomy::{Clause, Part},
        answer,
        judge::{Came, Judged},
        line,
    },
    permit::PolicyName,
    question::{FunctionName, Principal},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    io::{self, Write},
    sync::Arc,
};

/// Whether a caller may call a function.
#[derive(Clone, Debug, Serialize)]
pub struct Reach {
    /// The caller.
    pub principal: String,
    /// The function.
    pub function: FunctionName,
    /// Whether it can.
    pub can: Can,
    /// The permits that may apply, each with what is left to hold.
    pub permits: Vec<Left>,
    /// The forbids that may apply, each with what is left to hold; one with nothing left forbids always.
    pub forbids: Vec<Left>,
    /// Why never, where it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never: Option<String>,
}

/// Whether something can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Can {
    /// Whatever the call is like.
    Always,
    /// If what is left holds.
    When,
    /// Not at all.
    Never,
}

/// A policy with the conditions that depend on the call.
#[derive(Clone, Debug, Serialize)]
pub struct Left {
    /// Its `@id`.
    pub policy: PolicyName,
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Line of its first word.
    pub line: usize,
    /// Who it is for, as its head says; `None` for anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Arc<str>>,
    /// What must hold, as it was written; `not (…)` for what an `unless` holds against it.
    pub conditions: Vec<String>,
}

/// What is known of one caller and one function, with nothing known of the call.
#[must_use]
pub fn reach(snapshot: &Snapshot, name: &str, principal: &Principal, function: &FunctionName, now: Timestamp) -> Reach {
    let mut reach = Reach {
        principal: name.to_owned(),
        function: function.clone(),
        can: Can::Never,
        permits: Vec::new(),
        forbids: Vec::new(),
        never: None,
    };
    let asks = match snapshot.asks_of(principal, function, now) {
        Ok(asks) => asks,
        Err(unaskable) => {
            reach.never = Some(unaskable.error);
            return reach;
        }
    };
    let Some(call) = asks.asks.first().map(|ask| answer(ask, &asks, now)) else { return reach };
    let of = |policies: &[Examined], effect: Effect| -> Vec<Left> {
        let may = policies.iter().filter(|policy| policy.effect == effect && policy.came != Came::Fails);
        may.map(Left::of).collect()
    };
    reach.permits = of(&call.policies, Effect::Permit);
    reach.forbids = of(&call.policies, Effect::Forbid);
    let always = |left: &[Left]| left.iter().find(|left| left.conditions.is_empty()).map(|left| left.policy.clone());
    let broken = call.policies.iter().find(|policy| policy.came == Came::Error);
    reach.never = if let Some(forbid) = always(&reach.forbids) {
        Some(format!("forbidden by `{forbid}`"))
    } else if let Some(broken) = broken {
        Some(format!("`{}` can't be evaluated", broken.policy))
    } else if reach.permits.is_empty() {
        Some("no permit is for this caller".to_owned())
    } else {
        nowhere(&asks, now)
    };
    if reach.never.is_none() {
        let free = reach.forbids.is_empty() && always(&reach.permits).is_some() && somewhere(&asks, now);
        reach.can = if free { Can::Always } else { Can::When };
    }
    reach
}

/// Why it can run on none of its targets, if that is so.
fn nowhere(asks: &Asks<'_>, now: Timestamp) -> Option<String> {
    if asks.administrative {
        return None;
    }
    let mut targets = asks.asks.iter().skip(1).map(|ask| answer(ask, asks, now));
    let denied = targets.all(|answer| answer.decision == crate::explain::Decision::Deny);
    denied.then(|| "it may run on none of its targets".to_owned())
}

fn somewhere(asks: &Asks<'_>, now: Timestamp) -> bool {
    asks.administrative
        || asks.asks.iter().skip(1).any(|ask| answer(ask, asks, now).decision == crate::explain::Decision::Allow)
}

impl Left {
    fn of(policy: &Examined) -> Self {
        let left = policy.clauses.iter().filter(|clause| clause.came != Came::Holds);
        Self {
            policy: policy.policy.clone(),
            file: Arc::clone(&policy.file),
            line: policy.line,
            principal: policy.clauses.iter().find(|c| c.part == Part::Principal).map(|c| Arc::clone(&c.text)),
            conditions: left.map(|clause: &Judged| condition(clause.wanted, &clause.text)).collect(),
        }
    }
}

fn condition(wanted: bool, text: &str) -> String {
    if wanted { text.to_owned() } else { format!("not ({text})") }
}

/// `policy who-can`: every permit and forbid for a function, and every caller that is known.
///
/// # Errors
/// When `out` can't be written.
pub fn who_can(
    snapshot: &Snapshot,
    function: &FunctionName,
    known: &[(String, Principal)],
    now: Timestamp,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let written = |effect: Effect| -> Vec<Left> {
        let candidates = snapshot.of_function(function);
        let wanted = candidates.iter().filter(|candidate| {
            candidate.info.effect == effect && candidate.info.expires.is_none_or(|expires| now < expires)
        });
        let left = wanted.map(|candidate| {
            let conditions = candidate.clauses.iter().filter(|clause| clause.part.is_condition());
            Left {
                policy: candidate.info.name.clone(),
                file: Arc::clone(&candidate.info.file),
                line: candidate.clauses.first().map_or(candidate.info.line, |clause| line(candidate, clause)),
                principal: head(candidate.clauses),
                conditions: conditions.map(|clause| condition(clause.wanted, &clause.text)).collect(),
            }
        });
        left.collect()
    };
    let (permits, forbids) = (written(Effect::Permit), written(Effect::Forbid));
    let reaches: Vec<_> = known.iter().map(|(name, who)| reach(snapshot, name, who, function, now)).collect();
    match format {
        Format::Json => {
            let json = serde_json::json!({
                "function": function, "permits": permits, "forbids": forbids, "known": reaches,
            });
            write_json(&json, out)?;
        }
        Format::Human => {
            if permits.is_empty() {
                writeln!(out, "nobody can call `{function}`: no permit is for it")?;
            } else {
                writeln!(out, "`{function}` can be called by")?;
            }
            permits.iter().try_for_each(|left| write_left("", left, out))?;
            if !forbids.is_empty() {
                writeln!(out, "and by nobody to whom one of these applies")?;
            }
            forbids.iter().try_for_each(|left| write_left("", left, out))?;
            if !reaches.is_empty() {
                writeln!(out, "callers that are known here")?;
            }
            reaches.iter().try_for_each(|reach| write_reach(&reach.principal, reach, out))?;
        }
    }
    Ok(Exit::Ok)
}

/// `policy can`: every function that a caller may call, what it may administer, and on what both depend.
///
/// # Errors
/// When `out` can't be written.
pub fn can(
    snapshot: &Snapshot,
    (name, principal): (&str, &Principal),
    now: Timestamp,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let functions = snapshot.vocabulary().functions().filter_map(|name| FunctionName::parse(name).ok());
    let mut reaches: Vec<_> = functions.map(|function| reach(snapshot, name, principal, &function, now)).collect();
    let verbs = snapshot.vocabulary().verbs().map(|verb| reach(snapshot, name, principal, verb, now));
    // Most callers administer nothing, and need not be told so verb by verb.
    reaches.extend(verbs.filter(|reach| reach.can != Can::Never));
    match format {
        Format::Json => write_json(&serde_json::json!({ "principal": principal, "functions": reaches }), out)?,
        Format::Human => {
            let groups = principal.groups.join(", ");
            let groups = if groups.is_empty() { "in no group".to_owned() } else { format!("in {groups}") };
            writeln!(out, "{} `{}`, {groups}", principal.kind.as_str(), principal.id)?;
            reaches.iter().try_for_each(|reach| write_reach(reach.function.as_str(), reach, out))?;
        }
    }
    let some = reaches.iter().any(|reach| reach.can != Can::Never);
    Ok(if some { Exit::Ok } else { Exit::Denied })
}

/// Conditions that must all hold.
fn joined(conditions: &[String]) -> String {
    let loose = |text: &String| conditions.len() > 1 && (text.contains("||") || text.starts_with("if "));
    let bracketed = conditions.iter().map(|text| if loose(text) { format!("({text})") } else { text.clone() });
    bracketed.collect::<Vec<_>>().join(" and ")
}

fn head(clauses: &[Clause]) -> Option<Arc<str>> {
    clauses.iter().find(|clause| clause.part == Part::Principal).map(|clause| Arc::clone(&clause.text))
}

fn write_left(indent: &str, left: &Left, out: &mut dyn Write) -> io::Result<()> {
    let who = left.principal.as_deref().unwrap_or("anybody");
    writeln!(out, "{indent}  {who}    by `{}` ({}:{})", left.policy, left.file, left.line)?;
    left.conditions.iter().try_for_each(|condition| writeln!(out, "{indent}      when {condition}"))
}

fn write_reach(name: &str, reach: &Reach, out: &mut dyn Write) -> io::Result<()> {
    match reach.can {
        Can::Never => writeln!(out, "  {name}: never: {}", reach.never.as_deref().unwrap_or("no permit")),
        Can::Always => {
            let by: Vec<_> = reach
                .permits
                .iter()
                .filter(|left| left.conditions.is_empty())
                .map(|l| format!("`{}`", l.policy))
                .collect();
            writeln!(out, "  {name}: can, by {}", by.join(", "))
        }
        Can::When => {
            writeln!(out, "  {name}: can, when")?;
            for left in &reach.permits {
                let conditions = if left.conditions.is_empty() {
                    "nothing is left".to_owned()
                } else {
                    left.conditions.join(" and ")
                };
                writeln!(out, "      {conditions}    (permit `{}`)", left.policy)?;
            }
            for left in &reach.forbids {
                writeln!(out, "      unless {}    (forbid `{}`)", joined(&left.conditions), left.policy)?;
            }
            Ok(())
        }
    }
}
