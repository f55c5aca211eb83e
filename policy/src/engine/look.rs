//! What explanations need of a snapshot: everything that Cedar is asked for a question, and the policies it concerns.

use super::{Asked, Entry, Prepared, Reads, Snapshot, Standing, Subjected, Unaskable};
use crate::{
    engine::PolicyInfo,
    explain::anatomy::{Clause, clauses},
    permit::{DenialReason, TargetIndex},
    question::{FunctionName, Principal, Question, Verb},
};
use cedar_policy_core::{
    ast::{Context, EntityUID},
    entities::Entities,
};
use jiff::Timestamp;
use std::sync::Arc;

/// What one Cedar request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Running the function.
    Call,
    /// Running it on one of its targets.
    Target(TargetIndex),
    /// Knowing that it exists.
    Describe,
}

/// A policy with what an explanation needs of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) info: &'a PolicyInfo,
    /// What Cedar parsed, from the end of the policy before it to its semicolon.
    pub(crate) text: &'a str,
    /// The text is not the file's own, so lines in it mean nothing.
    pub(crate) generated: bool,
    pub(crate) reads_input: bool,
    pub(crate) clauses: &'a [Clause],
}

/// One request, and the policies whose action and resource hold for it.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) subject: Subject,
    pub(crate) principal: Arc<EntityUID>,
    pub(crate) action: Arc<EntityUID>,
    pub(crate) resource: Arc<EntityUID>,
    /// `None` if nothing is known of it.
    pub(crate) context: Option<Context>,
    pub(crate) candidates: Vec<Candidate<'a>>,
}

/// A place of which nothing is known.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) place: Vec<String>,
    /// It is not known either whether it is there.
    pub(crate) unsure: bool,
}

/// Every request of a question, over the same entities.
#[derive(Debug)]
pub(crate) struct Asks<'a> {
    pub(crate) asks: Vec<Ask<'a>>,
    pub(crate) entities: Entities,
    /// The input was left unread on purpose.
    pub(crate) unread: bool,
    /// No target is needed.
    pub(crate) administrative: bool,
    /// Places that hold only a stand-in, from `context` down.
    pub(crate) open: Vec<Open>,
}

impl<'a> From<&'a Entry> for Candidate<'a> {
    fn from(entry: &'a Entry) -> Self {
        let text = entry.rule.policy.loc().map(|loc| loc.src.as_ref()).unwrap_or_default();
        // A bundle in force was parsed, so it can be taken apart.
        let clauses = entry.clauses.get_or_init(|| clauses(text).unwrap_or_default());
        let (generated, reads_input) = (entry.generated, entry.reads_input);
        Self { info: &entry.info, text, generated, reads_input, clauses }
    }
}

impl Snapshot {
    /// Every request that a question leads to, whatever the answers are.
    pub(crate) fn asks(&self, question: &Question) -> Result<Asks<'_>, Unaskable> {
        let function = self.prepared(&question.function, question.facts.clock.now)?;
        let asked = Asked::new(question, function, &self.ground.directory, Reads::ALL)?;
        let mut asks = Vec::new();
        match question.verb {
            Verb::Call => {
                let context = asked.call_context(question, function)?;
                asks.push(self.one(Subject::Call, &function.call, &asked, Some(context)));
                let targets = function.run_on.iter().enumerate();
                asks.extend(targets.map(|(place, about)| {
                    self.one(Subject::Target(target(place)), about, &asked, Some(asked.facts_context()))
                }));
            }
            Verb::Describe => {
                asks.push(self.one(Subject::Describe, &function.describe, &asked, Some(asked.facts_context())));
            }
        }
        let unread = question.verb == Verb::Call && self.input_unread(question, function);
        Ok(Asks { asks, entities: asked.entities, unread, administrative: function.administrative, open: Vec::new() })
    }

    /// What a caller could be asked about a function, with nothing known of the call.
    pub(crate) fn asks_of(
        &self,
        principal: &Principal,
        name: &FunctionName,
        now: Timestamp,
    ) -> Result<Asks<'_>, Unaskable> {
        let question = Question::of(principal.clone(), name.clone(), now);
        let function = self.prepared(name, now)?;
        if !function.principals.contains(&principal.kind) {
            let error = format!("`{name}` is not for callers of the kind {}", principal.kind.as_str());
            return Err(Unaskable { reason: DenialReason::NotPermitted, error });
        }
        let asked = Asked::new(&question, function, &self.ground.directory, Reads::ALL)?;
        let mut asks = vec![self.one(Subject::Call, &function.call, &asked, None)];
        let targets = function.run_on.iter().enumerate();
        asks.extend(targets.map(|(place, about)| self.one(Subject::Target(target(place)), about, &asked, None)));
        let administrative = function.administrative;
        Ok(Asks { asks, entities: asked.entities, unread: false, administrative, open: Vec::new() })
    }

    /// The policies whose action and resource fit the call of a function.
    pub(crate) fn of_function(&self, name: &FunctionName) -> Vec<Candidate<'_>> {
        self.functions.get(name).map(|function| self.of(&function.call)).unwrap_or_default()
    }

    /// Every policy in force, for people who look for one that nearly fits.
    pub(crate) fn all(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.policies.iter().map(Candidate::from)
    }

    /// What is asked about. A bundle whose time is over lets nobody call, but still says who may replace it.
    pub(super) fn prepared(&self, name: &FunctionName, now: Timestamp) -> Result<&Prepared, Unaskable> {
        let found = self.functions.get(name).map(AsRef::as_ref);
        let administrative = found.is_some_and(|asked| asked.administrative);
        if let (Standing::Ended, Some(until), false) =
            (self.validity.standing(now), self.validity.until(), administrative)
        {
            let error = format!("the bundle expired at {until}");
            return Err(Unaskable { reason: DenialReason::BundleExpired, error });
        }
        let absent = || Unaskable {
            reason: DenialReason::AbsentEntity,
            error: format!("the function `{name}` is not in this bundle"),
        };
        found.ok_or_else(absent)
    }

    fn one(&self, subject: Subject, about: &Subjected, asked: &Asked, context: Option<Context>) -> Ask<'_> {
        Ask {
            subject,
            principal: Arc::clone(&asked.me),
            action: Arc::clone(&about.action),
            resource: Arc::clone(&about.resource),
            context,
            candidates: self.of(about),
        }
    }

    fn of(&self, subject: &Subjected) -> Vec<Candidate<'_>> {
        subject.slice.places().iter().filter_map(|place| self.entry(*place)).map(Candidate::from).collect()
    }
}

fn target(place: usize) -> TargetIndex {
    TargetIndex(u16::try_from(place).unwrap_or(u16::MAX))
}
