//! Findings as they are collected: all of them, within reason, none that only follows from another.

use policy::finding::{Finding, Severity};
use std::collections::BTreeSet;

/// Most findings that one load reports.
pub(crate) const FINDINGS_MAX: usize = 200;

/// Findings so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
    dropped: usize,
    pruned: BTreeSet<String>,
}

impl Report {
    /// Takes a finding.
    pub(crate) fn push(&mut self, finding: Finding) {
        if self.findings.contains(&finding) {
            return;
        }
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.dropped += 1;
        }
    }

    /// Takes a finding about a name that is missing, unless it is missing because what was written for it was refused.
    pub(crate) fn push_missing(&mut self, name: &str, finding: Finding) {
        if !self.pruned.contains(name) {
            self.push(finding);
        }
    }

    /// Remembers that something under this name was refused.
    pub(crate) fn prune(&mut self, name: &str) {
        self.pruned.insert(name.to_owned());
    }

    /// Whether something under this name was refused.
    pub(crate) fn pruned(&self, name: &str) -> bool {
        self.pruned.contains(name)
    }

    /// The value, or `None` and its finding.
    pub(crate) fn take<T>(&mut self, result: Result<T, Finding>) -> Option<T> {
        result.map_err(|finding| self.push(finding)).ok()
    }

    /// Whether anything stops the load.
    pub(crate) fn failed(&self) -> bool {
        self.dropped > 0 || self.findings.iter().any(|f| f.severity == Severity::Error)
    }

    /// Everything, by file and place.
    pub(crate) fn finish(mut self) -> Vec<Finding> {
        self.findings.sort_by(|a, b| (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code)));
        if self.dropped > 0 {
            let message = format!("{} more findings are not shown", self.dropped);
            let file = self.findings.first().map_or(String::new(), |f| f.file.clone());
            self.findings.push(Finding::error("too_many_findings", file, message));
        }
        self.findings
    }
}
