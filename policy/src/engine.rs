//! The snapshot: policies, vocabulary, entities and index of one moment. It answers questions and never changes.

use crate::{
    bundle::{
        ground::Ground,
        kept::{Earlier, Piece},
        validity::{Standing, Validity},
    },
    declared::QueryType,
    explain::anatomy::Clause,
    finding::Finding,
    permit::{BundleId, Denial, DenialReason, Permit, PolicyName, TargetIndex, Terms},
    question::{FunctionName, Principal, PrincipalKind, Question, Verb},
    shadow::Shadow,
    vocabulary::{DECLARED_FILE, Vocabulary, shape::Shape},
};
pub(crate) use ask::DISAGREEMENT;
use ask::Judge;
use cedar_policy_core::{
    ast::{ActionConstraint, Entity, EntityUID},
    entities::Entities,
};
use entities::{Declaration, uid};
use index::{Slice, Subject};
use jiff::Timestamp;
use looks::{InputLooks, Looks};
use reads::Reads;
use request::{Asked, Unaskable};
use rule::{Found, Named, Rule, in_words};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::{Arc, OnceLock},
};
pub(crate) use trace::{Trace, Verdict};

mod administer;
mod ask;
mod bare;
pub(crate) mod entities;
pub(crate) mod index;
pub(crate) mod look;
pub mod looks;
pub mod observe;
mod prepare;
mod quick;
pub(crate) mod reads;
pub(crate) mod request;
pub(crate) mod rule;
pub(crate) mod set;
mod trace;
pub(crate) mod value;

/// Everything that a decision depends on besides the question.
pub struct Snapshot {
    id: BundleId,
    ground: Arc<Ground>,
    policies: Vec<Entry>,
    by_id: HashMap<Arc<str>, u32>,
    functions: HashMap<FunctionName, Arc<Prepared>>,
    validity: Validity,
    observed: observe::Observed,
    /// Policies that decide nothing.
    shadowed: Vec<PolicyInfo>,
    /// What would be in force if they decided too.
    twin: Option<Arc<Snapshot>>,
    /// For the next load.
    earlier: Earlier,
}

/// What a policy does when its head and conditions hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Grants, unless something forbids.
    Permit,
    /// Denies, whatever else permits.
    Forbid,
}

/// A policy in force, as people look it up.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PolicyInfo {
    /// Its `@id`.
    pub name: PolicyName,
    /// What it does.
    pub effect: Effect,
    /// Its `@owner`.
    pub owner: Option<Arc<str>>,
    /// Its `@description`.
    pub description: Option<Arc<str>>,
    /// From when on it grants nothing.
    pub expires: Option<Timestamp>,
    /// It is asked and counted, and decides nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shadowed: bool,
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Line of its first word, from 1.
    pub line: usize,
}

#[derive(Debug)]
struct Entry {
    info: PolicyInfo,
    rule: Arc<Rule>,
    reads_input: bool,
    /// Its text is not the file's own.
    generated: bool,
    /// Its clauses, taken apart when somebody first asks why.
    clauses: OnceLock<Vec<Clause>>,
}

/// A function made ready to be asked about.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) principals: Vec<PrincipalKind>,
    pub(crate) path: Vec<Arc<str>>,
    pub(crate) query: BTreeMap<Arc<str>, QueryType>,
    pub(crate) input: Option<Shape>,
    /// Entities that other functions have too.
    pub(crate) shared: Arc<Entities>,
    /// Entities of this function alone.
    pub(crate) own: Arc<[Arc<Entity>]>,
    /// What any policy that can concern it looks at.
    pub(crate) reads: Reads,
    /// What of the input policies look at that can concern its call.
    input_looks: InputLooks,
    /// It is no function but what an administrator does, so it needs no target.
    administrative: bool,
    call: Subjected,
    describe: Subjected,
    run_on: Vec<Subjected>,
}

/// A subject with the policies that can concern it.
#[derive(Clone, Debug)]
struct Subjected {
    action: Arc<EntityUID>,
    resource: Arc<EntityUID>,
    slice: Arc<Slice>,
}

impl Snapshot {
    /// Answers a question. Only an allow, without any error and on at least one target, makes a permit. Of a function that
    /// is only observed a denial makes one too, and is kept inside it.
    ///
    /// # Errors
    /// A denial, in every other case.
    pub fn decide(&self, question: Question) -> Result<Permit, Denial> {
        let question = Arc::new(question);
        let input_looks = match question.input {
            Some(_) => self.input_looks(&question.function, &question.principal),
            None => Looks::default(),
        };
        let trace = self.trace(&question);
        match trace.denied() {
            None => {
                let targets: Vec<_> = trace.targets().collect();
                let determining = trace.call.determining.into();
                Ok(Permit::grant(question, input_looks, self.id.clone(), determining, targets.into()))
            }
            Some((reason, verdict)) => {
                let denial = Denial {
                    may_describe: trace.describe.as_ref().is_some_and(|verdict| verdict.denied.is_none()),
                    determining: verdict.determining.into(),
                    errors: verdict.errors,
                    bundle: self.id.clone(),
                    reason,
                    question,
                    input_looks,
                };
                match self.observed(&denial) {
                    Some((targets, until)) => Ok(Permit::observe(denial, targets.into(), until)),
                    None => Err(denial),
                }
            }
        }
    }

    /// Whether a caller may know that a function exists.
    #[must_use]
    pub fn may_describe(&self, question: &Question) -> bool {
        if self.validity.standing(question.facts.clock.now) == Standing::Ended {
            return false;
        }
        let Some(function) = self.functions.get(&question.function) else { return false };
        let Ok(asked) = Asked::new(question, function, &self.ground.directory, function.reads) else { return false };
        let now = question.facts.clock.now;
        self.ask(&function.describe, &asked, || asked.facts_context(), now, Judge::Engine).denied.is_none()
    }

    /// Whether the same question, asked now, would still be permitted on this target.
    ///
    /// Only the instant moves on: weekday and minute stay as they were recorded.
    #[must_use]
    pub fn still(&self, terms: &Terms, target: TargetIndex, now: Timestamp) -> bool {
        let mut question = Question::clone(terms.question());
        question.facts.clock.now = now;
        self.decide(question).is_ok_and(|permit| permit.terms().targets().contains(&target))
    }

    /// Whether a decision can depend on the input: some permit of the function is for such a caller,
    /// and some policy of the function that concerns this caller looks at the input.
    #[must_use]
    pub fn needs_input(&self, function: &FunctionName, principal: &Principal) -> bool {
        let Some(function) = self.functions.get(function).filter(|function| function.input.is_some()) else {
            return false;
        };
        let candidates: Vec<_> = self.candidates(&function.call.slice, principal).collect();
        let permitted = candidates.iter().any(|(_, entry)| entry.info.effect == Effect::Permit);
        permitted && candidates.iter().any(|(_, entry)| entry.reads_input)
    }

    /// Which bundle this is.
    #[must_use]
    pub fn id(&self) -> &BundleId {
        &self.id
    }

    /// The same snapshot with the time for which its bundle was signed.
    #[must_use]
    pub fn with_validity(self, validity: Validity) -> Self {
        Self { validity, ..self }
    }

    /// Until when it decides.
    #[must_use]
    pub fn validity(&self) -> &Validity {
        &self.validity
    }

    /// The words of policy.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.ground.vocabulary
    }

    pub(crate) fn ground(&self) -> &Arc<Ground> {
        &self.ground
    }

    /// Its policies, for a later load.
    pub(crate) fn earlier(&self) -> &Earlier {
        &self.earlier
    }

    /// Every policy in force, in the order of files and lines.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyInfo> {
        self.policies.iter().map(|entry| &entry.info)
    }

    /// Every policy in shadow, which is asked and counted and decides nothing.
    pub fn shadowed(&self) -> impl Iterator<Item = &PolicyInfo> {
        self.shadowed.iter()
    }

    /// The same policies with those in shadow in force, to be asked beside; `None` when there are none.
    #[must_use]
    pub fn shadow(&self) -> Option<Shadow> {
        self.twin.clone().map(Shadow::of_policies)
    }

    pub(crate) fn twin(&self) -> Option<&Self> {
        self.twin.as_deref()
    }

    /// A policy by its id.
    #[must_use]
    pub fn policy(&self, name: &PolicyName) -> Option<&PolicyInfo> {
        self.by_id.get(&name.0).and_then(|place| self.entry(*place)).map(|entry| &entry.info)
    }

    /// Ids of all forbids. A watcher keeps the old bundle when one of them vanished.
    #[must_use]
    pub fn forbid_names(&self) -> BTreeSet<PolicyName> {
        let forbids = self.policies().filter(|policy| policy.effect == Effect::Forbid);
        forbids.map(|policy| policy.name.clone()).collect()
    }

    /// The policies whose head holds for a question's caller and action, satisfied or not.
    pub(crate) fn in_scope(&self, question: &Question) -> Vec<&PolicyInfo> {
        let Some(function) = self.functions.get(&question.function) else { return Vec::new() };
        let subjects: Vec<_> = match question.verb {
            Verb::Call => std::iter::once(&function.call).chain(&function.run_on).collect(),
            Verb::Describe => vec![&function.describe],
        };
        let candidates = subjects.into_iter().flat_map(|s| self.candidates(&s.slice, &question.principal));
        candidates.map(|(_, entry)| &entry.info).collect()
    }

    /// Whether a policy speaks only of where a function may run.
    pub(crate) fn is_about_targets(&self, name: &PolicyName) -> bool {
        let entry = self.by_id.get(&name.0).and_then(|place| self.entry(*place));
        let action = entry.map(|entry| &entry.rule.head.action);
        matches!(action, Some(ActionConstraint::Eq(action)) if action.eid().as_ref() == "run_on")
    }

    /// Whether a policy speaks only of what administrators do.
    pub(crate) fn is_about_verbs(&self, name: &PolicyName) -> bool {
        let entry = self.by_id.get(&name.0).and_then(|place| self.entry(*place));
        let verb = |action: &EntityUID| {
            let id: &str = action.eid().as_ref();
            id == "administer" || self.vocabulary().verbs().any(|verb| verb.as_str() == id)
        };
        match entry.map(|entry| &entry.rule.head.action) {
            Some(ActionConstraint::Eq(action)) => verb(action),
            Some(ActionConstraint::In(actions)) => actions.iter().all(|action| verb(action)),
            Some(ActionConstraint::Any) | None => false,
        }
    }

    /// Whether the input was left unread on purpose: no permit is for this caller, so nothing can come of it.
    fn input_unread(&self, question: &Question, function: &Prepared) -> bool {
        question.input.is_none()
            && function.input.is_some()
            && !self.needs_input(&question.function, &question.principal)
    }

    fn entry(&self, place: u32) -> Option<&Entry> {
        self.policies.get(usize::try_from(place).ok()?)
    }

    /// The policies of a slice whose principal scope holds for a caller, with their places.
    fn candidates<'a>(&'a self, slice: &'a Slice, principal: &Principal) -> impl Iterator<Item = (u32, &'a Entry)> {
        let types = &self.ground.directory.types;
        let groups: HashSet<_> = principal.groups.iter().map(|group| uid(&types.group, group)).collect();
        let me = uid(types.principal(principal.kind), &principal.id);
        let me = Entity::new_with_attr_partial_value(me, [], HashSet::new(), groups, []);
        let places: Vec<_> = slice.possible(Named::of(&me)).collect();
        let entries = places.into_iter().filter_map(|place| Some((place, self.entry(place)?)));
        entries.filter(move |(_, entry)| entry.rule.head.is_for(Named::of(&me)))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (policies, functions) = (self.policies.len(), self.functions.len());
        f.debug_struct("Snapshot")
            .field("id", &self.id)
            .field("policies", &policies)
            .field("functions", &functions)
            .finish()
    }
}

#[cfg(test)]
mod tests;
