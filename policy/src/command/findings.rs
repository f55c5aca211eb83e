//! Findings as commands write them.

use super::Format;
use crate::finding::{Finding, Severity};
use std::io::{self, Write};

/// Writes findings: for people one after the other, for programs as one document.
pub(super) fn write(findings: &[Finding], ok: bool, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Human => findings.iter().try_for_each(|finding| writeln!(out, "{finding}")),
        Format::Json => writeln!(out, "{:#}", serde_json::json!({ "ok": ok, "findings": findings })),
    }
}

/// How many findings of each kind there are, in words.
pub(super) fn counted(findings: &[Finding]) -> String {
    let of = |severity, word: &str| {
        let number = findings.iter().filter(|finding| finding.severity == severity).count();
        format!("{number} {word}{}", if number == 1 { "" } else { "s" })
    };
    [of(Severity::Error, "error"), of(Severity::Warning, "warning"), of(Severity::Note, "note")].join(", ")
}
