//! Asking: by our own index and evaluator, and now and then by Cedar's authorizer, so that a fault of ours shows.

use super::{
    Asked, DenialReason, Entry, Found, Named, PolicyName, Prepared, Question, Reads, Snapshot, Subjected, Timestamp,
    Trace, Verb, Verdict, in_words,
};
use cedar_policy_core::{
    ast::{Context, EntityUIDEntry, PolicySet, Request},
    authorizer::{AuthorizationError, Authorizer},
    evaluator::Evaluator,
    extensions::Extensions,
};
use std::cell::LazyCell;

/// One of how many questions is asked of Cedar's own authorizer too.
const CHECKED_OF: u64 = 1_000;
/// From how many policies on a check leaves out those that are for other callers.
const CHECKED_POLICIES_MAX: usize = 256;
/// What a denial says when the check contradicted.
pub(crate) const DISAGREEMENT: &str = "cedar's own authorizer decides otherwise";

/// Who evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judge {
    /// Our index, and Cedar's evaluator on the bodies that it leaves, with only the facts that they look at.
    Engine,
    /// Cedar's authorizer with every fact.
    Cedar,
}

impl Snapshot {
    /// Every verdict of a question. What the check contradicts is no.
    pub(crate) fn trace(&self, question: &Question) -> Trace {
        let trace = self.trace_by(question, Judge::Engine);
        if !is_checked(question) || trace.agrees(&self.trace_by(question, Judge::Cedar)) {
            return trace;
        }
        Trace::unaskable(DISAGREEMENT.to_owned().into())
    }

    pub(super) fn trace_by(&self, question: &Question, judge: Judge) -> Trace {
        let function = match self.prepared(&question.function, question.facts.clock.now) {
            Ok(function) => function,
            Err(unaskable) => return Trace::unaskable(unaskable),
        };
        let reads = if judge == Judge::Cedar { Reads::ALL } else { function.reads };
        // Made once for however many targets.
        let asked = match Asked::new(question, function, &self.ground.directory, reads) {
            Ok(asked) => asked,
            Err(unaskable) => return Trace::unaskable(unaskable),
        };
        let now = question.facts.clock.now;
        let facts = LazyCell::new(|| asked.facts_context());
        let on = |subject: &Subjected| self.ask(subject, &asked, || facts.clone(), now, judge);
        let call = self.call(question, function, &asked, judge);
        let mut trace = Trace { call, administrative: function.administrative, ..Trace::default() };
        if trace.call.denied.is_none() {
            trace.run_on = function.run_on.iter().map(on).collect();
        }
        if trace.is_denied() {
            trace.describe = Some(on(&function.describe));
        }
        trace
    }

    fn call(&self, question: &Question, function: &Prepared, asked: &Asked, judge: Judge) -> Verdict {
        if question.verb == Verb::Describe {
            let errors = vec!["a question to describe grants no call".to_owned()];
            return Verdict { denied: Some(DenialReason::NotPermitted), errors, ..Verdict::default() };
        }
        let context = match asked.call_context(question, function) {
            Ok(context) => context,
            Err(unaskable) => return unaskable.into(),
        };
        let now = question.facts.clock.now;
        let mut found = self.found(&function.call, asked, || context, now, judge);
        // Left unread on purpose: no permit is for this caller, so it is a plain no, whatever fails for want of it.
        if !found.errors.is_empty() && !found.allows() && self.input_unread(question, function) {
            found.errors.retain(|(place, _)| self.entry(*place).is_none_or(|entry| !entry.reads_input));
        }
        self.verdict(found)
    }

    /// Asks. Yes means: decided to allow, by a permit that has not expired, and nothing failed.
    pub(super) fn ask(
        &self,
        subject: &Subjected,
        asked: &Asked,
        context: impl FnOnce() -> Context,
        now: Timestamp,
        judge: Judge,
    ) -> Verdict {
        self.verdict(self.found(subject, asked, context, now, judge))
    }

    pub(super) fn found(
        &self,
        subject: &Subjected,
        asked: &Asked,
        context: impl FnOnce() -> Context,
        now: Timestamp,
        judge: Judge,
    ) -> Found {
        let entry = |euid: &_| EntityUIDEntry::Known { euid: std::sync::Arc::clone(euid), loc: None };
        let principal = Named::of(&asked.principal);
        let context = LazyCell::new(context);
        let request = || {
            let (action, resource) = (entry(&subject.action), entry(&subject.resource));
            Request::new_unchecked(entry(&asked.me), action, resource, Some(context.clone()))
        };
        let possible = subject.slice.possible(principal);
        match judge {
            Judge::Engine => {
                let in_force =
                    |place| self.entry(place).filter(|entry| entry.is_in_force(now)).map(|e| (place, e.rule.as_ref()));
                let candidates = possible.filter_map(in_force).filter(|(_, rule)| rule.head.is_for(principal));
                let evaluator =
                    LazyCell::new(|| Evaluator::new(request(), &asked.entities, Extensions::all_available()));
                Found::among(candidates, || Some(&*context), &evaluator)
            }
            Judge::Cedar if subject.slice.places().len() > CHECKED_POLICIES_MAX => {
                self.official(request(), possible, asked, now)
            }
            Judge::Cedar => self.official(request(), subject.slice.places().iter().copied(), asked, now),
        }
    }

    /// What Cedar's authorizer finds among these policies.
    fn official(&self, request: Request, places: impl Iterator<Item = u32>, asked: &Asked, now: Timestamp) -> Found {
        let mut set = PolicySet::new();
        for entry in places.filter_map(|place| self.entry(place)).filter(|entry| entry.is_in_force(now)) {
            // Ids are unique, so nothing is left out; if something were, the answers would differ.
            let _ = set.add(entry.rule.policy.clone());
        }
        let response = Authorizer::new().is_authorized(request, &set, &asked.entities);
        let place = |id: &cedar_policy_core::ast::PolicyID| self.by_id.get(id.as_ref() as &str).copied();
        let mut found = Found::default();
        for place in response.diagnostics.reason.iter().filter_map(place) {
            match self.entry(place) {
                Some(entry) if entry.rule.is_permit() => found.permits.push(place),
                _ => found.forbids.push(place),
            }
        }
        for error in response.diagnostics.errors {
            let AuthorizationError::PolicyEvaluationError { id, .. } = &error;
            found.errors.extend(place(id).map(|place| (place, error)));
        }
        found
    }

    fn verdict(&self, found: Found) -> Verdict {
        let Found { permits, forbids, errors } = found;
        let (denied, determining) = match (permits.is_empty(), forbids.is_empty(), errors.is_empty()) {
            (_, false, _) => (Some(DenialReason::Forbidden), self.names(forbids)),
            (_, true, false) => (Some(DenialReason::PolicyError), self.names(errors.iter().map(|(place, _)| *place))),
            (true, true, true) => (Some(DenialReason::NotPermitted), Vec::new()),
            (false, true, true) => (None, self.names(permits)),
        };
        let mut errors: Vec<_> = errors.iter().map(|(_, error)| in_words(error)).collect();
        errors.sort_unstable();
        Verdict { denied, determining, errors }
    }

    fn names(&self, places: impl IntoIterator<Item = u32>) -> Vec<PolicyName> {
        let entries = places.into_iter().filter_map(|place| self.entry(place));
        let mut names: Vec<_> = entries.map(|entry| entry.info.name.clone()).collect();
        names.sort_unstable();
        names
    }
}

impl Entry {
    /// Whether a policy still counts. Only permits expire.
    fn is_in_force(&self, now: Timestamp) -> bool {
        self.info.expires.is_none_or(|expires| now < expires)
    }
}

impl Trace {
    /// Whether two traces say the same. What errors say may differ, as one judge was shown fewer facts.
    fn agrees(&self, other: &Self) -> bool {
        let same = |a: &Verdict, b: &Verdict| {
            (a.denied, &a.determining, a.errors.len()) == (b.denied, &b.determining, b.errors.len())
        };
        let describe = match (&self.describe, &other.describe) {
            (Some(a), Some(b)) => same(a, b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let run_on = self.run_on.len() == other.run_on.len();
        describe
            && run_on
            && same(&self.call, &other.call)
            && self.run_on.iter().zip(&other.run_on).all(|(a, b)| same(a, b))
    }
}

/// Chosen by the instant, so that the same question is always treated alike and no caller can choose.
pub(super) fn is_checked(question: &Question) -> bool {
    let instant = u64::from_ne_bytes(question.facts.clock.now.as_microsecond().to_ne_bytes());
    let mixed = instant.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    mixed.is_multiple_of(CHECKED_OF)
}
