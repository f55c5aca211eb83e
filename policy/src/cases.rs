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
//! A matrix asks a case once for each combination of its values: `$name` stands for a value in `principal`, `function`,
//! `path`, `query` and `input`, and a name with a dot sets that place of the question.
//!
//! ```toml
//! [input.small]                      # inputs, by a name of their own
//! amount_cents = 100
//!
//! [[case]]
//! name = "the limit"                 # its rows are named `the limit [cents=500, …]`
//! principal = "alice"
//! function = "orders.create"
//! input = { amount_cents = "$cents" }   # or `input = "small"`
//! matrix = { cents = [500, 501], "facts.transport.mtls" = [true, false] }
//! expect = ["allow", "deny", "deny", "deny"]   # one for each row, or one for all; the last name changes fastest
//! ```
//!
//! `shadow = true` asks a case as if the policies with `@mode("shadow")` were in force; without it they decide nothing.
//!
//! What administrators do is asked like a function: `function = "bundle.activate"`, with `facts.approval = { by =
//! ["corp/bob"] }` where others approved the bundle.
//!
//! The clock stands at noon UTC of the day of the run unless a case sets it, so an expired permit fails its case.
//! A denial because the question could not be asked passes only when the case names that reason.

use crate::{
    bundle::Source,
    engine::{Effect, Snapshot},
    explain::line,
    finding::Finding,
    permit::PolicyName,
    question::Principal,
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

mod differ;
pub mod junit;
mod raw;
mod rows;
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
    /// Why it was answered as it was, clause by clause, where it was not as expected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
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
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// How far the cases exercise one condition: it counts where it was reached, not where a clause before it decided.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Condition {
    /// Line in the policy's file.
    pub line: usize,
    /// As it was written.
    pub text: Arc<str>,
    /// How often it was true.
    pub seen_true: usize,
    /// How often it was false.
    pub seen_false: usize,
}

impl Coverage {
    /// What there is to be seen of the policy, and how much of it was: that it decides, and each condition both ways.
    fn points(&self) -> (usize, usize) {
        let seen = |condition: &Condition| usize::from(condition.seen_true > 0) + usize::from(condition.seen_false > 0);
        let conditions: usize = self.conditions.iter().map(seen).sum();
        (usize::from(self.determining > 0) + conditions, 1 + 2 * self.conditions.len())
    }
}

impl Report {
    /// Whether all cases could be read and passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.is_empty() && self.cases.iter().all(|case| case.passed)
    }

    /// How much of what there is to be seen the cases show, in per cent, rounded down: that each policy decides a case,
    /// and each condition true and false.
    #[must_use]
    pub fn percent(&self) -> usize {
        let points = self.coverage.iter().map(Coverage::points);
        let (seen, all) = points.fold((0, 0), |(seen, all), (s, a)| (seen + s, all + a));
        (seen * 100).checked_div(all).unwrap_or(100)
    }

    /// The policies that no case's caller, action and resource reach.
    pub fn never_exercised(&self) -> impl Iterator<Item = &Coverage> {
        self.coverage.iter().filter(|policy| policy.in_scope == 0)
    }
}

/// Runs cases against a snapshot. `now` gives the day on which they are asked.
#[must_use]
pub fn run(sources: &[Source], snapshot: &Snapshot, now: Timestamp) -> Report {
    run_some(sources, snapshot, now, None)
}

/// Runs the cases whose names contain a text.
#[must_use]
pub fn run_some(sources: &[Source], snapshot: &Snapshot, now: Timestamp, filter: Option<&str>) -> Report {
    let mut tally = Tally::new(snapshot);
    let mut report = Report { cases: Vec::new(), coverage: Vec::new(), findings: Vec::new() };
    for source in sources {
        match read(source) {
            Ok(file) => run::file(source, &file, snapshot, (now, filter), &mut tally, &mut report),
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

fn read(source: &Source) -> Result<raw::File, Finding> {
    if source.text.len() > FILE_BYTES_MAX {
        let message = format!("a file of cases has at most {FILE_BYTES_MAX} bytes");
        return Err(Finding::error("file_too_large", source.file.as_ref(), message));
    }
    raw::read(source)
}

/// The callers that files of cases name; of two with one name the first. Files that can't be read name nobody.
#[must_use]
pub fn principals(sources: &[Source]) -> BTreeMap<String, Principal> {
    let mut all = BTreeMap::new();
    for file in sources.iter().filter_map(|source| read(source).ok()) {
        for (name, principal) in run::principals(&file) {
            all.entry(name).or_insert(principal);
        }
    }
    all
}

/// What the cases met, by policy.
#[derive(Debug)]
struct Tally(BTreeMap<PolicyName, Met>);

/// What the cases met of one policy.
#[derive(Debug, Default)]
struct Met {
    determining: usize,
    in_scope: usize,
    /// True and false, by the clause's place.
    conditions: BTreeMap<usize, (usize, usize)>,
}

impl Tally {
    fn new(snapshot: &Snapshot) -> Self {
        Self(snapshot.policies().map(|policy| (policy.name.clone(), Met::default())).collect())
    }

    fn determining(&mut self, name: &PolicyName) {
        if let Some(met) = self.0.get_mut(name) {
            met.determining += 1;
        }
    }

    fn in_scope(&mut self, name: &PolicyName) {
        if let Some(met) = self.0.get_mut(name) {
            met.in_scope += 1;
        }
    }

    fn condition(&mut self, name: &PolicyName, clause: usize, was: bool) {
        if let Some(met) = self.0.get_mut(name) {
            let (seen_true, seen_false) = met.conditions.entry(clause).or_default();
            *if was { seen_true } else { seen_false } += 1;
        }
    }

    fn finish(self, snapshot: &Snapshot) -> Vec<Coverage> {
        let nothing = Met::default();
        let coverage = snapshot.all().map(|candidate| {
            let (info, met) = (candidate.info, self.0.get(&candidate.info.name).unwrap_or(&nothing));
            let clauses = candidate.clauses.iter().enumerate().filter(|(_, clause)| clause.part.is_condition());
            let conditions = clauses.map(|(place, clause)| {
                let (seen_true, seen_false) = met.conditions.get(&place).copied().unwrap_or_default();
                Condition { line: line(&candidate, clause), text: Arc::clone(&clause.text), seen_true, seen_false }
            });
            Coverage {
                policy: info.name.clone(),
                effect: info.effect,
                file: Arc::clone(&info.file),
                line: info.line,
                determining: met.determining,
                in_scope: met.in_scope,
                conditions: conditions.collect(),
            }
        });
        coverage.collect()
    }
}

#[cfg(test)]
mod tests;
