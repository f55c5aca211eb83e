//! `policy what-if`: a question with some of its facts changed; what was answered, what would be, which clauses flip.

use super::{Exit, Format, write_json};
use crate::{
    engine::Snapshot,
    explain::{
        Decision, Explanation, explain_with,
        hidden::Hidden,
        human,
        judge::{Came, Judged},
    },
    permit::{PolicyName, TargetIndex},
    question::{Question, places},
};
use serde::Serialize;
use std::{
    io::{self, Write},
    sync::Arc,
};

/// A change of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `PLACE=VALUE`
    Set(String, String),
    /// A place that is to be empty.
    Unset(String),
}

/// A clause that comes out otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Flip {
    /// Its policy.
    pub policy: PolicyName,
    /// The target, when it is about where to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetIndex>,
    /// Line in the policy's file.
    pub line: usize,
    /// As it was written.
    pub text: Arc<str>,
    /// What came of it.
    pub before: Came,
    /// What would come of it.
    pub after: Came,
}

/// Applies changes, one after the other.
///
/// # Errors
/// The first that can't be made.
pub fn changed(question: &Question, snapshot: &Snapshot, changes: &[Change]) -> Result<Question, String> {
    changes.iter().try_fold(question.clone(), |question, change| match change {
        Change::Set(place, text) => places::set(&question, snapshot.vocabulary(), place, text),
        Change::Unset(place) => places::unset(&question, snapshot.vocabulary(), place),
    })
}

/// Explains a question before and after changes. A place that is set is no longer hidden.
///
/// # Errors
/// When `out` can't be written.
pub fn what_if(
    snapshot: &Snapshot,
    (question, hidden): (&Question, &Hidden),
    changes: &[Change],
    format: Format,
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let after = match changed(question, snapshot, changes) {
        Ok(after) => after,
        Err(error) => {
            match format {
                Format::Human => writeln!(out, "error: {error}")?,
                Format::Json => write_json(&serde_json::json!({ "error": error }), out)?,
            }
            return Ok(Exit::Invalid);
        }
    };
    let mut left = hidden.clone();
    for change in changes {
        let (Change::Set(place, _) | Change::Unset(place)) = change;
        left.reveal(place);
    }
    let before = explain_with(snapshot, question, hidden);
    let after = explain_with(snapshot, &after, &left);
    let flips = flips(&before, &after);
    match format {
        Format::Human => human_flips(&before, &after, &flips, out)?,
        Format::Json => {
            write_json(&serde_json::json!({ "before": before, "after": after, "flipped": flips }), out)?;
        }
    }
    Ok(match after.decision {
        Decision::Allow => Exit::Ok,
        Decision::Deny => Exit::Denied,
        Decision::Unknown => Exit::Failed,
    })
}

fn human_flips(before: &Explanation, after: &Explanation, flips: &[Flip], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "before: {}", human::sentence(before))?;
    writeln!(out, "after:  {}", human::sentence(after))?;
    if flips.is_empty() {
        writeln!(out, "no clause comes out otherwise")?;
    }
    for flip in flips {
        let target = flip.target.map(|target| format!(", target {}", target.0)).unwrap_or_default();
        let (before, after) = (word(flip.before), word(flip.after));
        writeln!(out, "  `{}`{target}, line {}: {}    {before} -> {after}", flip.policy, flip.line, flip.text)?;
    }
    if after.decision != Decision::Allow {
        writeln!(out, "\nwhy it is not allowed after the change:")?;
        human::write(after, out)?;
    }
    Ok(())
}

fn word(came: Came) -> &'static str {
    match came {
        Came::Holds => "holds",
        Came::Fails => "does not hold",
        Came::Error => "can't be evaluated",
        Came::Unknown => "not known",
    }
}

/// Clauses are the same if their policy, subject and place are.
fn flips(before: &Explanation, after: &Explanation) -> Vec<Flip> {
    let mut flips = Vec::new();
    for (old, new) in before.asked.iter().zip(&after.asked) {
        for (old, policy) in old.policies.iter().zip(&new.policies).filter(|(old, new)| old.policy == new.policy) {
            let conditions = |clauses: &[Judged]| -> Vec<Judged> {
                clauses.iter().filter(|clause| clause.part != crate::explain::anatomy::Part::Expires).cloned().collect()
            };
            for (old, clause) in conditions(&old.clauses).iter().zip(&conditions(&policy.clauses)) {
                if old.came != clause.came {
                    flips.push(Flip {
                        policy: policy.policy.clone(),
                        target: new.target,
                        line: clause.line,
                        text: Arc::clone(&clause.text),
                        before: old.came,
                        after: clause.came,
                    });
                }
            }
        }
    }
    flips
}
