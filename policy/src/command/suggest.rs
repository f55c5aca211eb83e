//! `policy suggest`: narrower permits as a patch, with what is known of it.

use super::{Exit, Format};
use crate::{
    replay::Replay,
    review::{Change, Review},
    suggest::Suggested,
};
use serde_json::json;
use std::io::{self, Write};

/// Writes suggestions: the patch to `out`, so that it can be applied, and everything else to `talk`.
///
/// # Errors
/// When nothing can be written.
pub fn suggest(
    suggested: &Suggested,
    patch: &str,
    review: &Review,
    replay: &Replay,
    format: Format,
    (out, talk): (&mut dyn Write, &mut dyn Write),
) -> io::Result<Exit> {
    let grants_new = review.grants_new() || replay.newly_allowed() > 0;
    let exit = match () {
        () if grants_new => Exit::GrantsNew,
        () if replay.newly_denied() > 0 || review.open() => Exit::Failed,
        () => Exit::Ok,
    };
    match format {
        Format::Json => {
            let value = json!({
                "suggestions": suggested.suggestions, "patch": patch, "proof": proof(review),
                "newly_denied": replay.newly_denied(), "replayed": replay.replayed,
                "not_replayed": replay.not_replayed,
            });
            writeln!(out, "{value:#}")?;
        }
        Format::Human => {
            write!(out, "{patch}")?;
            human(suggested, review, replay, talk)?;
        }
    }
    Ok(exit)
}

fn proof(review: &Review) -> &'static str {
    match (review.grants_new(), review.open()) {
        (true, _) => "grants_new",
        (false, true) => "not_proven",
        (false, false) => "grants_nothing_new",
    }
}

fn human(suggested: &Suggested, review: &Review, replay: &Replay, talk: &mut dyn Write) -> io::Result<()> {
    if suggested.suggestions.is_empty() {
        return writeln!(talk, "no permit can be narrowed by what the records show");
    }
    for suggestion in &suggested.suggestions {
        writeln!(talk, "{} ({} calls)", suggestion.policy, suggestion.calls)?;
        for narrowed in &suggestion.narrowed {
            writeln!(talk, "  {narrowed}")?;
        }
    }
    let why = review.rows.iter().find_map(|row| match &row.new {
        Change::NotProven { why } => Some(why.as_str()),
        _ => None,
    });
    match (proof(review), why) {
        ("grants_nothing_new", _) => writeln!(talk, "proved: it grants no more than today")?,
        ("not_proven", why) => {
            writeln!(talk, "not proven that it grants no more than today: {}", why.unwrap_or("a claim is open"))?;
        }
        _ => writeln!(talk, "it would grant something new: do not apply it")?,
    }
    let (replayed, denied) = (replay.replayed, replay.newly_denied());
    writeln!(talk, "replayed: {replayed} decisions, {denied} newly denied")
}
