//! `policy unused`: grants that nobody used, and since when that was looked at.

use super::{Exit, Format};
use crate::{
    engine::Snapshot,
    usage::{Grant, Usage, Used},
};
use serde_json::json;
use std::io::{self, Write};

/// Writes the grants that were not used.
///
/// # Errors
/// When `out` can't be written.
pub fn unused(
    usage: &Usage,
    snapshot: &Snapshot,
    days_min: i64,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let grants = usage.grants(snapshot, days_min);
    match format {
        Format::Human => human(usage, &grants, days_min, out)?,
        Format::Json => {
            let unused: Vec<_> = grants.iter().filter(|grant| !matches!(grant.used, Used::Yes { .. })).collect();
            let value = json!({
                "decisions": usage.decisions, "first": usage.first, "last": usage.last,
                "days_min": days_min, "unused": unused, "grants": grants.len(),
            });
            writeln!(out, "{value:#}")?;
        }
    }
    Ok(Exit::Ok)
}

fn human(usage: &Usage, grants: &[Grant], days_min: i64, out: &mut dyn Write) -> io::Result<()> {
    match (usage.first, usage.last) {
        (Some(first), Some(last)) => {
            let days = usage.observed().as_hours() / 24;
            writeln!(out, "{} decisions from {first:.0} to {last:.0} ({days} days)", usage.decisions)?;
        }
        _ => writeln!(out, "there is no decision in the log")?,
    }
    let titles = [
        (Used::Never, "never used".to_owned()),
        (Used::NotObservedLongEnough, format!("not used, but not observed for {days_min} days")),
        (Used::NotRecorded, "not known: records do not name policies about where a function runs".to_owned()),
    ];
    for (used, title) in titles {
        let found: Vec<_> = grants.iter().filter(|grant| grant.used == used).collect();
        if found.is_empty() {
            continue;
        }
        writeln!(out, "\n{title}")?;
        for grant in found {
            let owner = grant.owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
            writeln!(out, "  {} ({}:{}{owner})", grant.policy, grant.file, grant.line)?;
        }
    }
    let used = grants.iter().filter(|grant| matches!(grant.used, Used::Yes { .. })).count();
    writeln!(out, "\n{used} of {} grants were used", grants.len())
}
