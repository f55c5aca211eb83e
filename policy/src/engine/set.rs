//! Any Cedar policies as a set that answers requests: the same index and evaluation as a snapshot, without its rules.

use super::{
    index::Index,
    rule::{Found, Named, Rule, in_words},
};
use cedar_policy_core::{
    ast::{EntityUID, EntityUIDEntry, Policy, Request, Value},
    entities::{Dereference, Entities},
    evaluator::Evaluator,
    extensions::Extensions,
};
use std::{cell::LazyCell, collections::BTreeSet};

/// Policies with their index.
#[derive(Debug)]
pub(crate) struct Set {
    rules: Vec<Rule>,
    index: Index,
}

/// What Cedar says to one request; ids are in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) allow: bool,
    pub(crate) reason: BTreeSet<String>,
    pub(crate) errors: BTreeSet<String>,
    /// The errors in words.
    pub(crate) messages: Vec<String>,
}

impl Set {
    pub(crate) fn new(policies: impl IntoIterator<Item = Policy>) -> Self {
        let rules: Vec<_> = policies.into_iter().map(|policy| Rule::new(&policy)).collect();
        let index = Index::new(rules.iter().map(|rule| &rule.head));
        Self { rules, index }
    }

    /// Answers a request. Its principal, action and resource must be known.
    pub(crate) fn answer(&self, request: Request, entities: &Entities) -> Answer {
        let parts = [request.principal(), request.action(), request.resource()].map(|entry| named(entry, entities));
        let [Some(principal), Some(action), Some(resource)] = parts else { return Answer::default() };
        let places = self.index.holding([principal, action, resource], |place| Some(&self.rule(place)?.head));
        let candidates: Vec<_> = places.iter().filter_map(|place| Some((*place, self.rule(*place)?))).collect();
        let evaluator = LazyCell::new(|| Evaluator::new(request.clone(), entities, Extensions::all_available()));
        let found = Found::among(candidates.into_iter(), || request.context(), &evaluator);
        let ids = |places: &mut dyn Iterator<Item = u32>| -> BTreeSet<String> {
            places.filter_map(|place| self.rule(place)).map(|rule| rule.policy.id().as_ref().to_owned()).collect()
        };
        let decided = if found.forbids.is_empty() { &found.permits } else { &found.forbids };
        Answer {
            allow: found.allows(),
            reason: ids(&mut decided.iter().copied()),
            errors: ids(&mut found.errors.iter().map(|(place, _)| *place)),
            messages: found.errors.iter().map(|(_, error)| in_words(error)).collect(),
        }
    }

    fn rule(&self, place: u32) -> Option<&Rule> {
        self.rules.get(usize::try_from(place).ok()?)
    }
}

fn named<'a>(entry: &'a EntityUIDEntry, entities: &'a Entities) -> Option<Named<'a>> {
    let uid = entry.uid()?;
    match entities.entity(uid) {
        Dereference::Data(entity) => Some(Named { uid, entity: Some(entity) }),
        Dereference::NoSuchEntity | Dereference::Residual(_) => Some(Named { uid, entity: None }),
    }
}

/// Every entity that a request names and that is not there: in its scope, its context, and attributes and tags up to
/// `steps` from those.
pub(crate) fn absent<'a>(
    scope: impl IntoIterator<Item = &'a EntityUID>,
    context: &'a Value,
    entities: &Entities,
    steps: u32,
) -> BTreeSet<EntityUID> {
    let mut absent = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut next: BTreeSet<EntityUID> = scope.into_iter().cloned().chain(context.all_literal_uids()).collect();
    for _ in 0..=steps {
        for uid in std::mem::take(&mut next) {
            if !seen.insert(uid.clone()) {
                continue;
            }
            let Dereference::Data(entity) = entities.entity(&uid) else {
                absent.insert(uid);
                continue;
            };
            for (_, value) in entity.attrs().chain(entity.tags()) {
                if let Ok(value) = Value::try_from(value.clone()) {
                    next.extend(value.all_literal_uids());
                }
            }
        }
    }
    absent
}
