//! Heads of policies, and an index over them.

use cedar_policy::{ActionConstraint, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use std::collections::{HashMap, HashSet};

/// What a policy's head says.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) principal: Bound,
    action: ActionConstraint,
    resource: Bound,
}

/// What a head says of principal or resource.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// Only entities of this type.
    kind: Option<String>,
    /// Only this entity.
    exact: Option<EntityUid>,
    /// Only what is in this entity.
    within: Option<EntityUid>,
}

/// An action and a resource with everything that they are in.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) action: EntityUid,
    pub(super) action_above: HashSet<EntityUid>,
    /// `None` is any resource of the type.
    pub(super) resource: Option<EntityUid>,
    pub(super) resource_above: HashSet<EntityUid>,
}

/// Policies by the narrowest part of their heads.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_resource: HashMap<EntityUid, Vec<usize>>,
    by_action: HashMap<EntityUid, Vec<usize>>,
    anywhere: Vec<usize>,
}

impl Head {
    pub(super) fn of(policy: &Policy) -> Self {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => Bound::new(None, None, None),
            PrincipalConstraint::Is(kind) => Bound::new(Some(kind.to_string()), None, None),
            PrincipalConstraint::Eq(uid) => Bound::new(None, Some(uid), None),
            PrincipalConstraint::In(uid) => Bound::new(None, None, Some(uid)),
            PrincipalConstraint::IsIn(kind, uid) => Bound::new(Some(kind.to_string()), None, Some(uid)),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => Bound::new(None, None, None),
            ResourceConstraint::Is(kind) => Bound::new(Some(kind.to_string()), None, None),
            ResourceConstraint::Eq(uid) => Bound::new(None, Some(uid), None),
            ResourceConstraint::In(uid) => Bound::new(None, None, Some(uid)),
            ResourceConstraint::IsIn(kind, uid) => Bound::new(Some(kind.to_string()), None, Some(uid)),
        };
        Self { principal, action: policy.action_constraint(), resource }
    }

    /// Whether action and resource are within this head.
    pub(super) fn matches(&self, asked: &Asked) -> bool {
        let action = match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => *uid == asked.action,
            ActionConstraint::In(uids) => {
                uids.iter().any(|uid| *uid == asked.action || asked.action_above.contains(uid))
            }
        };
        action
            && asked.resource.as_ref().is_none_or(|resource| {
                self.resource.allows_type(&resource.type_name().to_string())
                    && self.resource.exact.as_ref().is_none_or(|uid| uid == resource)
                    && self
                        .resource
                        .within
                        .as_ref()
                        .is_none_or(|uid| uid == resource || asked.resource_above.contains(uid))
            })
    }
}

impl Bound {
    fn new(kind: Option<String>, exact: Option<EntityUid>, within: Option<EntityUid>) -> Self {
        Self { kind, exact, within }
    }

    /// Whether an entity of this type can be within this bound.
    pub(super) fn allows_type(&self, kind: &str) -> bool {
        self.kind.as_deref().is_none_or(|wanted| wanted == kind)
            && self.exact.as_ref().is_none_or(|uid| uid.type_name().to_string() == kind)
    }

    /// The only entity that is within it.
    pub(super) fn exact(&self) -> Option<&EntityUid> {
        self.exact.as_ref()
    }

    /// The entity in which one must be.
    pub(super) fn within(&self) -> Option<&EntityUid> {
        self.within.as_ref()
    }
}

impl Index {
    pub(super) fn new<'a>(heads: impl IntoIterator<Item = &'a Head>) -> Self {
        let mut index = Self::default();
        for (place, head) in heads.into_iter().enumerate() {
            match (head.resource.exact.as_ref().or(head.resource.within.as_ref()), &head.action) {
                (Some(uid), _) => index.by_resource.entry(uid.clone()).or_default().push(place),
                (None, ActionConstraint::Eq(uid)) => index.by_action.entry(uid.clone()).or_default().push(place),
                (None, ActionConstraint::In(uids)) => {
                    for uid in uids {
                        index.by_action.entry(uid.clone()).or_default().push(place);
                    }
                }
                (None, ActionConstraint::Any) => index.anywhere.push(place),
            }
        }
        index
    }

    /// Places whose head can hold, ascending; the caller still asks [`Head::matches`].
    pub(super) fn near(&self, asked: &Asked) -> Vec<usize> {
        let mut found = self.anywhere.clone();
        match &asked.resource {
            Some(resource) => {
                for uid in std::iter::once(resource).chain(&asked.resource_above) {
                    found.extend(self.by_resource.get(uid).into_iter().flatten());
                }
            }
            None => found.extend(self.by_resource.values().flatten()),
        }
        for uid in std::iter::once(&asked.action).chain(&asked.action_above) {
            found.extend(self.by_action.get(uid).into_iter().flatten());
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
