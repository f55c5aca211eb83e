//! What policies stand on: everything declared, made ready once for however many changes of policy.

use super::{has_errors, kept::Digest};
use crate::{
    declared::Declared,
    engine::entities::{Declaration, Directory, Shared},
    finding::Finding,
    question::FunctionName,
    vocabulary::Vocabulary,
};
use aws_lc_rs::digest::{Context, SHA256};
use std::sync::Arc;

/// The vocabulary and the entities of what is declared.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) declared: Arc<Declared>,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) directory: Directory,
    pub(crate) declarations: Declarations,
    /// What administrators do.
    pub(crate) verbs: Declarations,
    /// What policy can't see.
    pub(crate) warnings: Vec<Finding>,
    /// A hash of all of it that can change a decision.
    pub(crate) digest: Digest,
}

type Declarations = Vec<(FunctionName, Declaration)>;

impl Ground {
    /// Makes it ready. Faults stop everything: policies over them can't be judged.
    pub(crate) fn new(declared: Arc<Declared>) -> Result<Self, Vec<Finding>> {
        let (vocabulary, mut warnings) = Vocabulary::new(&declared)?;
        let (directory, declarations) = directory(&declared, &vocabulary, &mut warnings)?;
        let verbs =
            vocabulary.verbs().map(|verb| (verb.clone(), directory.verb(verb, &declared, &vocabulary))).collect();
        let digest = digest(&vocabulary, &declared);
        Ok(Self { declared, vocabulary, directory, declarations, verbs, warnings, digest })
    }
}

fn directory(
    declared: &Declared,
    vocabulary: &Vocabulary,
    findings: &mut Vec<Finding>,
) -> Result<(Directory, Declarations), Vec<Finding>> {
    let directory = Directory::new(declared).map_err(|finding| vec![finding])?;
    let (mut declarations, mut shared) = (Vec::with_capacity(declared.functions.len()), Shared::default());
    for function in &declared.functions {
        let Some(words) = vocabulary.function(&function.name) else { continue };
        match directory.function(function, words, &vocabulary.base, &mut shared) {
            Ok(declaration) => declarations.push((function.name.clone(), declaration)),
            Err(finding) => findings.push(finding),
        }
    }
    if has_errors(findings) { Err(std::mem::take(findings)) } else { Ok((directory, declarations)) }
}

fn digest(vocabulary: &Vocabulary, declared: &Declared) -> Digest {
    let mut digest = Context::new(&SHA256);
    let mut add = |text: &str| {
        digest.update(&(text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    };
    add(&vocabulary.text());
    entity_lines(declared).iter().for_each(|line| add(line));
    digest.finish().as_ref().try_into().unwrap_or_default()
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
