//! `policy diff`: what a change grants and takes away, with examples that were asked of both bundles.

use super::{Exit, Format};
use crate::{
    replay::Replay,
    review::{Change, Review, Row},
};
use serde_json::json;
use std::io::{self, Write};

mod value;

/// Most names in one line.
const NAMED_MAX: usize = 5;
/// Most values of an example that people are shown.
const VALUES_MAX: usize = 12;

/// Writes a comparison, and what a replay found besides.
///
/// # Errors
/// When `out` can't be written.
pub fn diff(review: &Review, replay: Option<&Replay>, format: Format, out: &mut dyn Write) -> io::Result<Exit> {
    let allowed = replay.is_some_and(|replay| replay.newly_allowed() > 0);
    let exit = match () {
        () if review.grants_new() || allowed => Exit::GrantsNew,
        // What is not proven is not safe, whatever it turns out to be.
        () if review.open() => Exit::Failed,
        () => Exit::Ok,
    };
    match format {
        Format::Human => {
            human(review, out)?;
            if let Some(replay) = replay {
                writeln!(out)?;
                super::replay::human(replay, out)?;
            }
        }
        Format::Json => {
            let verdict = verdict(review);
            writeln!(out, "{:#}", json!({ "verdict": verdict, "review": review, "replay": replay }))?;
        }
    }
    Ok(exit)
}

fn verdict(review: &Review) -> &'static str {
    let loses = review.rows.iter().any(|row| row.lost != Change::Nothing);
    match (review.grants_new(), review.open(), loses) {
        (true, ..) => "grants_new",
        (false, true, _) => "not_proven",
        (false, false, true) => "narrower",
        (false, false, false) => "equal",
    }
}

fn side(row: &Row, gained: bool) -> &Change {
    if gained { &row.new } else { &row.lost }
}

fn human(review: &Review, out: &mut dyn Write) -> io::Result<()> {
    for (sign, names) in [("+", &review.added), ("-", &review.removed), ("~", &review.changed)] {
        for name in names {
            writeln!(out, "{sign} {name}")?;
        }
    }
    for (title, may, gained) in [("new access", "may newly", true), ("lost access", "may no longer", false)] {
        let rows: Vec<_> =
            review.rows.iter().filter(|row| matches!(side(row, gained), Change::Something { .. })).collect();
        if !rows.is_empty() {
            writeln!(out, "\n{title}")?;
        }
        for row in rows {
            something(row, may, side(row, gained), out)?;
        }
    }
    open(review, out)?;
    let by = match &review.prover {
        Some(prover) => format!("{} claims, {prover}", review.claims),
        None => "no solver".to_owned(),
    };
    let words = match verdict(review) {
        "grants_new" => "grants something new",
        "not_proven" => "not proven: it may grant something new",
        "narrower" => "narrower: it grants nothing new (proved)",
        _ => "equal: it grants the same as before (proved)",
    };
    let same = review.equal;
    writeln!(out, "\n{words}; {same} combinations of caller, action and resource are as before ({by})")
}

fn open(review: &Review, out: &mut dyn Write) -> io::Result<()> {
    let mut titled = false;
    for row in &review.rows {
        for (change, what) in [(&row.new, "gains nothing"), (&row.lost, "loses nothing")] {
            let Change::NotProven { why } = change else { continue };
            if !titled {
                writeln!(out, "\nnot proven")?;
                titled = true;
            }
            writeln!(out, "  that {} {what} in {}: {why}", row.principal.as_str(), subject(row))?;
            writeln!(out, "      by {}", list(row.policies.iter().map(ToString::to_string).collect()))?;
        }
    }
    Ok(())
}

fn something(row: &Row, may: &str, change: &Change, out: &mut dyn Write) -> io::Result<()> {
    let Change::Something { example } = change else { return Ok(()) };
    writeln!(out, "  {} {may} {}", row.principal.as_str(), subject(row))?;
    writeln!(out, "      by {}", list(row.policies.iter().map(ToString::to_string).collect()))?;
    let groups: Vec<_> = example.groups.iter().filter(|group| group.starts_with("Group::")).cloned().collect();
    let groups = if groups.is_empty() { String::new() } else { format!(" in {}", groups.join(", ")) };
    writeln!(out, "      such as {}{groups}, {} on {}", example.principal, example.action, example.resource)?;
    for (path, value) in example.matters.iter().take(VALUES_MAX) {
        writeln!(out, "          {path} = {}", value::plain(value))?;
    }
    if let Some(more) = example.matters.len().checked_sub(VALUES_MAX).filter(|more| *more > 0) {
        writeln!(out, "          and {more} more values")?;
    }
    writeln!(out, "      old: {}", said(&example.old))?;
    writeln!(out, "      new: {}", said(&example.new))
}

fn said(answer: &crate::review::Answer) -> String {
    let names: Vec<_> = answer.determining.iter().map(|name| format!("`{name}`")).collect();
    match (answer.allowed, answer.failed, names.is_empty()) {
        (true, ..) => format!("allowed by {}", names.join(", ")),
        (false, true, _) => format!("denied, since {} failed", names.join(", ")),
        (false, false, true) => "denied, since nothing permits it".to_owned(),
        (false, false, false) => format!("denied by {}", names.join(", ")),
    }
}

fn subject(row: &Row) -> String {
    match row.action.as_ref() {
        "call" => format!("call {}", list(row.functions.iter().map(|name| format!("`{name}`")).collect())),
        "describe" => format!("know of {}", list(row.functions.iter().map(|name| format!("`{name}`")).collect())),
        "run_on" => format!("be run on {}", list(row.resources.clone())),
        action => format!("ask for `{action}`"),
    }
}

fn list(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let shown = names.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
