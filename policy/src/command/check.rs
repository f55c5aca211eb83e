//! `policy check`: everything that is wrong with policies, and what is only odd.

use super::{Exit, Format, findings};
use crate::{
    bundle::Source,
    declared::Declared,
    finding::{Finding, Severity},
    lint::{self, Judge, LINTS},
};
use jiff::Timestamp;
use std::{
    io::{self, Write},
    sync::Arc,
};

/// Which findings fail the check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Errors.
    #[default]
    Errors,
    /// Errors and warnings.
    Warnings,
}

/// Checks policies and writes what was found. `before` is what reading their files already showed.
///
/// # Errors
/// When `out` can't be written.
pub fn check(
    policies: impl IntoIterator<Item = Source>,
    declared: &Arc<Declared>,
    now: Timestamp,
    (judge, before): (&dyn Judge, Vec<Finding>),
    (strictness, format): (Strictness, Format),
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let policies: Vec<_> = policies.into_iter().collect();
    let found: Vec<_> = before.into_iter().chain(lint::check(&policies, declared, now, judge)).collect();
    let fails = match strictness {
        Strictness::Errors => Severity::Error,
        Strictness::Warnings => Severity::Warning,
    };
    let ok = found.iter().all(|finding| finding.severity < fails);
    findings::write(&found, ok, format, out)?;
    if format == Format::Human {
        writeln!(out, "{}: {}", if ok { "ok" } else { "not ok" }, findings::counted(&found))?;
    }
    Ok(if ok { Exit::Ok } else { Exit::Invalid })
}

/// Writes what each lint finds and why it matters.
///
/// # Errors
/// When `out` can't be written.
pub fn lints(format: Format, out: &mut dyn Write) -> io::Result<Exit> {
    match format {
        Format::Json => writeln!(out, "{:#}", serde_json::json!({ "lints": LINTS }))?,
        Format::Human => {
            for lint in LINTS {
                let level = if lint.level == Severity::Note { "note" } else { "warning" };
                writeln!(out, "{} ({level})\n    {}", lint.id, lint.doc)?;
            }
        }
    }
    Ok(Exit::Ok)
}
