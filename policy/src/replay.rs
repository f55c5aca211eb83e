//! Recorded decisions, asked again of another bundle. It takes questions one at a time and keeps counts.

use crate::{
    engine::{Snapshot, looks::Looks},
    explain::hidden::Hidden,
    permit::{DenialReason, PolicyName},
    question::{FunctionName, Question},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// Most call ids that are shown for one kind of change.
const SUCH_AS_MAX: usize = 3;

/// A decision as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The call's id.
    pub call: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// What was asked, or why that can't be asked again.
    pub question: Result<Question, Why>,
    /// What of it is not in the record, and why: places from `facts`, `path`, `query` or `input` down.
    pub lost: Vec<(Vec<String>, Why)>,
    /// What of the input was recorded at all; `None` is all of it.
    pub recorded: Option<Looks>,
    /// Whether it was allowed.
    pub allowed: bool,
    /// The policies that decided.
    pub determining: Vec<PolicyName>,
}

/// Why a decision can't be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A secret that a policy looks at was left out of the record.
    Redacted,
    /// Something that a policy looks at is only a hash in the record.
    Hashed,
    /// Something that a policy looks at is encrypted in the record.
    Encrypted,
    /// Something that a policy looks at is configured not to be recorded.
    Dropped,
    /// The record was too large, and was cut.
    Truncated,
    /// A policy looks at something of the input now, and none did then.
    InputNotRecorded,
    /// The function is not in the bundle.
    UnknownFunction,
    /// The record is of another format, or broken.
    Unreadable,
}

impl Why {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Redacted => "a secret that policy looks at was left out of the record",
            Self::Hashed => "something that policy looks at is only a hash in the record",
            Self::Encrypted => "something that policy looks at is encrypted in the record",
            Self::Dropped => "something that policy looks at is configured not to be recorded",
            Self::Truncated => "the record was too large, and was cut",
            Self::InputNotRecorded => {
                "policy looks at an input now that it did not look at then, so it is not in the record"
            }
            Self::UnknownFunction => "the function is not in this bundle",
            Self::Unreadable => "the record is of another format, or broken",
        }
    }
}

/// What came of a replay.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replay {
    /// Decisions that were asked again.
    pub replayed: u64,
    /// Decided as before.
    pub same: u64,
    /// Decided otherwise, by function and policies.
    pub flips: Vec<Flip>,
    /// Decisions that could not be asked again.
    pub not_replayed: BTreeMap<Why, u64>,
    /// Time of the first decision.
    pub first: Option<Timestamp>,
    /// Time of the last.
    pub last: Option<Timestamp>,
}

/// Decisions of one function that turned for one reason.
#[derive(Clone, Debug, Serialize)]
pub struct Flip {
    /// Which way.
    pub turn: Turn,
    /// The function.
    pub function: FunctionName,
    /// Why it is denied now, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<DenialReason>,
    /// The policies that decide now; the permits of then where none permits now.
    pub policies: Vec<PolicyName>,
    /// How many.
    pub calls: u64,
    /// Ids of the first of them.
    pub such_as: Vec<Arc<str>>,
}

/// Which way a decision turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Denied then, allowed now.
    NewlyAllowed,
    /// Allowed then, denied now.
    NewlyDenied,
}

impl Replay {
    /// Asks one decision again.
    pub fn add(&mut self, recorded: Recorded, snapshot: &Snapshot) {
        self.first = Some(self.first.map_or(recorded.at, |first| first.min(recorded.at)));
        self.last = Some(self.last.map_or(recorded.at, |last| last.max(recorded.at)));
        let question = match askable(&recorded, snapshot) {
            Ok(question) => question,
            Err(why) => {
                *self.not_replayed.entry(why).or_default() += 1;
                return;
            }
        };
        self.replayed += 1;
        let function = question.function.clone();
        let (allowed, reason, policies) = match snapshot.decide(question) {
            Ok(permit) => (true, None, permit.terms().determining().to_vec()),
            Err(denial) => (false, Some(denial.reason), denial.determining.to_vec()),
        };
        if allowed == recorded.allowed {
            self.same += 1;
            return;
        }
        let turn = if allowed { Turn::NewlyAllowed } else { Turn::NewlyDenied };
        let policies = if reason == Some(DenialReason::NotPermitted) { recorded.determining } else { policies };
        self.flip(Flip { turn, function, reason, policies, calls: 1, such_as: vec![recorded.call] });
    }

    /// Takes in what another part of the log came to.
    pub fn merge(&mut self, other: Self) {
        self.replayed += other.replayed;
        self.same += other.same;
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.into_iter().chain(other.last).max();
        for (why, number) in other.not_replayed {
            *self.not_replayed.entry(why).or_default() += number;
        }
        other.flips.into_iter().for_each(|flip| self.flip(flip));
    }

    fn flip(&mut self, flip: Flip) {
        let alike = |known: &&mut Flip| {
            (known.turn, &known.function, known.reason, &known.policies)
                == (flip.turn, &flip.function, flip.reason, &flip.policies)
        };
        match self.flips.iter_mut().find(alike) {
            Some(known) => {
                known.calls += flip.calls;
                known.such_as.extend(flip.such_as);
                // Call ids are made in order of time.
                known.such_as.sort_unstable();
                known.such_as.truncate(SUCH_AS_MAX);
            }
            None => self.flips.push(flip),
        }
    }

    /// How many calls would be allowed that were denied.
    #[must_use]
    pub fn newly_allowed(&self) -> u64 {
        self.turned(Turn::NewlyAllowed)
    }

    /// How many calls would be denied that were allowed.
    #[must_use]
    pub fn newly_denied(&self) -> u64 {
        self.turned(Turn::NewlyDenied)
    }

    fn turned(&self, turn: Turn) -> u64 {
        self.flips.iter().filter(|flip| flip.turn == turn).map(|flip| flip.calls).sum()
    }
}

/// The question as this bundle can be asked it.
fn askable(recorded: &Recorded, snapshot: &Snapshot) -> Result<Question, Why> {
    let mut question = recorded.question.clone()?;
    if snapshot.vocabulary().function_text(&question.function).is_none() {
        return Err(Why::UnknownFunction);
    }
    if !snapshot.needs_input(&question.function, &question.principal) {
        // Nothing of it counts, so it need not be whole.
        question.input = None;
    } else if question.input.is_none() {
        return Err(Why::InputNotRecorded);
    }
    let looks = snapshot.looks(&question);
    let counts = |place: &[String]| (question.input.is_some() || !is_input(place)) && looks.touches(place);
    if let Some((_, why)) = recorded.lost.iter().find(|(place, _)| counts(place)) {
        return Err(*why);
    }
    let Some(input) = &recorded.recorded else { return Ok(filled(question, recorded, snapshot)) };
    if question.input.is_some() && looks.within("input").places().any(|place| !input.covers(place)) {
        return Err(Why::InputNotRecorded);
    }
    Ok(filled(question, recorded, snapshot))
}

/// With something in the places that are not in the record, none of which counts.
fn filled(question: Question, recorded: &Recorded, snapshot: &Snapshot) -> Question {
    let mut hidden = Hidden::default();
    let has_input = question.input.is_some();
    let lost = recorded.lost.iter().filter(|(place, _)| has_input || !is_input(place));
    lost.for_each(|(place, _)| hidden.hide(place.clone()));
    let mut question = if hidden.is_empty() { question } else { hidden.filled(snapshot, &question).0 };
    if recorded.recorded.is_some() {
        snapshot.complete(&mut question);
    }
    question
}

fn is_input(place: &[String]) -> bool {
    place.first().is_some_and(|first| first == "input")
}

impl Recorded {
    /// Whether something of the input is not in the record as it was.
    #[must_use]
    pub fn input_lost(&self) -> bool {
        self.lost.iter().any(|(place, _)| is_input(place))
    }

    /// Whether something besides the input is not in the record as it was.
    #[must_use]
    pub fn others_lost(&self) -> bool {
        self.lost.iter().any(|(place, _)| !is_input(place))
    }
}

#[cfg(test)]
mod tests;
