//! Why a question is answered as it is: every candidate policy down to the clause, and what would change the answer.

use crate::{
    engine::{
        Effect, Snapshot,
        look::{Ask, Asks, Candidate, Subject},
        request::Unaskable,
    },
    permit::{BundleId, DenialReason, PolicyName, TargetIndex},
    question::{Question, Verb},
};
use anatomy::{Clause, Part};
use hidden::Hidden;
use jiff::Timestamp;
use judge::{Came, Judge, Judged};
use std::sync::Arc;

pub mod anatomy;
pub mod hidden;
pub mod human;
pub mod judge;
mod nearest;
mod open;
pub mod read;
#[cfg(test)]
mod tests;
mod words;

pub use nearest::Nearest;

/// Why a question is answered as it is.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Explanation {
    /// The bundle that answers.
    pub bundle: BundleId,
    /// Yes, no, or not known.
    pub decision: Decision,
    /// Why not.
    pub reason: Option<DenialReason>,
    /// Why Cedar was not even asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unaskable: Option<String>,
    /// The policies that decide.
    pub determining: Vec<PolicyName>,
    /// Every request that was made for it: the call, then each of its targets.
    pub asked: Vec<Answer>,
    /// The permit that is missing least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Nearest>,
    /// What would be answered if the policies in shadow were in force, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Box<Explanation>>,
    /// Places of the question that are not known, so that no answer depends on a guess.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
    /// It depends on what is not known.
    Unknown,
}

/// What one request came to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Answer {
    /// The target, when it is about where to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetIndex>,
    /// Yes, no, or not known.
    pub decision: Decision,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<DenialReason>,
    /// The policies that decide.
    pub determining: Vec<PolicyName>,
    /// Every policy whose action and resource fit.
    pub policies: Vec<Examined>,
}

/// A policy with what came of its clauses.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Examined {
    /// Its `@id`.
    pub policy: PolicyName,
    /// What it does.
    pub effect: Effect,
    /// Its `@owner`.
    pub owner: Option<Arc<str>>,
    /// Its `@description`.
    pub description: Option<Arc<str>>,
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Line of its first word, from 1.
    pub line: usize,
    /// Whether it applies.
    pub came: Came,
    /// The first clause that does not hold, by its place in `clauses`.
    pub first: Option<usize>,
    /// Every clause.
    pub clauses: Vec<Judged>,
}

/// Explains what a snapshot answers to a question of which everything is known.
#[must_use]
pub fn explain(snapshot: &Snapshot, question: &Question) -> Explanation {
    explain_with(snapshot, question, &Hidden::default())
}

/// Explains what a snapshot answers to a question of which some places are not known.
#[must_use]
pub fn explain_with(snapshot: &Snapshot, question: &Question, hidden: &Hidden) -> Explanation {
    let mut explanation = Explanation {
        bundle: snapshot.id().clone(),
        decision: Decision::Deny,
        reason: None,
        unaskable: None,
        determining: Vec::new(),
        asked: Vec::new(),
        nearest: None,
        shadow: None,
        hidden: hidden.places().map(ToOwned::to_owned).collect(),
    };
    let asks = match hidden.asks(snapshot, question) {
        Ok(asks) => asks,
        Err(Unaskable { reason, error }) => {
            explanation.reason = Some(reason);
            explanation.unaskable = Some(error);
            return explanation;
        }
    };
    let twin = snapshot.twin().map(|twin| Box::new(explain_with(twin, question, hidden)));
    let now = question.facts.clock.now;
    explanation.asked = asks.asks.iter().map(|ask| answer(ask, &asks, now)).collect();
    explanation.settle(asks.administrative || question.verb == Verb::Describe);
    if explanation.decision != Decision::Allow && explanation.reason != Some(DenialReason::Forbidden) {
        explanation.nearest = nearest::nearest(snapshot, question, &asks, &explanation);
    }
    explanation.shadow = twin.filter(|twin| (twin.decision, twin.reason) != (explanation.decision, explanation.reason));
    explanation
}

impl Explanation {
    /// One decision of all answers, as the gateway draws it.
    fn settle(&mut self, without_target: bool) {
        let Some(first) = self.asked.first() else { return };
        (self.decision, self.reason) = (first.decision, first.reason);
        self.determining.clone_from(&first.determining);
        if without_target || self.decision == Decision::Deny {
            return;
        }
        let targets: Vec<_> = self.asked.iter().skip(1).collect();
        if targets.iter().any(|answer| answer.decision == Decision::Allow) {
            return;
        }
        if targets.iter().any(|answer| answer.decision == Decision::Unknown) {
            self.decision = Decision::Unknown;
            return;
        }
        let mut determining: Vec<_> = targets.iter().flat_map(|answer| answer.determining.iter().cloned()).collect();
        determining.sort_unstable();
        determining.dedup();
        (self.decision, self.reason, self.determining) = (Decision::Deny, Some(DenialReason::NoTarget), determining);
    }
}

pub(crate) fn answer(ask: &Ask<'_>, asks: &Asks<'_>, now: Timestamp) -> Answer {
    let judge = Judge::new(ask, asks);
    let policies: Vec<_> = ask.candidates.iter().map(|candidate| examine(&judge, candidate, now)).collect();
    let (decision, reason, determining) = verdict(&policies, ask, asks.unread);
    let target = match ask.subject {
        Subject::Target(target) => Some(target),
        Subject::Call | Subject::Describe => None,
    };
    Answer { target, decision, reason, determining, policies }
}

/// Cedar's rule over the policies as they were examined, and ours: an error denies.
fn verdict(policies: &[Examined], ask: &Ask<'_>, unread: bool) -> (Decision, Option<DenialReason>, Vec<PolicyName>) {
    let named = |effect: Effect, came: Came| -> Vec<PolicyName> {
        let found = policies.iter().filter(|policy| policy.effect == effect && policy.came == came);
        let mut names: Vec<_> = found.map(|policy| policy.policy.clone()).collect();
        names.sort_unstable();
        names
    };
    let forbids = named(Effect::Forbid, Came::Holds);
    if !forbids.is_empty() {
        return (Decision::Deny, Some(DenialReason::Forbidden), forbids);
    }
    let permits = named(Effect::Permit, Came::Holds);
    let reads_input = |name: &PolicyName| ask.candidates.iter().any(|c| c.info.name == *name && c.reads_input);
    let mut errors = [named(Effect::Permit, Came::Error), named(Effect::Forbid, Came::Error)].concat();
    // What fails only for want of an input that nobody read is no reason where nothing permits anyway.
    errors.retain(|name| !unread || !permits.is_empty() || !reads_input(name));
    errors.sort_unstable();
    let open = |effect| policies.iter().any(|policy| policy.effect == effect && policy.came == Came::Unknown);
    if !errors.is_empty() {
        // Whether it is denied for the error or forbidden may be open; that it is denied is not.
        return (Decision::Deny, Some(DenialReason::PolicyError), errors);
    }
    if permits.is_empty() {
        return match open(Effect::Permit) {
            true => (Decision::Unknown, None, Vec::new()),
            false => (Decision::Deny, Some(DenialReason::NotPermitted), Vec::new()),
        };
    }
    if open(Effect::Forbid) { (Decision::Unknown, None, Vec::new()) } else { (Decision::Allow, None, permits) }
}

/// Tells of every condition that was met on the way to an answer, and whether it was true.
///
/// As in the engine, targets are asked about only if the call is allowed.
pub(crate) fn conditions_met(
    snapshot: &Snapshot,
    question: &Question,
    allowed: bool,
    met: &mut dyn FnMut(&PolicyName, usize, bool),
) {
    let Ok(asks) = snapshot.asks(question) else { return };
    for ask in asks.asks.iter().filter(|ask| allowed || !matches!(ask.subject, Subject::Target(_))) {
        let judge = Judge::new(ask, &asks);
        for candidate in &ask.candidates {
            for (place, clause) in candidate.clauses.iter().enumerate() {
                let (came, _) = judge.came(clause);
                if clause.part.is_condition() && matches!(came, Came::Holds | Came::Fails) {
                    met(&candidate.info.name, place, (came == Came::Holds) == clause.wanted);
                }
                if came != Came::Holds {
                    break;
                }
            }
        }
    }
}

/// A policy with every clause judged; the first that does not hold decides.
fn examine(judge: &Judge<'_>, candidate: &Candidate<'_>, now: Timestamp) -> Examined {
    let info = candidate.info;
    let mut judged: Vec<Judged> = Vec::new();
    let mut first = None;
    if let Some(expires) = info.expires.filter(|expires| now >= *expires) {
        first = Some(0);
        judged.push(expired(expires, info.line));
    }
    for clause in candidate.clauses {
        let clause = judge.judge(clause, line(candidate, clause), first.is_some());
        // What is open may fail, so what comes after it is not past.
        if first.is_none() && matches!(clause.came, Came::Fails | Came::Error) {
            first = Some(judged.len());
        }
        judged.push(clause);
    }
    let open = judged.iter().position(|clause| clause.came == Came::Unknown);
    let came = match (first.and_then(|place| judged.get(place)), open) {
        // An error behind something open is met only if that holds.
        (Some(clause), Some(open)) if clause.came == Came::Error && first > Some(open) => Came::Unknown,
        (Some(clause), _) => clause.came,
        (None, Some(_)) => Came::Unknown,
        (None, None) => Came::Holds,
    };
    Examined {
        policy: info.name.clone(),
        effect: info.effect,
        owner: info.owner.clone(),
        description: info.description.clone(),
        file: Arc::clone(&info.file),
        line: info.line,
        came,
        first: first.or(open),
        clauses: judged,
    }
}

fn expired(expires: Timestamp, line: usize) -> Judged {
    let text: Arc<str> = format!("@expires: it granted until {expires}").into();
    Judged {
        part: Part::Expires,
        text,
        line,
        wanted: true,
        came: Came::Fails,
        past: false,
        reads: Vec::new(),
        because: Vec::new(),
        error: None,
        needs: "it must be renewed by its owner".to_owned(),
    }
}

/// Line of a clause in its file: the policy's own, and the lines between its first word and the clause.
pub(crate) fn line(candidate: &Candidate<'_>, clause: &Clause) -> usize {
    if candidate.generated {
        return candidate.info.line;
    }
    let first = crate::bundle::split::tokens(candidate.text).first().map_or(0, |token| token.range.start);
    let between = candidate.text.get(first..clause.range.start).unwrap_or_default();
    candidate.info.line + between.matches('\n').count()
}

impl Examined {
    /// The clause that decided, if one did.
    #[must_use]
    pub fn first(&self) -> Option<&Judged> {
        self.first.and_then(|place| self.clauses.get(place))
    }

    /// The clauses that do not hold.
    pub fn missing(&self) -> impl Iterator<Item = &Judged> {
        self.clauses.iter().filter(|clause| clause.came != Came::Holds)
    }
}
