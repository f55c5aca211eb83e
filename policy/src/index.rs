//! The head of a policy as a file of policies is checked by: in words, before anything is asked.

use cedar_policy::{ActionConstraint, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use std::{collections::BTreeSet, sync::Arc};

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
}

impl Bound {
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

fn is_type(uid: &EntityUid, entity_type: &str) -> bool {
    uid.type_name().namespace_components().next().is_none() && uid.type_name().basename() == entity_type
}
