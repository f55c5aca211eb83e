//! The snapshot: policies, vocabulary, entities and index of one moment. It answers questions and never changes.

use crate::{
    bundle::{tree, written::Written},
    declared::QueryType,
    explain::anatomy::Clause,
    finding::Finding,
    index::{Actions, Index, Scope, Slice, Subject},
    permit::{BundleId, Denial, DenialReason, Permit, PolicyName, TargetIndex, Terms},
    question::{FunctionName, Principal, PrincipalKind, Question, Verb},
    vocabulary::{DECLARED_FILE, Vocabulary, shape::Shape},
};
use cedar_policy::{AuthorizationError, Authorizer, Context, Decision, Entities, EntityUid, PolicyId, Request};
use entities::{Directory, uid};
use jiff::Timestamp;
use request::{Asked, Unaskable};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, OnceLock},
};

pub(crate) mod entities;
pub(crate) mod look;
mod prepare;
pub(crate) mod request;
pub(crate) mod value;

/// Everything that a decision depends on besides the question.
pub struct Snapshot {
    id: BundleId,
    vocabulary: Vocabulary,
    directory: Directory,
    policies: Vec<Entry>,
    by_id: HashMap<PolicyId, usize>,
    functions: HashMap<FunctionName, Prepared>,
    authorizer: Authorizer,
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
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Line of its first word, from 1.
    pub line: usize,
}

#[derive(Debug)]
struct Entry {
    info: PolicyInfo,
    scope: Scope,
    reads_input: bool,
    /// What Cedar parsed, from the end of the policy before it to its semicolon.
    text: Arc<str>,
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
    pub(crate) entities: Entities,
    call: Subjected,
    describe: Subjected,
    run_on: Vec<Subjected>,
}

/// A subject with the policies that can concern it.
#[derive(Debug)]
struct Subjected {
    action: EntityUid,
    resource: EntityUid,
    slice: Slice,
}

/// What policy said to one Cedar request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// `None` is yes.
    pub(crate) denied: Option<DenialReason>,
    pub(crate) determining: Vec<PolicyName>,
    pub(crate) errors: Vec<String>,
}

/// Every verdict that a question led to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) call: Verdict,
    pub(crate) run_on: Vec<Verdict>,
    pub(crate) describe: Option<Verdict>,
}

impl Snapshot {
    /// Answers a question. Only an allow, without any error and on at least one target, makes a permit.
    ///
    /// # Errors
    /// A denial, in every other case.
    pub fn decide(&self, question: Question) -> Result<Permit, Denial> {
        let question = Arc::new(question);
        let trace = self.trace(&question);
        match trace.denied() {
            None => {
                let targets: Vec<_> = trace.targets().collect();
                let determining = trace.call.determining.into();
                Ok(Permit::grant(question, self.id.clone(), determining, targets.into()))
            }
            Some((reason, verdict)) => Err(Denial {
                may_describe: trace.describe.as_ref().is_some_and(|verdict| verdict.denied.is_none()),
                determining: verdict.determining.into(),
                errors: verdict.errors,
                bundle: self.id.clone(),
                reason,
                question,
            }),
        }
    }

    /// Whether a caller may know that a function exists.
    #[must_use]
    pub fn may_describe(&self, question: &Question) -> bool {
        let Some(function) = self.functions.get(&question.function) else { return false };
        let Ok(asked) = Asked::new(question, function, &self.directory) else { return false };
        let Ok(facts) = asked.facts_context() else { return false };
        let verdict = self.ask(&function.describe, &asked, facts, question.facts.clock.now, false);
        verdict.denied.is_none()
    }

    /// Whether the same question, asked now, would still be permitted on this target.
    ///
    /// Only the instant moves on: weekday and minute stay as they were recorded.
    #[must_use]
    pub fn still(&self, terms: &Terms, target: TargetIndex, now: Timestamp) -> bool {
        let mut question = Question::clone(terms.question());
        question.facts.clock.now = now;
        let trace = self.trace(&question);
        trace.denied().is_none() && trace.targets().any(|allowed| allowed == target)
    }

    /// Whether a decision can depend on the input: some permit of the function is for such a caller,
    /// and some policy of the function that concerns this caller looks at the input.
    #[must_use]
    pub fn needs_input(&self, function: &FunctionName, principal: &Principal) -> bool {
        let Some(function) = self.functions.get(function).filter(|function| function.input.is_some()) else {
            return false;
        };
        let candidates: Vec<_> = self.candidates(&function.call.slice, principal).collect();
        let permitted = candidates.iter().any(|entry| entry.info.effect == Effect::Permit);
        permitted && candidates.iter().any(|entry| entry.reads_input)
    }

    /// Which bundle this is.
    #[must_use]
    pub fn id(&self) -> &BundleId {
        &self.id
    }

    /// The words of policy.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Every policy in force, in the order of files and lines.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyInfo> {
        self.policies.iter().map(|entry| &entry.info)
    }

    /// A policy by its id.
    #[must_use]
    pub fn policy(&self, name: &PolicyName) -> Option<&PolicyInfo> {
        let place = self.by_id.get(&PolicyId::new(&name.0))?;
        self.policies.get(*place).map(|entry| &entry.info)
    }

    /// Ids of all forbids. A watcher keeps the old bundle when one of them vanished.
    #[must_use]
    pub fn forbid_names(&self) -> BTreeSet<PolicyName> {
        let forbids = self.policies().filter(|policy| policy.effect == Effect::Forbid);
        forbids.map(|policy| policy.name.clone()).collect()
    }

    /// Every verdict of a question.
    pub(crate) fn trace(&self, question: &Question) -> Trace {
        let Some(function) = self.functions.get(&question.function) else {
            let error = format!("the function `{}` is not in this bundle", question.function);
            return Trace::unaskable(Unaskable { reason: DenialReason::AbsentEntity, error });
        };
        let asked = match Asked::new(question, function, &self.directory) {
            Ok(asked) => asked,
            Err(unaskable) => return Trace::unaskable(unaskable),
        };
        // Evaluated once for however many targets.
        let facts = match asked.facts_context() {
            Ok(facts) => facts,
            Err(unaskable) => return Trace::unaskable(unaskable),
        };
        let now = question.facts.clock.now;
        let call = match question.verb {
            Verb::Call => match asked.call_context(question, function) {
                Ok(context) => self.ask(&function.call, &asked, context, now, self.input_unread(question, function)),
                Err(unaskable) => unaskable.into(),
            },
            Verb::Describe => Verdict {
                denied: Some(DenialReason::NotPermitted),
                errors: vec!["a question to describe grants no call".to_owned()],
                ..Verdict::default()
            },
        };
        let on = |subject: &Subjected| self.ask(subject, &asked, facts.clone(), now, false);
        let mut trace = Trace { call, ..Trace::default() };
        if trace.call.denied.is_none() {
            trace.run_on = function.run_on.iter().map(on).collect();
        }
        if trace.denied().is_some() {
            trace.describe = Some(on(&function.describe));
        }
        trace
    }

    /// The policies whose head holds for a question's caller and action, satisfied or not.
    pub(crate) fn in_scope(&self, question: &Question) -> Vec<&PolicyInfo> {
        let Some(function) = self.functions.get(&question.function) else { return Vec::new() };
        let subjects: Vec<_> = match question.verb {
            Verb::Call => std::iter::once(&function.call).chain(&function.run_on).collect(),
            Verb::Describe => vec![&function.describe],
        };
        let candidates = subjects.into_iter().flat_map(|s| self.candidates(&s.slice, &question.principal));
        candidates.map(|entry| &entry.info).collect()
    }

    /// Whether a policy speaks only of where a function may run.
    pub(crate) fn is_about_targets(&self, name: &PolicyName) -> bool {
        let entry = self.by_id.get(&PolicyId::new(&name.0)).and_then(|place| self.policies.get(*place));
        entry.is_some_and(|entry| matches!(&entry.scope.action, Actions::Eq(action) if action.as_ref() == "run_on"))
    }

    /// Whether the input was left unread on purpose: no permit is for this caller, so nothing can come of it.
    fn input_unread(&self, question: &Question, function: &Prepared) -> bool {
        question.input.is_none()
            && function.input.is_some()
            && !self.needs_input(&question.function, &question.principal)
    }

    /// Asks Cedar. Yes means: decided to allow, by a permit that has not expired, and nothing failed.
    ///
    /// If the input was left `unread`, it is a plain no when a forbid fails for want of it.
    fn ask(&self, subject: &Subjected, asked: &Asked, context: Context, now: Timestamp, unread: bool) -> Verdict {
        let (action, resource) = (subject.action.clone(), subject.resource.clone());
        let request = match Request::new(asked.principal.clone(), action, resource, context, None) {
            Ok(request) => request,
            Err(error) => return Unaskable::from(error.to_string()).into(),
        };
        let response = self.authorizer.is_authorized(&request, &subject.slice.set, &asked.entities);
        let failed: Vec<_> = response
            .diagnostics()
            .errors()
            .map(|AuthorizationError::PolicyEvaluationError(error)| (error.policy_id(), error.to_string()))
            .filter(|(id, _)| self.in_force(id, now))
            .filter(|(id, _)| !unread || response.decision() == Decision::Allow || !self.reads_input(id))
            .collect();
        let satisfied = response.diagnostics().reason().filter(|id| self.in_force(id, now));
        let mut determining = self.names(satisfied);
        let denied = match response.decision() {
            Decision::Allow if !failed.is_empty() => Some(DenialReason::PolicyError),
            Decision::Allow if determining.is_empty() => Some(DenialReason::NotPermitted),
            Decision::Allow => None,
            Decision::Deny if !determining.is_empty() => Some(DenialReason::Forbidden),
            Decision::Deny if !failed.is_empty() => Some(DenialReason::PolicyError),
            Decision::Deny => Some(DenialReason::NotPermitted),
        };
        if denied == Some(DenialReason::PolicyError) {
            determining = self.names(failed.iter().map(|(id, _)| *id));
        }
        let mut errors: Vec<_> = failed.into_iter().map(|(_, error)| error).collect();
        errors.sort_unstable();
        Verdict { denied, determining, errors }
    }

    /// Whether a policy still counts. Only permits expire.
    fn in_force(&self, id: &PolicyId, now: Timestamp) -> bool {
        let entry = self.by_id.get(id).and_then(|place| self.policies.get(*place));
        entry.is_none_or(|entry| entry.info.expires.is_none_or(|expires| now < expires))
    }

    fn reads_input(&self, id: &PolicyId) -> bool {
        let entry = self.by_id.get(id).and_then(|place| self.policies.get(*place));
        entry.is_some_and(|entry| entry.reads_input)
    }

    fn names<'a>(&self, ids: impl Iterator<Item = &'a PolicyId>) -> Vec<PolicyName> {
        let known = |id: &PolicyId| self.by_id.get(id).and_then(|place| self.policies.get(*place));
        let mut names: Vec<_> = ids.filter_map(known).map(|entry| entry.info.name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// The policies of a slice whose principal scope holds for a caller.
    fn candidates<'a>(&'a self, slice: &'a Slice, principal: &Principal) -> impl Iterator<Item = &'a Entry> {
        let types = &self.directory.types;
        let me = uid(types.principal(principal.kind), &principal.id);
        let groups: BTreeSet<_> = principal.groups.iter().map(|group| uid(&types.group, group)).collect();
        let entries = slice.policies.iter().filter_map(|place| self.policies.get(*place));
        entries.filter(move |entry| entry.scope.principal.matches(&me, |uid| groups.contains(uid)))
    }
}

impl Trace {
    fn unaskable(unaskable: Unaskable) -> Self {
        Self { call: unaskable.into(), ..Self::default() }
    }

    /// Why the whole is a no, if it is one.
    pub(crate) fn denied(&self) -> Option<(DenialReason, Verdict)> {
        if let Some(reason) = self.call.denied {
            return Some((reason, self.call.clone()));
        }
        if self.targets().next().is_some() {
            return None;
        }
        let mut verdict = Verdict::default();
        for target in &self.run_on {
            verdict.determining.extend(target.determining.iter().cloned());
            verdict.errors.extend(target.errors.iter().cloned());
        }
        verdict.determining.sort_unstable();
        verdict.determining.dedup();
        Some((DenialReason::NoTarget, verdict))
    }

    /// The targets that `run_on` allowed.
    pub(crate) fn targets(&self) -> impl Iterator<Item = TargetIndex> {
        let places = self.run_on.iter().enumerate().filter(|(_, verdict)| verdict.denied.is_none());
        places.filter_map(|(place, _)| u16::try_from(place).ok().map(TargetIndex))
    }
}

impl From<Unaskable> for Verdict {
    fn from(unaskable: Unaskable) -> Self {
        Self { denied: Some(unaskable.reason), determining: Vec::new(), errors: vec![unaskable.error] }
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
