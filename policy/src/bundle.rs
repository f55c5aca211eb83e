//! From files of policies to a snapshot: parsed, named, checked and put in force together, or not at all.

use crate::{
    declared::Declared,
    engine::{
        Snapshot,
        entities::{Declaration, Directory},
    },
    finding::{Finding, Severity},
    permit::BundleId,
    question::FunctionName,
    vocabulary::Vocabulary,
};
use aws_lc_rs::digest::{Context, SHA256};
use jiff::{SignedDuration, Timestamp};
use std::{collections::HashMap, sync::Arc};
use written::Written;

mod check;
mod compare;
mod names;
pub(crate) mod split;
pub(crate) mod tree;
pub(crate) mod written;

/// Largest file of policies, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most policies of one bundle.
pub const POLICIES_MAX: usize = 20_000;
/// Most findings that one load reports.
pub const FINDINGS_MAX: usize = 100;
/// How many days before its `@expires` a permit is warned of.
pub const EXPIRES_SOON_DAYS: i64 = 30;

/// One file of policies.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

/// A snapshot with warnings, or the errors (and warnings) for which there is none.
pub type Loaded = Result<(Snapshot, Vec<Finding>), Vec<Finding>>;

/// Loads policies against what is declared. `now` is only for warnings about permits that expire soon.
///
/// # Errors
/// When anything is wrong with any of them: leaving out a broken forbid would grant.
pub fn load(sources: &[Source], declared: Arc<Declared>, now: Timestamp) -> Loaded {
    let (vocabulary, mut findings) = Vocabulary::new(&declared).map_err(report)?;
    let (directory, declarations) = directory(&declared, &vocabulary, &mut findings).map_err(report)?;
    let policies = read(sources, &mut findings);
    soon(&policies, now, &mut findings);
    let known = names::Known::new(&vocabulary, &declared);
    // Policies with unknown names are reported for these alone; the others are checked further.
    let sound: Vec<&Written> = policies.iter().filter(|policy| known.check(policy, &mut findings)).collect();
    check::check(&sound, &declarations, &vocabulary, &mut findings);
    if has_errors(&findings) {
        return Err(report(findings));
    }
    let id = bundle_id(sources, &vocabulary, &declared);
    match Snapshot::new(id, vocabulary, directory, declarations, policies) {
        Ok((snapshot, warnings)) => {
            findings.extend(warnings);
            Ok((snapshot, report(findings)))
        }
        Err(finding) => Err(report([findings, vec![finding]].concat())),
    }
}

type Declarations = Vec<(FunctionName, Declaration)>;

/// The declared entities. Faults in them stop everything: policies over them can't be judged.
fn directory(
    declared: &Declared,
    vocabulary: &Vocabulary,
    findings: &mut Vec<Finding>,
) -> Result<(Directory, Declarations), Vec<Finding>> {
    let directory = Directory::new(declared).map_err(|finding| vec![finding])?;
    let mut declarations = Vec::new();
    for function in &declared.functions {
        let Some(words) = vocabulary.function(&function.name) else { continue };
        match directory.function(function, words, &vocabulary.base) {
            Ok(declaration) => declarations.push((function.name.clone(), declaration)),
            Err(finding) => findings.push(finding),
        }
    }
    if has_errors(findings) { Err(std::mem::take(findings)) } else { Ok((directory, declarations)) }
}

fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Reads every file within the limits, and sees that no two policies have one id.
pub(crate) fn read(sources: &[Source], findings: &mut Vec<Finding>) -> Vec<Written> {
    let mut policies: Vec<Written> = Vec::new();
    for source in sources {
        if source.text.len() > FILE_BYTES_MAX {
            let message = format!("a file of policies has at most {FILE_BYTES_MAX} bytes");
            findings.push(Finding::error("file_too_large", source.file.as_ref(), message));
            continue;
        }
        policies.extend(written::read(source, findings));
        if policies.len() > POLICIES_MAX {
            let message = format!("a bundle has at most {POLICIES_MAX} policies");
            findings.push(Finding::error("too_many_policies", source.file.as_ref(), message));
            break;
        }
    }
    let mut first: HashMap<Arc<str>, String> = HashMap::new();
    for policy in &policies {
        let line = policy.place.finding("", "", None).line;
        let here = format!("{}:{line}", policy.place.source.file);
        if let Some(there) = first.insert(Arc::clone(&policy.name.0), here) {
            let message = format!("the id `{}` is taken by {there}", policy.name);
            findings.push(policy.place.finding("duplicate_id", message, None));
        }
    }
    policies
}

fn soon(policies: &[Written], now: Timestamp, findings: &mut Vec<Finding>) {
    for policy in policies {
        let Some(expires) = policy.expires else { continue };
        let left = expires.duration_since(now);
        let message = if left <= SignedDuration::ZERO {
            format!("`{}` has expired and grants nothing", policy.name)
        } else if left <= SignedDuration::from_hours(24 * EXPIRES_SOON_DAYS) {
            format!("`{}` expires in {} days", policy.name, left.as_hours() / 24)
        } else {
            continue;
        };
        findings.push(policy.place.finding("expires_soon", message, None).warning());
    }
}

/// Errors first, then by place; never more than are read.
fn report(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.file.clone(), f.line, f.column);
        key(a).cmp(&key(b))
    });
    // One fault is found once for every kind of caller; people want it once.
    findings.dedup_by(|a, b| {
        let key = |f: &Finding| (f.code, f.file.clone(), f.line, f.column, f.text.clone());
        a == b || (a.line > 0 && a.code != "constant_comparison" && key(a) == key(b))
    });
    if findings.len() > FINDINGS_MAX {
        let rest = findings.len() - FINDINGS_MAX + 1;
        findings.truncate(FINDINGS_MAX - 1);
        let file = findings.last().map(|finding| finding.file.clone()).unwrap_or_default();
        let more = Finding::error("more_findings", file, format!("and {rest} more findings"));
        findings.push(if has_errors(&findings) { more } else { more.warning() });
    }
    findings
}

/// A hash of everything that can change a decision.
fn bundle_id(sources: &[Source], vocabulary: &Vocabulary, declared: &Declared) -> BundleId {
    let mut digest = Context::new(&SHA256);
    let mut add = |bytes: &[u8]| {
        digest.update(&(bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    let mut files: Vec<_> = sources.iter().map(|source| (&source.file, &source.text)).collect();
    files.sort_unstable();
    add(&(files.len() as u64).to_be_bytes());
    for (file, text) in files {
        add(file.as_bytes());
        add(text.as_bytes());
    }
    add(vocabulary.text().as_bytes());
    for line in entity_lines(declared) {
        add(line.as_bytes());
    }
    let mut id = String::from("sha256:");
    for byte in digest.finish().as_ref() {
        id.push_str(&format!("{byte:02x}"));
    }
    BundleId(id.into())
}

/// The declared entities as text, in an order of their own.
fn entity_lines(declared: &Declared) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for app in &declared.apps {
        lines.push(serde_json::json!(["app", app.name, app.owner, app.environment, app.calendar]).to_string());
    }
    for issuer in &declared.issuers {
        lines.push(serde_json::json!(["issuer", issuer.alias, issuer.groups, issuer.external_groups]).to_string());
    }
    for f in &declared.functions {
        let targets: Vec<_> = f.targets.iter().map(|t| (t.provider, &t.region, t.sealed_to)).collect();
        let (owner, tenant) = (&f.owner, &f.tenant);
        let line = serde_json::json!([
            "function",
            f.name,
            f.app,
            owner,
            tenant,
            f.shared,
            f.class,
            f.labels,
            f.idempotent,
            targets
        ]);
        lines.push(line.to_string());
    }
    for zone in &declared.zones {
        lines.push(serde_json::json!(["zone", zone]).to_string());
    }
    lines.sort_unstable();
    lines
}

#[cfg(test)]
pub(crate) mod tests;
