//! Which grants are used: what recorded decisions say of the policies in force.

use crate::{
    engine::{Effect, Snapshot},
    permit::PolicyName,
    replay::Recorded,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// How often each policy decided, and since when that was looked at.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    decided: BTreeMap<PolicyName, (u64, Timestamp)>,
    /// Decisions that were seen.
    pub decisions: u64,
    /// Time of the first.
    pub first: Option<Timestamp>,
    /// Time of the last.
    pub last: Option<Timestamp>,
}

/// What is known of a grant's use.
#[derive(Clone, Debug, Serialize)]
pub struct Grant {
    /// The permit.
    pub policy: PolicyName,
    /// Its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Arc<str>>,
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Line of its first word, from 1.
    pub line: usize,
    /// Whether and when it was used.
    #[serde(flatten)]
    pub used: Used,
}

/// Whether a grant was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "used", rename_all = "snake_case")]
pub enum Used {
    /// It was.
    Yes {
        /// How many calls it permitted.
        calls: u64,
        /// When it did last.
        last: Timestamp,
    },
    /// Not since the log begins, and that is long enough.
    Never,
    /// Not since the log begins, but that is not long enough to say so.
    NotObservedLongEnough,
    /// Records don't name such policies: they decide where a function runs, who may know of it, or who administers.
    NotRecorded,
}

impl Usage {
    /// Takes in a decision.
    pub fn add(&mut self, recorded: &Recorded) {
        self.decisions += 1;
        self.first = Some(self.first.map_or(recorded.at, |first| first.min(recorded.at)));
        self.last = Some(self.last.map_or(recorded.at, |last| last.max(recorded.at)));
        for name in &recorded.determining {
            let (calls, last) = self.decided.entry(name.clone()).or_insert((0, recorded.at));
            *calls += 1;
            *last = recorded.at.max(*last);
        }
    }

    /// Takes in what another part of the log came to.
    pub fn merge(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.into_iter().chain(other.last).max();
        for (name, (more, when)) in other.decided {
            let (calls, last) = self.decided.entry(name).or_insert((0, when));
            *calls += more;
            *last = when.max(*last);
        }
    }

    /// For how long the log was looked at.
    #[must_use]
    pub fn observed(&self) -> SignedDuration {
        self.first.zip(self.last).map_or(SignedDuration::ZERO, |(first, last)| last.duration_since(first))
    }

    /// Every permit of a bundle.
    #[must_use]
    pub fn grants(&self, snapshot: &Snapshot, days_min: i64) -> Vec<Grant> {
        let long_enough = self.observed() >= SignedDuration::from_hours(24 * days_min) && self.decisions > 0;
        let permits = snapshot.policies().filter(|policy| policy.effect == Effect::Permit);
        permits
            .map(|policy| Grant {
                policy: policy.name.clone(),
                owner: policy.owner.clone(),
                file: Arc::clone(&policy.file),
                line: policy.line,
                used: match self.decided.get(&policy.name) {
                    Some((calls, last)) => Used::Yes { calls: *calls, last: *last },
                    None if snapshot.is_about_targets(&policy.name) => Used::NotRecorded,
                    // Not every reading is recorded.
                    None if snapshot.is_about_verbs(&policy.name) => Used::NotRecorded,
                    None if long_enough => Used::Never,
                    None => Used::NotObservedLongEnough,
                },
            })
            .collect()
    }
}
