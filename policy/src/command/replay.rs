//! `policy replay`: which recorded decisions another bundle would decide otherwise.

use super::{Exit, Format};
use crate::replay::{Flip, Replay, Turn};
use std::io::{self, Write};

/// Most kinds of change that people are shown in one direction; programs get all.
const FLIPS_MAX: usize = 20;

/// Writes what a replay found.
///
/// # Errors
/// When `out` can't be written.
pub fn replay(replay: &Replay, format: Format, out: &mut dyn Write) -> io::Result<Exit> {
    match format {
        Format::Human => human(replay, out)?,
        Format::Json => writeln!(out, "{:#}", serde_json::to_value(replay)?)?,
    }
    Ok(match (replay.newly_allowed(), replay.newly_denied()) {
        (0, 0) => Exit::Ok,
        (0, _) => Exit::Denied,
        _ => Exit::GrantsNew,
    })
}

pub(super) fn human(replay: &Replay, out: &mut dyn Write) -> io::Result<()> {
    let titles = [(Turn::NewlyAllowed, "newly allowed"), (Turn::NewlyDenied, "newly denied")];
    for (turn, title) in titles {
        let mut flips: Vec<_> = replay.flips.iter().filter(|flip| flip.turn == turn).collect();
        if flips.is_empty() {
            continue;
        }
        flips.sort_by_key(|flip| std::cmp::Reverse(flip.calls));
        writeln!(out, "{title}: {} calls", flips.iter().map(|flip| flip.calls).sum::<u64>())?;
        for flip in flips.iter().take(FLIPS_MAX) {
            line(flip, out)?;
        }
        if let Some(more) = flips.get(FLIPS_MAX..).filter(|more| !more.is_empty()) {
            let calls: u64 = more.iter().map(|flip| flip.calls).sum();
            writeln!(out, "  {calls:>8}  in {} more functions or by other policies", more.len())?;
        }
    }
    if !replay.not_replayed.is_empty() {
        writeln!(out, "not replayed: {} decisions", replay.not_replayed.values().sum::<u64>())?;
        for (why, number) in &replay.not_replayed {
            writeln!(out, "  {number:>8}  {}", why.words())?;
        }
    }
    let (replayed, same) = (replay.replayed, replay.same);
    match (&replay.first, &replay.last) {
        (Some(first), Some(last)) => {
            writeln!(out, "{replayed} decisions replayed, {same} as before, from {first:.0} to {last:.0}")
        }
        _ => writeln!(out, "there is no decision in the log"),
    }
}

fn line(flip: &Flip, out: &mut dyn Write) -> io::Result<()> {
    let policies: Vec<_> = flip.policies.iter().map(|name| format!("`{name}`")).collect();
    let policies = policies.join(", ");
    let why = match (flip.turn, flip.reason) {
        (Turn::NewlyAllowed, _) => format!("permitted by {policies}"),
        (Turn::NewlyDenied, Some(crate::permit::DenialReason::NotPermitted)) => {
            format!("no longer permitted by {policies}")
        }
        (Turn::NewlyDenied, Some(crate::permit::DenialReason::Forbidden)) => format!("forbidden by {policies}"),
        (Turn::NewlyDenied, Some(crate::permit::DenialReason::PolicyError)) => format!("{policies} failed"),
        (Turn::NewlyDenied, Some(crate::permit::DenialReason::NoTarget)) => "it may run on no target".to_owned(),
        (Turn::NewlyDenied, _) => "it names what nothing vouches for".to_owned(),
    };
    writeln!(out, "  {:>8}  `{}`: {why}", flip.calls, flip.function)?;
    writeln!(out, "            such as {}", flip.such_as.join(", "))
}
