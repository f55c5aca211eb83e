//! Publishes a signed bundle: verified, put where the configuration looks for it, and in force, or none of it.

use super::{Outcome, Wish, Worker};
use crate::{
    audit::record::{Actor, Admin},
    signed,
    signed::history::History,
    state::replace,
};
use jiff::Timestamp;
use policy::{
    bundle::manifest::{Digest, Manifest},
    finding::Finding,
};

/// A bundle that was published.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Published {
    /// Its version.
    pub version: u64,
    /// The hash that names it.
    pub digest: Digest,
    /// What its coming into force did.
    pub outcome: Outcome,
}

/// What putting a bundle in force is called.
#[must_use]
pub fn verb(manifest: &Manifest) -> &'static str {
    if manifest.rolls_back_to.is_some() { "bundle.rollback" } else { "bundle.activate" }
}

impl Worker {
    pub(super) fn publish(&self, text: &str, who: &Actor) -> Result<Published, Vec<Finding>> {
        let old = self.gateway.generation();
        let file = "(published)";
        let Some(wanted) = &old.config.policy.signed else {
            let message = "this gateway takes its policies from a folder";
            let help = "set `bundle`, `keys` and `threshold` in `[policy]`";
            return Err(vec![Finding::error("not_signed", file, message).help(help)]);
        };
        let (next, _) = signed::open(wanted, file, text, Timestamp::now()).map_err(|finding| vec![finding])?;
        let history = History::read(&old.config).map_err(|finding| vec![finding])?;
        history.accepts(&next, file).map_err(|finding| vec![finding])?;
        let unwritable = |error: std::io::Error| {
            let file = wanted.file.display().to_string();
            vec![Finding::error("unwritable_file", file, format!("the bundle can't be put there: {error}"))]
        };
        replace(&wanted.file, text.as_bytes(), 0o644).map_err(unwritable)?;
        let outcome = self.reload(Wish::Accepted, who);
        if matches!(outcome.result, "failed" | "held") {
            // What is on disk is what is in force, so that a restart finds it.
            let before = old.signed.as_ref().map(|signed| signed.text.clone()).unwrap_or_default();
            replace(&wanted.file, before.as_bytes(), 0o644).map_err(unwritable)?;
            return Err(outcome.findings);
        }
        let record = Admin {
            bundle_before: Some(old.policy.id().clone()),
            bundle_after: Some(outcome.bundle.clone()),
            detail: Some(format!("version {} {}", next.manifest.version, next.digest)),
            ..Admin::by(who, verb(&next.manifest))
        };
        if let Err(error) = self.runtime.block_on(self.gateway.log.admin(&record)) {
            tracing::error!(%error, "the publication is not in the audit log");
        }
        Ok(Published { version: next.manifest.version, digest: next.digest, outcome })
    }
}
