//! Policy cases: questions with the answers that people expect, written in TOML beside the policies.
//!
//! ```toml
//! [principal.alice]                  # callers, by a name of their own
//! kind = "User"
//! id = "dev/alice"                   # its issuer is the part before the slash
//! groups = ["dev/staff"]             # also: tenant, clearance, employed (User), tier (Client)
//!
//! [facts]                            # for every case of the file; a case may change single facts
//! network = { source = "10.0.0.7", zone = "office" }   # or unix = true: then there is no source
//!
//! [[case]]
//! name = "staff may greet"
//! principal = "alice"                # or "anonymous"
//! function = "hello.greet"
//! input = { name = "Ada" }           # also: path, query, verb = "describe"
//! facts = { transport = { mtls = true }, via = { workload = "checkout" } }
//! expect = "allow"                   # or "deny"
//! because = ["hello.staff"]          # the policies that decided
//! targets = [0]                      # for allow: the targets on which it may run
//! reason = "forbidden"               # for deny: also not_permitted, no_target, policy_error, absent_entity
//! ```
//!
//! The clock stands at noon UTC of the day of the run unless a case sets it, so an expired permit fails its case.
//! A denial because the question could not be asked passes only when the case names that reason.

use crate::{
    bundle::Source,
    engine::{Effect, Snapshot},
    finding::Finding,
    permit::PolicyName,
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

mod raw;
mod run;

/// Largest file of cases, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most cases of one run.
pub const CASES_MAX: usize = 20_000;

/// What a run of cases showed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// Every case, in the order of writing.
    pub cases: Vec<CaseResult>,
    /// Every policy, in the order of writing.
    pub coverage: Vec<Coverage>,
    /// What is wrong with the files of cases themselves.
    pub findings: Vec<Finding>,
}

/// One case and whether it came out as expected.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CaseResult {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Line of its name.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// Whether everything was as expected.
    pub passed: bool,
    /// What was not, in plain words.
    pub differences: Vec<String>,
}

/// How far the cases exercise one policy.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Coverage {
    /// Its `@id`.
    pub policy: PolicyName,
    /// What it does.
    pub effect: Effect,
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Line of its first word.
    pub line: usize,
    /// Cases that it decided.
    pub determining: usize,
    /// Cases that its head let in, decided or not.
    pub in_scope: usize,
}

impl Report {
    /// Whether all cases could be read and passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.is_empty() && self.cases.iter().all(|case| case.passed)
    }

    /// The policies that no case's caller, action and resource reach.
    pub fn never_exercised(&self) -> impl Iterator<Item = &Coverage> {
        self.coverage.iter().filter(|policy| policy.in_scope == 0)
    }
}

/// Runs cases against a snapshot. `now` gives the day on which they are asked.
#[must_use]
pub fn run(sources: &[Source], snapshot: &Snapshot, now: Timestamp) -> Report {
    let mut tally = Tally::new(snapshot);
    let mut report = Report { cases: Vec::new(), coverage: Vec::new(), findings: Vec::new() };
    for source in sources {
        if source.text.len() > FILE_BYTES_MAX {
            let message = format!("a file of cases has at most {FILE_BYTES_MAX} bytes");
            report.findings.push(Finding::error("file_too_large", source.file.as_ref(), message));
            continue;
        }
        match raw::read(source) {
            Ok(file) => run::file(source, &file, snapshot, now, &mut tally, &mut report),
            Err(finding) => report.findings.push(finding),
        }
        if report.cases.len() > CASES_MAX {
            let message = format!("one run has at most {CASES_MAX} cases");
            report.findings.push(Finding::error("too_many_cases", source.file.as_ref(), message));
            break;
        }
    }
    report.coverage = tally.finish(snapshot);
    report
}

/// Counts of determining cases and of cases in scope, by policy.
#[derive(Debug)]
struct Tally(BTreeMap<PolicyName, (usize, usize)>);

impl Tally {
    fn new(snapshot: &Snapshot) -> Self {
        Self(snapshot.policies().map(|policy| (policy.name.clone(), (0, 0))).collect())
    }

    fn determining(&mut self, name: &PolicyName) {
        if let Some((determining, _)) = self.0.get_mut(name) {
            *determining += 1;
        }
    }

    fn in_scope(&mut self, name: &PolicyName) {
        if let Some((_, in_scope)) = self.0.get_mut(name) {
            *in_scope += 1;
        }
    }

    fn finish(self, snapshot: &Snapshot) -> Vec<Coverage> {
        let counted = |name| self.0.get(name).copied().unwrap_or_default();
        let coverage = snapshot.policies().map(|policy| {
            let (determining, in_scope) = counted(&policy.name);
            let (policy_name, file) = (policy.name.clone(), Arc::clone(&policy.file));
            Coverage { policy: policy_name, effect: policy.effect, file, line: policy.line, determining, in_scope }
        });
        coverage.collect()
    }
}

#[cfg(test)]
mod tests;
