//! The permit that is missing least, and what would satisfy it.

use super::{Examined, Explanation, anatomy::Part, examine, judge::Judge};
use crate::{
    engine::{
        Effect, Snapshot,
        look::{Asks, Subject},
    },
    permit::{DenialReason, PolicyName},
    question::Question,
};

/// The permit that is missing least.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Nearest {
    /// Its `@id`.
    pub policy: PolicyName,
    /// What is missing, in words, in order of writing.
    pub needs: Vec<String>,
    /// The policy, if it is for another action or resource and therefore no candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Examined>,
}

/// Fewest clauses missing, then fewest of its head, then by name.
pub(super) fn nearest(
    snapshot: &Snapshot,
    question: &Question,
    asks: &Asks<'_>,
    explanation: &Explanation,
) -> Option<Nearest> {
    let about_targets = explanation.reason == Some(DenialReason::NoTarget);
    let answers = explanation.asked.iter().filter(|answer| answer.target.is_some() == about_targets);
    let candidates = answers.flat_map(|answer| &answer.policies).filter(|policy| policy.effect == Effect::Permit);
    if let Some(found) = candidates.min_by(|a, b| distance(a).cmp(&distance(b))) {
        return Some(Nearest { policy: found.policy.clone(), needs: needs(found), elsewhere: None });
    }
    if about_targets {
        return None;
    }
    // No permit is for this function at all: one that names another function or group may have been meant.
    let ask = asks.asks.iter().find(|ask| ask.subject != Subject::Describe)?;
    let judge = Judge::new(ask, asks);
    let now = question.facts.clock.now;
    let permits =
        snapshot.all().filter(|c| c.info.effect == Effect::Permit && !snapshot.is_about_targets(&c.info.name));
    // Conditions over another function's words would only fail, so the head alone is asked first.
    let near = permits.map(|candidate| examine(&judge, &candidate, now)).filter(|policy| heads(policy) == 1);
    let found = near.min_by(|a, b| distance(a).cmp(&distance(b)))?;
    Some(Nearest { policy: found.policy.clone(), needs: needs(&found), elsewhere: Some(found) })
}

fn needs(policy: &Examined) -> Vec<String> {
    policy.missing().map(|clause| clause.needs.clone()).collect()
}

fn distance(policy: &Examined) -> (usize, usize, &PolicyName) {
    (policy.missing().count(), heads(policy), &policy.policy)
}

fn heads(policy: &Examined) -> usize {
    let head = |part| matches!(part, Part::Principal | Part::Action | Part::Resource);
    policy.missing().filter(|clause| head(clause.part)).count()
}
