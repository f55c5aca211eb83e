//! What a run of cases showed, as JUnit XML, which build servers read.

use super::{CaseResult, Report};
use std::io::{self, Write};

/// Writes it: one suite for each file, one case for each case; a file that can't be read is a case in error.
///
/// # Errors
/// When `out` can't be written.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let failed = report.cases.iter().filter(|case| !case.passed).count();
    let (cases, errors) = (report.cases.len() + report.findings.len(), report.findings.len());
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites tests=\"{cases}\" failures=\"{failed}\" errors=\"{errors}\">")?;
    for cases in report.cases.chunk_by(|a, b| a.file == b.file) {
        suite(cases, out)?;
    }
    for finding in &report.findings {
        let (file, text) = (escaped(&finding.file), escaped(&finding.to_string()));
        writeln!(out, "  <testsuite name=\"{file}\" tests=\"1\" failures=\"0\" errors=\"1\">")?;
        writeln!(out, "    <testcase classname=\"{file}\" name=\"{}\">", escaped(finding.code))?;
        writeln!(out, "      <error message=\"{}\">{text}</error>", escaped(&finding.message))?;
        writeln!(out, "    </testcase>\n  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn suite(cases: &[CaseResult], out: &mut dyn Write) -> io::Result<()> {
    let Some(file) = cases.first().map(|case| escaped(&case.file)) else { return Ok(()) };
    let failed = cases.iter().filter(|case| !case.passed).count();
    let all = cases.len();
    writeln!(out, "  <testsuite name=\"{file}\" tests=\"{all}\" failures=\"{failed}\" errors=\"0\">")?;
    for case in cases {
        let (name, line) = (escaped(&case.name), case.line);
        write!(out, "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{line}\"")?;
        if case.passed {
            writeln!(out, "/>")?;
            continue;
        }
        let message = escaped(&case.differences.join("; "));
        writeln!(out, ">\n      <failure message=\"{message}\">{}</failure>", escaped(&case.why.join("\n")))?;
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>")
}

/// Text as XML has it; characters that XML can't say are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
