//! From files of policies to a snapshot: parsed, named, checked and put in force together, or not at all.

use crate::{
    declared::Declared,
    engine::Snapshot,
    finding::{Finding, Severity},
    permit::BundleId,
};
use aws_lc_rs::digest::{Context, SHA256};
use grants::Surroundings;
use ground::Ground;
use jiff::{SignedDuration, Timestamp};
use kept::{Earlier, Piece};
use std::{collections::HashMap, sync::Arc};
use written::Written;

mod check;
mod compare;
pub mod grants;
pub(crate) mod ground;
pub(crate) mod kept;
pub mod manifest;
mod names;
pub mod sign;
pub(crate) mod split;
pub mod team;
pub(crate) mod tree;
pub mod validity;
mod words;
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
    let ground = Ground::new(declared).map_err(report)?;
    load_on(Arc::new(ground), sources, now, None)
}

/// Loads like [`load`], and takes from an earlier snapshot what has not changed since.
///
/// # Errors
/// As [`load`].
pub fn reload(sources: &[Source], declared: Arc<Declared>, now: Timestamp, before: &Snapshot) -> Loaded {
    let ground = before.ground();
    if Arc::ptr_eq(&ground.declared, &declared) || ground.declared == declared {
        load_on(Arc::clone(ground), sources, now, Some(before))
    } else {
        load(sources, declared, now)
    }
}

fn load_on(ground: Arc<Ground>, sources: &[Source], now: Timestamp, before: Option<&Snapshot>) -> Loaded {
    let mut findings = ground.warnings.clone();
    let around = Surroundings { vocabulary: &ground.vocabulary, declared: &ground.declared };
    let pieces = pieces(sources, Some(around), before.map(Snapshot::earlier), &mut findings);
    soon(&pieces, now, &mut findings);
    team::check(sources, &pieces, &ground.declared, &mut findings);
    let new: Vec<&Written> = pieces.iter().filter_map(|piece| piece.written.as_ref()).collect();
    if !new.is_empty() {
        let known = names::Known::new(&ground.vocabulary, &ground.declared);
        words::check(&new, &ground.declared, &mut findings);
        // Policies with unknown names are reported for these alone; the others are checked further.
        let sound: Vec<_> = new.into_iter().filter(|policy| known.check(policy, &mut findings)).collect();
        check::check(&sound, &ground.declarations, &ground.vocabulary, &mut findings);
    }
    if has_errors(&findings) {
        return Err(report(findings));
    }
    let quiet = kept::quiet(&pieces, &findings);
    let id = bundle_id(sources, &ground);
    match Snapshot::new(id, ground, pieces, quiet, before) {
        Ok((snapshot, warnings)) => {
            findings.extend(warnings);
            Ok((snapshot, report(findings)))
        }
        Err(finding) => Err(report([findings, vec![finding]].concat())),
    }
}

fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Reads every file within the limits, and sees that no two policies have one id. Without surroundings there are no grants.
pub(crate) fn read(sources: &[Source], around: Option<Surroundings<'_>>, findings: &mut Vec<Finding>) -> Vec<Written> {
    pieces(sources, around, None, findings).into_iter().filter_map(|piece| piece.written).collect()
}

fn pieces(
    sources: &[Source],
    around: Option<Surroundings<'_>>,
    earlier: Option<&Earlier>,
    findings: &mut Vec<Finding>,
) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let none = Earlier::new();
    let earlier = earlier.unwrap_or(&none);
    for source in sources {
        if source.text.len() > FILE_BYTES_MAX {
            let message = format!("a file of policies has at most {FILE_BYTES_MAX} bytes");
            findings.push(Finding::error("file_too_large", source.file.as_ref(), message));
            continue;
        }
        match around {
            Some(around) if source.file.ends_with(grants::SUFFIX) => {
                pieces.extend(grants::read(source, around, findings));
            }
            _ if team::is_binding(source) => {}
            _ => pieces.extend(written::read_again(source, earlier, findings)),
        }
        if pieces.len() > POLICIES_MAX {
            let message = format!("a bundle has at most {POLICIES_MAX} policies");
            findings.push(Finding::error("too_many_policies", source.file.as_ref(), message));
            break;
        }
    }
    let mut first: HashMap<&str, &written::Place> = HashMap::with_capacity(pieces.len());
    for Piece { kept, place, .. } in &pieces {
        if let Some(there) = first.insert(&kept.name.0, place) {
            let message = format!("the id `{}` is taken by {}:{}", kept.name, there.source.file, there.line);
            findings.push(place.finding("duplicate_id", message, None));
        }
    }
    pieces
}

fn soon(pieces: &[Piece], now: Timestamp, findings: &mut Vec<Finding>) {
    for Piece { kept, place, .. } in pieces {
        let Some(expires) = kept.expires else { continue };
        let left = expires.duration_since(now);
        let message = if left <= SignedDuration::ZERO {
            format!("`{}` has expired and grants nothing", kept.name)
        } else if left <= SignedDuration::from_hours(24 * EXPIRES_SOON_DAYS) {
            format!("`{}` expires in {} days", kept.name, left.as_hours() / 24)
        } else {
            continue;
        };
        findings.push(place.finding("expires_soon", message, None).warning());
    }
}

/// Errors first, then by place; never more than are read.
pub(crate) fn report(mut findings: Vec<Finding>) -> Vec<Finding> {
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
fn bundle_id(sources: &[Source], ground: &Ground) -> BundleId {
    let mut digest = Context::new(&SHA256);
    let mut add = |bytes: &[u8]| {
        digest.update(&(bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    let mut files: Vec<_> = sources.iter().map(|source| (&source.file, &source.text)).collect();
    files.sort_unstable();
    add(&(files.len() as u64).to_be_bytes());
    let folder = folder(files.iter().map(|(file, _)| file.as_ref()));
    for (file, text) in files {
        add(file.get(folder..).unwrap_or_default().as_bytes());
        add(text.as_bytes());
    }
    add(&ground.digest);
    let mut id = String::from("sha256:");
    for byte in digest.finish().as_ref() {
        id.push_str(&format!("{byte:02x}"));
    }
    BundleId(id.into())
}

/// Length of the folder that all files are in: however it was named, what is in it is the same bundle.
fn folder<'a>(mut files: impl Iterator<Item = &'a str>) -> usize {
    let parent = |file: &str| file.rfind('/').map_or(0, |slash| slash + 1);
    let first = files.next().unwrap_or_default();
    files.fold(parent(first), |length, file| {
        let shared = first.bytes().zip(file.bytes()).take_while(|(a, b)| a == b).count();
        first.get(..shared.min(length)).map_or(0, parent)
    })
}

#[cfg(test)]
pub(crate) mod tests;
