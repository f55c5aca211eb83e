//! What stays of a policy once it is in force, so that a later load need not parse and check it again.

use super::{
    tree,
    written::{Place, Written},
};
use crate::{engine::rule::Rule, finding::Finding, index::Scope, permit::PolicyName};
use jiff::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// SHA-256.
pub(crate) type Digest = [u8; 32];

/// Policies in which an earlier load found nothing, by the hash of their text.
pub(crate) type Earlier = HashMap<Digest, Arc<Kept>>;

/// All that decisions need of a policy, wherever it stands.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) name: PolicyName,
    pub(crate) owner: Option<Arc<str>>,
    pub(crate) description: Option<Arc<str>>,
    /// When a permit stops granting.
    pub(crate) expires: Option<Timestamp>,
    /// It is asked and counted, and decides nothing.
    pub(crate) shadowed: bool,
    /// Whether a condition looks at the input.
    pub(crate) reads_input: bool,
    pub(crate) rule: Arc<Rule>,
}

/// A policy of one load: kept from an earlier one, or written anew.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) kept: Arc<Kept>,
    pub(crate) place: Place,
    pub(crate) digest: Digest,
    /// What is to be checked; nothing if it was before, against the same declarations.
    pub(crate) written: Option<Written>,
}

impl Kept {
    /// Its head in words.
    pub(crate) fn scope(&self) -> Scope {
        Scope::of(&self.rule.policy.clone().into())
    }
}

impl Piece {
    pub(crate) fn new(written: Written, digest: Digest) -> Self {
        let policy: &cedar_policy_core::ast::Policy = written.policy.as_ref();
        let kept = Kept {
            name: written.name.clone(),
            owner: written.owner.clone(),
            description: written.description.clone(),
            expires: written.expires,
            shadowed: written.shadowed,
            reads_input: tree::reads_input(&written.tree),
            rule: Arc::new(Rule::new(policy)),
        };
        Self { kept: Arc::new(kept), place: written.place.clone(), digest, written: Some(written) }
    }

    /// Whether a finding is about it.
    fn is_noted(&self, noted: &HashSet<(&str, usize)>) -> bool {
        let Place { source, range, line, .. } = &self.place;
        let lines = source.text.get(range.clone()).unwrap_or_default().matches('\n').count();
        (*line..=line + lines).any(|line| noted.contains(&(source.file.as_ref(), line)))
    }
}

/// The policies of which there is nothing to say. Any other is checked again by the next load, and so said again.
pub(crate) fn quiet(pieces: &[Piece], findings: &[Finding]) -> Earlier {
    let noted: HashSet<(&str, usize)> = findings.iter().map(|finding| (finding.file.as_ref(), finding.line)).collect();
    // What a grant becomes depends on more than its text.
    let own = pieces.iter().filter(|piece| piece.place.generated.is_none());
    let quiet = own.filter(|piece| noted.is_empty() || !piece.is_noted(&noted));
    quiet.map(|piece| (piece.digest, Arc::clone(&piece.kept))).collect()
}

pub(crate) fn digest(text: &str) -> Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().try_into().unwrap_or_default()
}
