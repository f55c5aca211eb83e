//! Least privilege from records: narrower permits that still allow every recorded call.
//!
//! What was seen of a permit is generalised as little as people can read: one group that all callers share, or the
//! callers themselves if they are few; the functions that were called, each with callers of its own where these differ; the values at which the permit already looks.
//! A suggestion is only that: it is loaded, proved to grant nothing new, and replayed before anybody sees it.

use crate::{
    bundle::{Source, written},
    engine::{Effect, Snapshot},
    permit::PolicyName,
    replay::Recorded,
};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

mod edit;
mod patch;
mod seen;

pub use patch::unified;
use seen::Uses;

/// Fewest calls from which something is concluded of a permit.
pub const CALLS_MIN: u64 = 10;

/// What the records show of each permit's use.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    by_policy: BTreeMap<PolicyName, Uses>,
    /// Calls that were seen.
    pub calls: u64,
}

/// A narrower permit.
#[derive(Clone, Debug, Serialize)]
pub struct Suggestion {
    /// Which permit.
    pub policy: PolicyName,
    /// How many calls it permitted.
    pub calls: u64,
    /// What is narrowed, in words.
    pub narrowed: Vec<String>,
}

/// Policies with the suggestions in place.
#[derive(Clone, Debug)]
pub struct Suggested {
    /// The files, changed ones and others.
    pub sources: Vec<Source>,
    /// What was changed.
    pub suggestions: Vec<Suggestion>,
}

impl Observed {
    /// Takes in a decision.
    pub fn add(&mut self, recorded: &Recorded) {
        let (true, Ok(question)) = (recorded.allowed, &recorded.question) else { return };
        if recorded.others_lost() {
            return;
        }
        self.calls += 1;
        for name in &recorded.determining {
            self.by_policy.entry(name.clone()).or_default().add(question, recorded.input_lost());
        }
    }

    /// Takes in what another part of the log came to.
    pub fn merge(&mut self, other: Self) {
        self.calls += other.calls;
        for (name, seen) in other.by_policy {
            self.by_policy.entry(name).or_default().merge(seen);
        }
    }

    /// Narrows every permit that was used often enough, except those in `leave`.
    #[must_use]
    pub fn suggest(&self, sources: &[Source], snapshot: &Snapshot, leave: &[PolicyName]) -> Suggested {
        let mut suggestions = Vec::new();
        let mut changed = Vec::new();
        for source in sources {
            // Grants as data are narrowed in their table, by hand.
            if !source.file.ends_with(".cedar") {
                changed.push(source.clone());
                continue;
            }
            let mut text = source.text.to_string();
            // From the end, so that places before stay where they are.
            for written in written::read(source, &mut Vec::new()).into_iter().rev() {
                let is_permit = snapshot.policy(&written.name).is_some_and(|info| info.effect == Effect::Permit);
                let uses = self.by_policy.get(&written.name).filter(|uses| uses.all.calls >= CALLS_MIN);
                let Some(uses) = uses else { continue };
                if !is_permit || leave.contains(&written.name) {
                    continue;
                }
                let (narrower, narrowed) = edit::narrowed(&written, uses);
                if !narrowed.is_empty() {
                    text.replace_range(written.place.piece.clone(), &narrower);
                    suggestions.push(Suggestion { policy: written.name.clone(), calls: uses.all.calls, narrowed });
                }
            }
            changed.push(Source { file: Arc::clone(&source.file), text: text.into() });
        }
        suggestions.sort_by(|a, b| a.policy.cmp(&b.policy));
        Suggested { sources: changed, suggestions }
    }
}

#[cfg(test)]
mod tests;
