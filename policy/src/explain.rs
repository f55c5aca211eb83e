//! A recorded decision in plain words: what was decided, by which policies, and where they stand.

use crate::{
    engine::{Effect, Snapshot},
    permit::{BundleId, Denial, DenialReason, PolicyName, Terms},
    question::{Question, Verb},
};
use std::sync::Arc;

/// What was asked and answered, as a record keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// What was asked.
    pub question: &'a Question,
    /// Which bundle decided.
    pub bundle: &'a BundleId,
    /// Why it was denied; `None` when it was allowed.
    pub reason: Option<DenialReason>,
    /// The policies that decided.
    pub determining: &'a [PolicyName],
    /// Errors and absent entities, in words.
    pub errors: &'a [String],
}

/// Why a call was answered as it was.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Explanation {
    /// Whether it was allowed.
    pub decision: Decision,
    /// Why not.
    pub reason: Option<DenialReason>,
    /// The policies that decided.
    pub determining: Vec<Determining>,
    /// The whole in sentences.
    pub sentences: Vec<String>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The call was allowed.
    Allow,
    /// The call was denied.
    Deny,
}

/// A policy that decided. All but its name are absent when the snapshot no longer has it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Determining {
    /// Its `@id`.
    pub policy: PolicyName,
    /// What it does.
    pub effect: Option<Effect>,
    /// Its `@owner`.
    pub owner: Option<Arc<str>>,
    /// The file as the user named it.
    pub file: Option<Arc<str>>,
    /// Line of its first word, from 1.
    pub line: Option<usize>,
}

impl<'a> From<&'a Terms> for Recorded<'a> {
    fn from(terms: &'a Terms) -> Self {
        Self {
            question: terms.question(),
            bundle: terms.bundle(),
            reason: None,
            determining: terms.determining(),
            errors: &[],
        }
    }
}

impl<'a> From<&'a Denial> for Recorded<'a> {
    fn from(denial: &'a Denial) -> Self {
        Self {
            question: &denial.question,
            bundle: &denial.bundle,
            reason: Some(denial.reason),
            determining: &denial.determining,
            errors: &denial.errors,
        }
    }
}

/// Explains a decision with the policies of a snapshot, best the one that decided.
#[must_use]
pub fn explain(snapshot: &Snapshot, recorded: Recorded<'_>) -> Explanation {
    let determining: Vec<_> = recorded.determining.iter().map(|name| determining(snapshot, name)).collect();
    let question = recorded.question;
    let principal = &question.principal;
    let verb = match question.verb {
        Verb::Call => "call",
        Verb::Describe => "know of",
    };
    let kind = principal.kind.as_str();
    let mut sentences = vec![format!("{kind} `{}` asked to {verb} `{}`.", principal.id, question.function)];
    let policies: Vec<_> = determining.iter().map(ToString::to_string).collect();
    sentences.push(verdict(recorded.reason, &policies.join(" and ")));
    if recorded.reason == Some(DenialReason::NotPermitted) && recorded.errors.is_empty() {
        sentences.push(permits(snapshot, question));
    }
    sentences.extend(recorded.errors.iter().map(|error| format!("Policy said: {error}.")));
    if recorded.bundle != snapshot.id() {
        sentences.push(format!("Bundle {} decided; these words are of bundle {}.", recorded.bundle, snapshot.id()));
    }
    let decision = if recorded.reason.is_some() { Decision::Deny } else { Decision::Allow };
    Explanation { decision, reason: recorded.reason, determining, sentences }
}

fn verdict(reason: Option<DenialReason>, policies: &str) -> String {
    match reason {
        None => format!("It was allowed by {policies}, and nothing forbade it."),
        Some(DenialReason::Forbidden) => {
            format!("It was denied by {policies}. A forbid wins over every permit.")
        }
        Some(DenialReason::NotPermitted) => "It was denied because no permit was satisfied.".to_owned(),
        Some(DenialReason::PolicyError) if policies.is_empty() => {
            "It was denied because the question does not fit the vocabulary.".to_owned()
        }
        Some(DenialReason::PolicyError) => format!("It was denied because {policies} could not be evaluated."),
        Some(DenialReason::BundleExpired) => {
            "It was denied because the time for which its policies were signed is over.".to_owned()
        }
        Some(DenialReason::AbsentEntity) => {
            "It was denied because it names somebody or something that nothing vouches for.".to_owned()
        }
        Some(DenialReason::NoTarget) if policies.is_empty() => {
            "It was permitted, but no permit lets it run on any of its targets.".to_owned()
        }
        Some(DenialReason::NoTarget) => {
            format!("It was permitted, but it may run on none of its targets: {policies}.")
        }
    }
}

/// Which permits were written for such a caller and function at all.
fn permits(snapshot: &Snapshot, question: &Question) -> String {
    let in_scope = snapshot.in_scope(question).into_iter();
    let of_function =
        in_scope.filter(|policy| policy.effect == Effect::Permit && !snapshot.is_about_targets(&policy.name));
    let names: Vec<_> = of_function.map(|policy| format!("`{}`", policy.name)).collect();
    if names.is_empty() {
        return "No permit is written for this caller and function.".to_owned();
    }
    format!("For this caller and function there is {}; its conditions did not hold.", names.join(", "))
}

fn determining(snapshot: &Snapshot, name: &PolicyName) -> Determining {
    let info = snapshot.policy(name);
    Determining {
        policy: name.clone(),
        effect: info.map(|info| info.effect),
        owner: info.and_then(|info| info.owner.clone()),
        file: info.map(|info| Arc::clone(&info.file)),
        line: info.map(|info| info.line),
    }
}

impl std::fmt::Display for Determining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.effect {
            Some(Effect::Permit) => f.write_str("permit ")?,
            Some(Effect::Forbid) => f.write_str("forbid ")?,
            None => f.write_str("policy ")?,
        }
        write!(f, "`{}`", self.policy)?;
        let place = self.file.as_ref().zip(self.line).map(|(file, line)| format!("{file}:{line}"));
        let owner = self.owner.as_ref().map(|owner| format!("owner {owner}"));
        let notes: Vec<_> = place.into_iter().chain(owner).collect();
        if notes.is_empty() { Ok(()) } else { write!(f, " ({})", notes.join(", ")) }
    }
}

#[cfg(test)]
mod tests;
