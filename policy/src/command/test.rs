//! `policy test`: runs the cases, and shows which policies they exercise.

use super::{Exit, Format};
use crate::{
    bundle::{Source, load},
    cases::{self, Report},
    declared::Declared,
    finding::Finding,
};
use jiff::Timestamp;
use std::{
    io::{self, Write},
    sync::Arc,
};

/// Loads policies, runs cases, writes what came out.
///
/// # Errors
/// When `out` can't be written.
pub fn test(
    policies: impl IntoIterator<Item = Source>,
    cases: impl IntoIterator<Item = Source>,
    declared: Arc<Declared>,
    now: Timestamp,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let policies: Vec<_> = policies.into_iter().collect();
    let snapshot = match load(&policies, declared, now) {
        Ok((snapshot, _)) => snapshot,
        Err(findings) => {
            write_findings(&findings, format, out)?;
            return Ok(Exit::Invalid);
        }
    };
    let cases: Vec<_> = cases.into_iter().collect();
    let report = cases::run(&cases, &snapshot, now);
    match format {
        Format::Human => write_human(&report, out)?,
        Format::Json => write_json(&serde_json::json!({ "passed": report.passed(), "report": report }), out)?,
    }
    Ok(match (report.findings.is_empty(), report.passed()) {
        (false, _) => Exit::Invalid,
        (true, false) => Exit::Failed,
        (true, true) => Exit::Ok,
    })
}

fn write_findings(findings: &[Finding], format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Human => findings.iter().try_for_each(|finding| writeln!(out, "{finding}")),
        Format::Json => write_json(&serde_json::json!({ "passed": false, "findings": findings }), out),
    }
}

fn write_json(value: &serde_json::Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{value:#}")
}

fn write_human(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    write_findings(&report.findings, Format::Human, out)?;
    for case in &report.cases {
        if case.passed {
            writeln!(out, "ok    {}", case.name)?;
        } else {
            writeln!(out, "FAIL  {} ({}:{})", case.name, case.file, case.line)?;
            for difference in &case.differences {
                writeln!(out, "      {difference}")?;
            }
        }
    }
    let (all, failed) = (report.cases.len(), report.cases.iter().filter(|case| !case.passed).count());
    let determining = report.coverage.iter().filter(|policy| policy.determining > 0).count();
    writeln!(out, "\n{all} cases: {} passed, {failed} failed", all - failed)?;
    writeln!(out, "{} policies: {determining} decided a case", report.coverage.len())?;
    for policy in report.coverage.iter().filter(|policy| policy.determining == 0) {
        let how = if policy.in_scope == 0 { "never exercised" } else { "in scope, but decided no case" };
        writeln!(out, "      {} ({}:{}): {how}", policy.policy, policy.file, policy.line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
