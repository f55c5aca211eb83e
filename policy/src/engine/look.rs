//! What explanations need of a snapshot: everything that Cedar is asked for a question, and the policies it concerns.

use super::{Asked, Entry, Snapshot, Subjected, Unaskable};
use crate::{
    engine::PolicyInfo,
    explain::anatomy::{Clause, clauses},
    permit::{DenialReason, TargetIndex},
    question::{FunctionName, Principal, Question, Verb},
};
use cedar_policy::EntityUid;
use cedar_policy_core::{ast, entities::Entities};
use jiff::Timestamp;

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
    pub(crate) text: &'a str,
    pub(crate) reads_input: bool,
    pub(crate) clauses: &'a [Clause],
}

/// One request, and the policies whose action and resource hold for it.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) subject: Subject,
    pub(crate) principal: ast::EntityUID,
    pub(crate) action: ast::EntityUID,
    pub(crate) resource: ast::EntityUID,
    /// `None` if nothing is known of it.
    pub(crate) context: Option<ast::Context>,
    pub(crate) candidates: Vec<Candidate<'a>>,
}

/// Every request of a question, over the same entities.
#[derive(Debug)]
pub(crate) struct Asks<'a> {
    pub(crate) asks: Vec<Ask<'a>>,
    pub(crate) entities: Entities,
    /// The input was left unread on purpose.
    pub(crate) unread: bool,
    /// Places that hold only a stand-in, from `context` down.
    pub(crate) open: Vec<Vec<String>>,
}

impl<'a> From<&'a Entry> for Candidate<'a> {
    fn from(entry: &'a Entry) -> Self {
        // A bundle in force was parsed, so it can be taken apart.
        let clauses = entry.clauses.get_or_init(|| clauses(&entry.text).unwrap_or_default());
        Self { info: &entry.info, text: &entry.text, reads_input: entry.reads_input, clauses }
    }
}

impl Snapshot {
    /// Every request that a question leads to, whatever the answers are.
    pub(crate) fn asks(&self, question: &Question) -> Result<Asks<'_>, Unaskable> {
        let Some(function) = self.functions.get(&question.function) else {
            let error = format!("the function `{}` is not in this bundle", question.function);
            return Err(Unaskable { reason: DenialReason::AbsentEntity, error });
        };
        let asked = Asked::new(question, function, &self.directory)?;
        let facts = asked.facts_context()?;
        let principal: &ast::EntityUID = asked.principal.as_ref();
        let ask = |subject: Subject, about: &Subjected, context: &cedar_policy::Context| Ask {
            subject,
            principal: principal.clone(),
            action: core(&about.action),
            resource: core(&about.resource),
            context: Some(AsRef::<ast::Context>::as_ref(context).clone()),
            candidates: self.of(about),
        };
        let mut asks = Vec::new();
        match question.verb {
            Verb::Call => {
                asks.push(ask(Subject::Call, &function.call, &asked.call_context(question, function)?));
                for (place, target) in function.run_on.iter().enumerate() {
                    let place = TargetIndex(u16::try_from(place).unwrap_or(u16::MAX));
                    asks.push(ask(Subject::Target(place), target, &facts));
                }
            }
            Verb::Describe => asks.push(ask(Subject::Describe, &function.describe, &facts)),
        }
        let unread = question.verb == Verb::Call && self.input_unread(question, function);
        let entities: &Entities = asked.entities.as_ref();
        Ok(Asks { asks, entities: entities.clone(), unread, open: Vec::new() })
    }

    /// What a caller could be asked about a function, with nothing known of the call.
    pub(crate) fn asks_of(
        &self,
        principal: &Principal,
        name: &FunctionName,
        now: Timestamp,
    ) -> Result<Asks<'_>, Unaskable> {
        let question = Question::of(principal.clone(), name.clone(), now);
        let Some(function) = self.functions.get(name) else {
            return Err(Unaskable {
                reason: DenialReason::AbsentEntity,
                error: format!("there is no function `{name}`"),
            });
        };
        if !function.principals.contains(&principal.kind) {
            let error = format!("`{name}` is not for callers of the kind {}", principal.kind.as_str());
            return Err(Unaskable { reason: DenialReason::NotPermitted, error });
        }
        let asked = Asked::new(&question, function, &self.directory)?;
        let ask = |subject: Subject, about: &Subjected| Ask {
            subject,
            principal: core(&asked.principal),
            action: core(&about.action),
            resource: core(&about.resource),
            context: None,
            candidates: self.of(about),
        };
        let target =
            |(place, about)| ask(Subject::Target(TargetIndex(u16::try_from(place).unwrap_or(u16::MAX))), about);
        let mut asks = vec![ask(Subject::Call, &function.call)];
        asks.extend(function.run_on.iter().enumerate().map(target));
        let entities: &Entities = asked.entities.as_ref();
        Ok(Asks { asks, entities: entities.clone(), unread: false, open: Vec::new() })
    }

    /// The policies whose action and resource fit the call of a function.
    pub(crate) fn of_function(&self, name: &FunctionName) -> Vec<Candidate<'_>> {
        self.functions.get(name).map(|function| self.of(&function.call)).unwrap_or_default()
    }

    /// Every policy in force, for people who look for one that nearly fits.
    pub(crate) fn all(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.policies.iter().map(Candidate::from)
    }

    fn of(&self, subject: &Subjected) -> Vec<Candidate<'_>> {
        subject.slice.policies.iter().filter_map(|place| self.policies.get(*place)).map(Candidate::from).collect()
    }
}

fn core(uid: &EntityUid) -> ast::EntityUID {
    AsRef::<ast::EntityUID>::as_ref(uid).clone()
}
