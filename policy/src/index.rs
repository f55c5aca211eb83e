//! Policies sliced by action and resource scope, so that a question looks only at those that can concern it.
//!
//! Leaving out a policy whose action or resource scope is false changes neither decision, reasons nor errors:
//! scopes are tested before the body and can't fail.

use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicySet, PrincipalConstraint, ResourceConstraint};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// The head of a policy.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) principal: Bound,
    pub(crate) action: Actions,
    pub(crate) resource: Bound,
}

/// What a head says of principal or resource.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    Any,
    Is(Arc<str>),
    Eq(EntityUid),
    In(EntityUid),
    IsIn(Arc<str>, EntityUid),
}

/// What a head says of the action.
#[derive(Clone, Debug)]
pub(crate) enum Actions {
    Any,
    Eq(Arc<str>),
    In(Vec<Arc<str>>),
}

/// What is asked about: an action and a resource, with everything they are in.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) action: Arc<str>,
    pub(crate) action_above: BTreeSet<Arc<str>>,
    pub(crate) resource: EntityUid,
    pub(crate) resource_above: HashSet<EntityUid>,
}

/// The policies that can concern one subject.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) set: Arc<PolicySet>,
    /// Places in the list of all policies, ascending.
    pub(crate) policies: Arc<[usize]>,
}

/// Policies by the narrowest part of their heads.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_resource: HashMap<EntityUid, Vec<usize>>,
    by_action: HashMap<Arc<str>, Vec<usize>>,
    anywhere: Vec<usize>,
    made: HashMap<Vec<usize>, Slice>,
}

impl Scope {
    pub(crate) fn of(policy: &Policy) -> Self {
        let name = |uid: &EntityUid| -> Arc<str> { uid.id().unescaped().into() };
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => Bound::Any,
            PrincipalConstraint::Is(t) => Bound::Is(t.to_string().into()),
            PrincipalConstraint::Eq(uid) => Bound::Eq(uid),
            PrincipalConstraint::In(uid) => Bound::In(uid),
            PrincipalConstraint::IsIn(t, uid) => Bound::IsIn(t.to_string().into(), uid),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => Bound::Any,
            ResourceConstraint::Is(t) => Bound::Is(t.to_string().into()),
            ResourceConstraint::Eq(uid) => Bound::Eq(uid),
            ResourceConstraint::In(uid) => Bound::In(uid),
            ResourceConstraint::IsIn(t, uid) => Bound::IsIn(t.to_string().into(), uid),
        };
        let action = match policy.action_constraint() {
            ActionConstraint::Any => Actions::Any,
            ActionConstraint::Eq(uid) => Actions::Eq(name(&uid)),
            ActionConstraint::In(uids) => Actions::In(uids.iter().map(name).collect()),
        };
        Self { principal, action, resource }
    }

    pub(crate) fn matches(&self, subject: &Subject) -> bool {
        self.action.matches(&subject.action, &subject.action_above)
            && self.resource.matches(&subject.resource, |uid| subject.resource_above.contains(uid))
    }
}

impl Bound {
    /// Whether an entity is within this bound, given what it is in.
    pub(crate) fn matches(&self, entity: &EntityUid, is_in: impl Fn(&EntityUid) -> bool) -> bool {
        let within = |uid: &EntityUid| uid == entity || is_in(uid);
        match self {
            Self::Any => true,
            Self::Is(wanted) => is_type(entity, wanted),
            Self::Eq(uid) => uid == entity,
            Self::In(uid) => within(uid),
            Self::IsIn(wanted, uid) => is_type(entity, wanted) && within(uid),
        }
    }

    /// The entity that it names.
    pub(crate) fn uid(&self) -> Option<&EntityUid> {
        match self {
            Self::Eq(uid) | Self::In(uid) | Self::IsIn(_, uid) => Some(uid),
            Self::Any | Self::Is(_) => None,
        }
    }

    /// Whether an entity of this type can be within this bound.
    pub(crate) fn allows_type(&self, entity_type: &str) -> bool {
        match self {
            Self::Any | Self::In(_) => true,
            Self::Is(wanted) | Self::IsIn(wanted, _) => wanted.as_ref() == entity_type,
            Self::Eq(uid) => is_type(uid, entity_type),
        }
    }
}

impl Actions {
    pub(crate) fn matches(&self, action: &Arc<str>, above: &BTreeSet<Arc<str>>) -> bool {
        match self {
            Self::Any => true,
            Self::Eq(name) => name == action,
            Self::In(names) => names.iter().any(|name| name == action || above.contains(name)),
        }
    }
}

impl Index {
    pub(crate) fn new<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> Self {
        let mut index = Self::default();
        for (place, scope) in scopes.into_iter().enumerate() {
            match (scope.resource.uid(), &scope.action) {
                (Some(uid), _) => index.by_resource.entry(uid.clone()).or_default().push(place),
                (None, Actions::Eq(name)) => index.by_action.entry(Arc::clone(name)).or_default().push(place),
                (None, Actions::In(names)) => {
                    for name in names {
                        index.by_action.entry(Arc::clone(name)).or_default().push(place);
                    }
                }
                (None, Actions::Any) => index.anywhere.push(place),
            }
        }
        index
    }

    /// Places of the policies whose action and resource scope hold for a subject, ascending.
    pub(crate) fn matching<'a>(&self, subject: &Subject, scope: impl Fn(usize) -> Option<&'a Scope>) -> Vec<usize> {
        let mut found: Vec<usize> = self.anywhere.clone();
        for uid in std::iter::once(&subject.resource).chain(&subject.resource_above) {
            found.extend(self.by_resource.get(uid).into_iter().flatten());
        }
        for name in std::iter::once(&subject.action).chain(&subject.action_above) {
            found.extend(self.by_action.get(name).into_iter().flatten());
        }
        found.retain(|place| scope(*place).is_some_and(|scope| scope.matches(subject)));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The slice of these places, shared with every subject that has the same.
    ///
    /// A policy that can't be added must stop the load: a slice without it could grant.
    pub(crate) fn slice<'a>(
        &mut self,
        places: Vec<usize>,
        policy: impl Fn(usize) -> Option<&'a Policy>,
    ) -> Result<Slice, String> {
        if let Some(slice) = self.made.get(&places) {
            return Ok(slice.clone());
        }
        let mut set = PolicySet::new();
        for place in &places {
            let policy = policy(*place).ok_or_else(|| format!("no policy at place {place}"))?;
            set.add(policy.clone()).map_err(|error| error.to_string())?;
        }
        let slice = Slice { set: Arc::new(set), policies: places.as_slice().into() };
        self.made.insert(places, slice.clone());
        Ok(slice)
    }
}

fn is_type(uid: &EntityUid, entity_type: &str) -> bool {
    uid.type_name().namespace_components().next().is_none() && uid.type_name().basename() == entity_type
}
