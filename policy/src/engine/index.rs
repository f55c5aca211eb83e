//! Policies by the narrowest part of their heads, so that a question looks only at those that can concern it.
//!
//! Leaving out a policy whose head is false changes neither decision, reasons nor errors: heads are tested before
//! bodies and can't fail.

use super::rule::{Head, Named, bound_to};
use cedar_policy_core::ast::{ActionConstraint, Entity, EntityUID};
use std::{collections::HashMap, sync::Arc};

/// From how many policies on those of a slice that name a principal are looked up rather than tried one by one.
const SCAN_MAX: usize = 16;

/// What is asked about: an action and a resource, with everything they are in.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) action: Arc<Entity>,
    pub(crate) resource: Arc<Entity>,
}

impl Subject {
    /// Whether a head can concern it.
    pub(crate) fn is_in(&self, head: &Head) -> bool {
        head.concerns(Named::of(&self.action), Named::of(&self.resource))
    }
}

/// Places in a list of policies, by what their heads name.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_resource: HashMap<EntityUID, Vec<u32>>,
    by_action: HashMap<EntityUID, Vec<u32>>,
    by_principal: HashMap<EntityUID, Vec<u32>>,
    anywhere: Vec<u32>,
}

/// The policies that can concern one subject, ascending; shared with every subject that has the same.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    places: Box<[u32]>,
    by_principal: Option<ByPrincipal>,
}

#[derive(Debug, Default)]
struct ByPrincipal {
    named: HashMap<EntityUID, Box<[u32]>>,
    others: Box<[u32]>,
}

/// Slices that were made, by their places.
#[derive(Debug, Default)]
pub(crate) struct Slices(HashMap<Vec<u32>, Arc<Slice>>);

impl Index {
    pub(crate) fn new<'a>(heads: impl IntoIterator<Item = &'a Head>) -> Self {
        let mut index = Self::default();
        for (place, head) in (0..).zip(heads) {
            let actions: &[Arc<EntityUID>] = match &head.action {
                ActionConstraint::Any => &[],
                ActionConstraint::Eq(uid) => std::slice::from_ref(uid),
                ActionConstraint::In(uids) => uids,
            };
            if let Some(uid) = bound_to(&head.resource) {
                index.by_resource.entry(uid.clone()).or_default().push(place);
            } else if !matches!(head.action, ActionConstraint::Any) {
                for uid in actions {
                    index.by_action.entry(uid.as_ref().clone()).or_default().push(place);
                }
            } else if let Some(uid) = bound_to(&head.principal) {
                index.by_principal.entry(uid.clone()).or_default().push(place);
            } else {
                index.anywhere.push(place);
            }
        }
        index
    }

    /// Places of the policies whose heads may hold for a question, ascending; without a principal, for anybody's.
    fn possible(&self, principal: Option<Named<'_>>, action: Named<'_>, resource: Named<'_>) -> Vec<u32> {
        let mut found = self.anywhere.clone();
        for uid in resource.lineage() {
            found.extend(self.by_resource.get(uid).into_iter().flatten());
        }
        for uid in action.lineage() {
            found.extend(self.by_action.get(uid).into_iter().flatten());
        }
        match principal {
            Some(principal) => {
                for uid in principal.lineage() {
                    found.extend(self.by_principal.get(uid).into_iter().flatten());
                }
            }
            None => found.extend(self.by_principal.values().flatten()),
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Places of the policies whose action and resource scope hold for a subject, ascending.
    pub(crate) fn matching<'a>(&self, subject: &Subject, head: impl Fn(u32) -> Option<&'a Head>) -> Vec<u32> {
        let (action, resource) = (Named::of(&subject.action), Named::of(&subject.resource));
        let mut found = self.possible(None, action, resource);
        found.retain(|place| head(*place).is_some_and(|head| head.concerns(action, resource)));
        found
    }

    /// Places of the policies whose whole head holds, ascending.
    pub(crate) fn holding<'a>(
        &self,
        [principal, action, resource]: [Named<'_>; 3],
        head: impl Fn(u32) -> Option<&'a Head>,
    ) -> Vec<u32> {
        let mut found = self.possible(Some(principal), action, resource);
        found
            .retain(|place| head(*place).is_some_and(|head| head.concerns(action, resource) && head.is_for(principal)));
        found
    }
}

impl Slices {
    /// The slice of these places.
    pub(crate) fn of<'a>(&mut self, places: Vec<u32>, head: impl Fn(u32) -> Option<&'a Head>) -> Arc<Slice> {
        if let Some(slice) = self.0.get(&places) {
            return Arc::clone(slice);
        }
        let slice = Arc::new(Slice::new(&places, head));
        self.0.insert(places, Arc::clone(&slice));
        slice
    }
}

impl Slice {
    fn new<'a>(places: &[u32], head: impl Fn(u32) -> Option<&'a Head>) -> Self {
        let mut named: HashMap<EntityUID, Vec<u32>> = HashMap::new();
        let mut others = Vec::new();
        for place in places {
            match head(*place).and_then(|head| bound_to(&head.principal)) {
                Some(uid) => named.entry(uid.clone()).or_default().push(*place),
                None => others.push(*place),
            }
        }
        let by_principal = (places.len() - others.len() > SCAN_MAX).then(|| ByPrincipal {
            named: named.into_iter().map(|(uid, places)| (uid, places.into())).collect(),
            others: others.into(),
        });
        Self { places: places.into(), by_principal }
    }

    /// All of them.
    pub(crate) fn places(&self) -> &[u32] {
        &self.places
    }

    /// Those that can be for a principal, in no order. Every one whose principal scope holds is among them, once.
    pub(crate) fn possible<'a>(&'a self, principal: Named<'a>) -> impl Iterator<Item = u32> + 'a {
        let (first, lineage) = match &self.by_principal {
            None => (&self.places, None),
            Some(by) => (&by.others, Some(principal.lineage().filter_map(|uid| by.named.get(uid)))),
        };
        first.iter().chain(lineage.into_iter().flatten().flatten()).copied()
    }
}
