//! A recorded decision asked again, clause by clause, with the policies that are on disk now.

use super::Record;
use crate::command::{asked, audit::line::printable};
use policy::{
    engine::Snapshot,
    explain::{Decision, Explanation, explain_with, human},
    permit::BundleId,
};
use serde::Serialize;
use std::io::{self, Write};

/// What asking again showed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Clauses {
    /// What the policies answer.
    Again(Box<Again>),
    /// Why it can't be asked again.
    Not {
        /// In words.
        not_asked_again: String,
    },
}

/// What the policies answer.
#[derive(Debug, Serialize)]
pub(super) struct Again {
    /// The bundle that decided.
    decided_by: BundleId,
    /// Whether it is the one on disk.
    same_bundle: bool,
    /// Whether what is answered now is what was answered then.
    same_answer: bool,
    explanation: Explanation,
}

/// Asks again what was recorded.
pub(super) fn of(records: &[Record], snapshot: &Snapshot) -> Clauses {
    let bodies: Vec<_> = records.iter().map(|(_, body)| body).collect();
    match asked::recorded(&bodies, snapshot) {
        Err(not_asked_again) => Clauses::Not { not_asked_again },
        Ok(recorded) => {
            let explanation = explain_with(snapshot, &recorded.question, &recorded.hidden);
            let same_answer = match recorded.denied {
                None => explanation.decision == Decision::Allow,
                Some(reason) => explanation.decision == Decision::Deny && explanation.reason == Some(reason),
            };
            let same_bundle = *snapshot.id() == recorded.bundle;
            Clauses::Again(Box::new(Again { decided_by: recorded.bundle, same_bundle, same_answer, explanation }))
        }
    }
}

impl Clauses {
    /// Writes it for people, after the story.
    pub(super) fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let again = match self {
            Self::Not { not_asked_again } => return writeln!(out, "\nno clauses: {not_asked_again}"),
            Self::Again(again) => again,
        };
        if again.same_bundle {
            writeln!(out, "\nclause by clause, with the policies that decided:")?;
        } else {
            let changed = match again.same_answer {
                true => "today's give the same answer:",
                false => "today's give ANOTHER answer:",
            };
            let (then, now) = (printable(&again.decided_by.0), printable(&again.explanation.bundle.0));
            writeln!(out, "\nTHE POLICIES HAVE CHANGED SINCE; {changed}")?;
            writeln!(out, "  decided by {then}\n  on disk is {now}")?;
        }
        let mut text = Vec::new();
        human::write(&again.explanation, &mut text)?;
        String::from_utf8_lossy(&text).lines().try_for_each(|line| writeln!(out, "  {}", printable(line)))
    }
}
