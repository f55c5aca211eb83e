//! `policy test`: runs the cases, and shows which policies they exercise.

use super::{Exit, Format, write_json};
use crate::{
    bundle::{Source, load},
    cases::{self, Report, junit},
    declared::Declared,
    finding::Finding,
};
use jiff::Timestamp;
use std::{
    io::{self, Write},
    sync::Arc,
};

/// What is wanted of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Only cases whose names contain this.
    pub filter: Option<&'a str>,
    /// Fail if the cases show less than this, in per cent.
    pub coverage_min: Option<u8>,
    /// How to write it.
    pub format: Format,
}

/// Loads policies, runs cases, writes what came out, and to `junit` as XML.
///
/// # Errors
/// When one of the writers fails.
pub fn test(
    policies: &[Source],
    cases: &[Source],
    (declared, now): (Arc<Declared>, Timestamp),
    wanted: Wanted<'_>,
    out: &mut dyn Write,
    junit: Option<&mut dyn Write>,
) -> io::Result<Exit> {
    let snapshot = match load(policies, declared, now) {
        Ok((snapshot, _)) => snapshot,
        Err(findings) => {
            write_findings(&findings, wanted.format, out)?;
            if let Some(junit) = junit {
                junit::write(&Report { cases: Vec::new(), coverage: Vec::new(), findings }, junit)?;
            }
            return Ok(Exit::Invalid);
        }
    };
    let report = cases::run_some(cases, &snapshot, now, wanted.filter);
    if let Some(junit) = junit {
        junit::write(&report, junit)?;
    }
    let covered = wanted.coverage_min.is_none_or(|min| report.percent() >= usize::from(min));
    // A filter that fits nothing proves nothing.
    let nothing = wanted.filter.is_some() && report.cases.is_empty();
    let passed = report.passed() && covered && !nothing;
    match wanted.format {
        Format::Human => write_human(&report, wanted, out)?,
        Format::Json => {
            let json = serde_json::json!({ "passed": passed, "coverage_percent": report.percent(), "report": report });
            write_json(&json, out)?;
        }
    }
    Ok(match (report.findings.is_empty(), passed) {
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

fn write_human(report: &Report, wanted: Wanted<'_>, out: &mut dyn Write) -> io::Result<()> {
    write_findings(&report.findings, Format::Human, out)?;
    for case in &report.cases {
        if case.passed {
            writeln!(out, "ok    {}", case.name)?;
        } else {
            writeln!(out, "FAIL  {} ({}:{})", case.name, case.file, case.line)?;
            for difference in &case.differences {
                writeln!(out, "      {difference}")?;
            }
            case.why.iter().try_for_each(|line| writeln!(out, "        {line}"))?;
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
    write_conditions(report, out)?;
    writeln!(out, "coverage {} %", report.percent())?;
    if let Some(min) = wanted.coverage_min.filter(|min| report.percent() < usize::from(*min)) {
        writeln!(out, "that is less than the {min} % asked for")?;
    }
    match wanted.filter {
        Some(filter) if all == 0 => writeln!(out, "no case has `{filter}` in its name"),
        _ => Ok(()),
    }
}

/// Conditions that were not seen both ways.
fn write_conditions(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let both = |condition: &&cases::Condition| condition.seen_true > 0 && condition.seen_false > 0;
    let conditions = || report.coverage.iter().flat_map(|policy| &policy.conditions);
    writeln!(out, "{} conditions: {} seen true and false", conditions().count(), conditions().filter(both).count())?;
    for policy in &report.coverage {
        for condition in policy.conditions.iter().filter(|condition| !both(condition)) {
            let how = match (condition.seen_true, condition.seen_false) {
                (0, 0) => "never reached",
                (0, _) => "never true",
                (_, _) => "never false",
            };
            writeln!(out, "      {}:{}: {how}: {}", policy.file, condition.line, condition.text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
