//! An explanation for people.

use super::{
    Answer, Decision, Examined, Explanation,
    judge::{Came, Judged},
    read::Because,
};
use crate::{engine::Effect, permit::DenialReason};
use std::io::{self, Write};

/// Most policies that did not apply that are told of one by one.
const TOLD_MAX: usize = 12;

/// Writes it.
///
/// # Errors
/// When `out` can't be written.
pub fn write(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", sentence(explanation))?;
    if let Some(error) = &explanation.unaskable {
        writeln!(out, "  because {error}")?;
    }
    if !explanation.hidden.is_empty() {
        writeln!(out, "  not known here (redacted or cut): {}", explanation.hidden.join(", "))?;
    }
    let of_targets = explanation.reason == Some(DenialReason::NoTarget);
    for answer in explanation.asked.iter().filter(|answer| answer.target.is_some() == of_targets) {
        if let Some(target) = answer.target {
            writeln!(out, "target {}: {}", target.0, reason(answer.reason, answer.decision))?;
        }
        write_answer(answer, out)?;
    }
    if let Some(nearest) = &explanation.nearest {
        match &nearest.elsewhere {
            None => writeln!(out, "nearest permit: `{}`; it would be satisfied if:", nearest.policy)?,
            Some(policy) => {
                let (name, place) = (&nearest.policy, place(policy));
                writeln!(out, "nearest permit: `{name}` ({place}), which is for something else:")?;
            }
        }
        for need in &nearest.needs {
            writeln!(out, "  - {need}")?;
        }
    }
    match &explanation.shadow {
        Some(shadow) => in_shadow(shadow, out),
        None => Ok(()),
    }
}

/// What would be if the policies in shadow were in force: the sentence, and those that decide it.
fn in_shadow(shadow: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "with the policies in shadow it would be {}", sentence(shadow))?;
    let decides = |policy: &&Examined| shadow.determining.contains(&policy.policy);
    shadow.asked.iter().flat_map(|answer| &answer.policies).filter(decides).try_for_each(|p| write_policy(p, out))
}

/// The decision in one sentence.
#[must_use]
pub fn sentence(explanation: &Explanation) -> String {
    let names: Vec<_> = explanation.determining.iter().map(|name| format!("`{name}`")).collect();
    let names = names.join(", ");
    match (explanation.decision, explanation.reason) {
        (Decision::Allow, _) => format!("ALLOWED by {names}; nothing forbids it"),
        (Decision::Unknown, _) => "NOT KNOWN: it depends on what is not known here".to_owned(),
        (_, Some(DenialReason::Forbidden)) => format!("FORBIDDEN by {names}; a forbid wins over every permit"),
        (_, Some(DenialReason::PolicyError)) if names.is_empty() => {
            "ERROR: the question does not fit the vocabulary, so it is denied".to_owned()
        }
        (_, Some(DenialReason::PolicyError)) => format!("ERROR: {names} can't be evaluated, so it is denied"),
        (_, Some(DenialReason::AbsentEntity)) => {
            "NOT PERMITTED: it names somebody or something that nothing vouches for".to_owned()
        }
        (_, Some(DenialReason::BundleExpired)) => "NOT PERMITTED: the bundle's time is over".to_owned(),
        (_, Some(DenialReason::NoTarget)) if names.is_empty() => {
            "NOT PERMITTED: it is permitted, but no permit lets it run on any of its targets".to_owned()
        }
        (_, Some(DenialReason::NoTarget)) => {
            format!("FORBIDDEN on every target, though the call is permitted: {names}")
        }
        (_, Some(DenialReason::NotPermitted) | None) => "NOT PERMITTED: no permit is satisfied".to_owned(),
    }
}

fn reason(reason: Option<DenialReason>, decision: Decision) -> &'static str {
    match (decision, reason) {
        (Decision::Allow, _) => "allowed",
        (Decision::Unknown, _) => "not known",
        (_, Some(DenialReason::Forbidden)) => "forbidden",
        (_, Some(DenialReason::PolicyError)) => "error",
        _ => "not permitted",
    }
}

fn write_answer(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let of = |effect, came: &[Came]| {
        let came = came.to_vec();
        answer.policies.iter().filter(move |policy| policy.effect == effect && came.contains(&policy.came))
    };
    for policy in of(Effect::Forbid, &[Came::Holds, Came::Error, Came::Unknown]) {
        write_policy(policy, out)?;
    }
    let permits: Vec<_> = of(Effect::Permit, &[Came::Holds, Came::Error, Came::Unknown, Came::Fails]).collect();
    for policy in permits.iter().take(TOLD_MAX) {
        write_policy(policy, out)?;
    }
    if permits.len() > TOLD_MAX {
        writeln!(out, "  and {} more permits; --format json has them", permits.len() - TOLD_MAX)?;
    }
    if permits.is_empty() {
        writeln!(out, "  no permit is for this action and resource")?;
    }
    let idle: Vec<_> = of(Effect::Forbid, &[Came::Fails]).map(|policy| format!("`{}`", policy.policy)).collect();
    if !idle.is_empty() {
        let shown = idle.get(..TOLD_MAX).unwrap_or(&idle).join(", ");
        let more = idle.len().saturating_sub(TOLD_MAX);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        writeln!(out, "  does not apply: forbid {shown}{more}")?;
    }
    Ok(())
}

fn write_policy(policy: &Examined, out: &mut dyn Write) -> io::Result<()> {
    let effect = match policy.effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    };
    let owner = policy.owner.as_deref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
    let came = match (policy.came, policy.effect) {
        (Came::Holds, _) => "applies",
        (Came::Fails, _) => "does not apply",
        (Came::Error, _) => "can't be evaluated",
        (Came::Unknown, _) => "not known",
    };
    writeln!(out, "  {effect} `{}` ({}{owner}): {came}", policy.policy, place(policy))?;
    match policy.first() {
        Some(clause) => write_clause(clause, out),
        None => policy.clauses.iter().try_for_each(|clause| write_clause(clause, out)),
    }
}

fn write_clause(clause: &Judged, out: &mut dyn Write) -> io::Result<()> {
    let mark = match (clause.came, clause.wanted) {
        (Came::Holds, true) => "true",
        (Came::Holds, false) => "false, as it must be",
        (Came::Fails, true) => "FALSE",
        (Came::Fails, false) => "TRUE, and it is in an `unless`",
        (Came::Error, _) => "ERROR",
        (Came::Unknown, _) => "NOT KNOWN",
    };
    writeln!(out, "    {}: {}    <- {mark}", clause.line, clause.text)?;
    if let Some(error) = &clause.error {
        writeln!(out, "        {error}")?;
    }
    for read in &clause.reads {
        writeln!(out, "        {read}")?;
    }
    clause.because.iter().try_for_each(|Because { text, was }| match was {
        Some(was) => writeln!(out, "        because `{text}` is {was}"),
        None => writeln!(out, "        `{text}` can't be said"),
    })
}

fn place(policy: &Examined) -> String {
    format!("{}:{}", policy.file, policy.line)
}
