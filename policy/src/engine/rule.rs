//! One policy made ready to be asked: its head is tested here, its body by Cedar's own evaluator.

use super::{
    bare::bare,
    looks::Looks,
    quick::{Constants, Seen},
    reads::Reads,
};
use cedar_policy_core::{
    ast::{
        ActionConstraint, Annotations, Context, Effect, Entity, EntityReference, EntityType, EntityUID, Expr, Literal,
        Policy, PrincipalOrResourceConstraint, StaticPolicy, ValueKind,
    },
    authorizer::AuthorizationError,
    evaluator::Evaluator,
};
use std::cell::LazyCell;

/// The head of a policy; a link has the slots of its template filled in.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) principal: PrincipalOrResourceConstraint,
    pub(crate) action: ActionConstraint,
    pub(crate) resource: PrincipalOrResourceConstraint,
}

/// Somebody or something that a question names, with its entity if there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) uid: &'a EntityUID,
    pub(crate) entity: Option<&'a Entity>,
}

/// A policy with the parts that are tested one by one.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) policy: Policy,
    pub(crate) head: Head,
    /// The facts that the body looks at.
    pub(crate) reads: Reads,
    /// The places of the context that it looks at.
    pub(crate) looks: Looks,
    /// `true && body`, so that a body which is no boolean fails as Cedar says it does; `None` is no body.
    pub(super) condition: Option<Expr>,
    pub(super) constants: Constants,
}

/// What became of the candidates, by their places.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) permits: Vec<u32>,
    pub(crate) forbids: Vec<u32>,
    pub(crate) errors: Vec<(u32, AuthorizationError)>,
}

impl<'a> Named<'a> {
    pub(crate) fn of(entity: &'a Entity) -> Self {
        Self { uid: entity.uid(), entity: Some(entity) }
    }

    /// As Cedar's `in`: the same, or below it.
    fn is_in(self, other: &EntityUID) -> bool {
        self.uid == other || self.entity.is_some_and(|entity| entity.is_descendant_of(other))
    }

    /// What it is and what that is in.
    pub(crate) fn lineage(self) -> impl Iterator<Item = &'a EntityUID> {
        std::iter::once(self.uid).chain(self.entity.into_iter().flat_map(Entity::ancestors))
    }
}

impl Head {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self {
            principal: policy.principal_constraint().into_inner(),
            action: policy.action_constraint().clone(),
            resource: policy.resource_constraint().into_inner(),
        }
    }

    /// Whether action and resource are within it.
    pub(crate) fn concerns(&self, action: Named<'_>, resource: Named<'_>) -> bool {
        let named = match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => action.uid == uid.as_ref(),
            ActionConstraint::In(uids) => uids.iter().any(|uid| action.is_in(uid)),
        };
        named && within(&self.resource, resource)
    }

    /// Whether some principal of a type can be within it.
    pub(crate) fn allows_type(&self, entity_type: &EntityType) -> bool {
        match &self.principal {
            PrincipalOrResourceConstraint::Any | PrincipalOrResourceConstraint::In(_) => true,
            PrincipalOrResourceConstraint::Is(wanted) | PrincipalOrResourceConstraint::IsIn(wanted, _) => {
                wanted.as_ref() == entity_type
            }
            PrincipalOrResourceConstraint::Eq(reference) => {
                entity(reference).is_some_and(|uid| uid.entity_type() == entity_type)
            }
        }
    }

    /// Whether the principal is within it.
    pub(crate) fn is_for(&self, principal: Named<'_>) -> bool {
        within(&self.principal, principal)
    }
}

/// Tests of heads are of entities that are known to be entities, so none of them can fail.
fn within(bound: &PrincipalOrResourceConstraint, subject: Named<'_>) -> bool {
    let is = |wanted| subject.uid.entity_type() == wanted;
    match bound {
        PrincipalOrResourceConstraint::Any => true,
        PrincipalOrResourceConstraint::Is(wanted) => is(wanted.as_ref()),
        PrincipalOrResourceConstraint::Eq(reference) => entity(reference).is_some_and(|uid| subject.uid == uid),
        PrincipalOrResourceConstraint::In(reference) => entity(reference).is_some_and(|uid| subject.is_in(uid)),
        PrincipalOrResourceConstraint::IsIn(wanted, reference) => {
            is(wanted.as_ref()) && entity(reference).is_some_and(|uid| subject.is_in(uid))
        }
    }
}

/// The entity that a bound names. Only an unlinked template has none, and that is no policy.
fn entity(reference: &EntityReference) -> Option<&EntityUID> {
    match reference {
        EntityReference::EUID(uid) => Some(uid),
        EntityReference::Slot(_) => None,
    }
}

/// The entity that a bound names, if it names one.
pub(crate) fn bound_to(bound: &PrincipalOrResourceConstraint) -> Option<&EntityUID> {
    match bound {
        PrincipalOrResourceConstraint::Eq(reference)
        | PrincipalOrResourceConstraint::In(reference)
        | PrincipalOrResourceConstraint::IsIn(_, reference) => entity(reference),
        PrincipalOrResourceConstraint::Any | PrincipalOrResourceConstraint::Is(_) => None,
    }
}

impl Rule {
    pub(crate) fn new(policy: &Policy) -> Self {
        let body = policy.non_scope_constraints().map(bare);
        let reads = body.as_ref().map(Reads::of).unwrap_or_default();
        let looks = body.as_ref().map(Looks::of).unwrap_or_default();
        let condition = body.as_ref().map(|body| Expr::and(Expr::val(true), body.clone()));
        let constants = body.as_ref().map(Constants::of).unwrap_or_default();
        let policy = unwritten(policy, body).unwrap_or_else(|| policy.clone());
        Self { head: Head::of(&policy), reads, looks, condition, constants, policy }
    }

    pub(crate) fn is_permit(&self) -> bool {
        self.policy.effect() == Effect::Permit
    }

    /// Whether the body holds. The head must have been found to.
    fn holds<'c, 'e, F: FnOnce() -> Evaluator<'e>>(
        &self,
        context: impl Fn() -> Option<&'c Context>,
        evaluator: &LazyCell<Evaluator<'e>, F>,
    ) -> Result<bool, Box<AuthorizationError>> {
        let Some(condition) = &self.condition else { return Ok(true) };
        let seen = context().and_then(|context| Seen { context, constants: &self.constants }.holds(condition));
        if let Some(holds) = seen {
            return Ok(holds);
        }
        match evaluator.interpret(condition, self.policy.env()) {
            // `true && body` is a boolean or has failed.
            Ok(value) => Ok(matches!(value.value_kind(), ValueKind::Lit(Literal::Bool(true)))),
            Err(error) => {
                Err(Box::new(AuthorizationError::PolicyEvaluationError { id: self.policy.id().clone(), error }))
            }
        }
    }
}

/// The same policy without annotations, and with no place but its own; a link stays as it is.
fn unwritten(policy: &Policy, body: Option<Expr>) -> Option<Policy> {
    let (principal, action) = (policy.principal_constraint(), policy.action_constraint().clone());
    let (id, notes, effect) = (policy.id().clone(), Annotations::new(), policy.effect());
    let resource = policy.resource_constraint();
    let policy = policy
        .is_static()
        .then(|| StaticPolicy::new(id, policy.loc().cloned(), notes, effect, principal, action, resource, body));
    policy.and_then(Result::ok).map(Policy::from)
}

/// An error as Cedar's public interface says it.
pub(crate) fn in_words(error: &AuthorizationError) -> String {
    format!("error {error}")
}

impl Found {
    /// Evaluates the bodies of candidates, each with its place. What is seen at once needs no evaluator.
    pub(crate) fn among<'a, 'c, 'e, F: FnOnce() -> Evaluator<'e>>(
        candidates: impl Iterator<Item = (u32, &'a Rule)>,
        context: impl Fn() -> Option<&'c Context>,
        evaluator: &LazyCell<Evaluator<'e>, F>,
    ) -> Self {
        let mut found = Self::default();
        for (place, rule) in candidates {
            match rule.holds(&context, evaluator) {
                Ok(true) if rule.is_permit() => found.permits.push(place),
                Ok(true) => found.forbids.push(place),
                Ok(false) => {}
                Err(error) => found.errors.push((place, *error)),
            }
        }
        found
    }

    /// Cedar's decision: some permit, no forbid. What failed counts as not there.
    pub(crate) fn allows(&self) -> bool {
        self.forbids.is_empty() && !self.permits.is_empty()
    }
}
