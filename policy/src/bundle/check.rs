//! Types: every policy is validated against the slice of the vocabulary that its head can reach.
//!
//! One schema of all functions would cost the square of their number. Functions whose actions are declared
//! alike are validated once, by the first of them.

use super::{compare, tree, written::Written};
use crate::{
    engine::{entities::Declaration, index::Index, rule::Head},
    finding::Finding,
    index::{Actions, Bound, Scope},
    question::{FunctionName, PrincipalKind},
    vocabulary::Vocabulary,
};
use cedar_policy::{
    Effect, PolicyId, PolicySet, ValidationError, ValidationMode, ValidationWarning, Validator, ffi::DetailedError,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// How many steps a condition may go from an entity to another. All of them are in a question's entities.
const LEVEL_MAX: u32 = 2;

/// What the head of a policy can reach.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Functions whose call it can decide: one for each distinct declaration.
    pub(crate) functions: BTreeMap<Arc<str>, FunctionName>,
    /// Whether a fixed action can match. What a head names was seen to exist before.
    pub(crate) fixed: bool,
}

/// Validates policies whose names are known to exist.
pub(crate) fn check(
    policies: &[&Written],
    declarations: &[(FunctionName, Declaration)],
    vocabulary: &Vocabulary,
    findings: &mut Vec<Finding>,
) {
    let reaches = reaches(policies, declarations, vocabulary);
    let mut groups: BTreeMap<BTreeSet<FunctionName>, Vec<&Written>> = BTreeMap::new();
    for (policy, reach) in policies.iter().zip(&reaches) {
        if reach.functions.is_empty() && !reach.fixed {
            findings.extend(dead(policy));
            continue;
        }
        let named = policy.constants.iter().filter(|constant| constant.entity_type == "Action");
        let named = named.filter_map(|constant| FunctionName::parse(&constant.id).ok());
        let named = named.filter(|name| vocabulary.function(name).is_some());
        let names = reach.functions.values().cloned().chain(named).collect();
        groups.entry(names).or_default().push(policy);
        findings.extend(compare::check(policy, reach, vocabulary));
        findings.extend(boundless(policy));
    }
    for (names, group) in groups {
        if let Err(finding) = validate(&names, &group, vocabulary, findings) {
            findings.push(finding);
            return;
        }
    }
}

/// Whether a policy names one function's action and nowhere a fixed one: then no fixed action concerns it.
fn is_over_one_function(policy: &Written, vocabulary: &Vocabulary) -> bool {
    let is_fixed = |name: &str| vocabulary.base.is_applied(name);
    let mut actions = policy.constants.iter().filter(|constant| constant.entity_type == "Action");
    matches!(&policy.scope.action, Actions::Eq(name) if !is_fixed(name)) && !actions.any(|action| is_fixed(&action.id))
}

fn reaches(policies: &[&Written], declarations: &[(FunctionName, Declaration)], vocabulary: &Vocabulary) -> Vec<Reach> {
    let mut reaches: Vec<Reach> = policies.iter().map(|policy| fixed(&policy.scope, vocabulary)).collect();
    let heads: Vec<_> = policies.iter().map(|policy| Head::of(policy.policy.as_ref())).collect();
    let index = Index::new(&heads);
    let place_of = |place: u32| usize::try_from(place).ok();
    let head = |place: u32| heads.get(place_of(place)?);
    let action = |policy: &&Written| match &policy.scope.action {
        Actions::Eq(name) => Some(Arc::clone(name)),
        Actions::Any | Actions::In(_) => None,
    };
    // If every head names its one action, no other function is reached.
    let named: Option<HashSet<Arc<str>>> = policies.iter().map(action).collect();
    let is_named = |name: &FunctionName| named.as_ref().is_none_or(|named| named.contains(name.as_str()));
    for (name, declaration) in declarations.iter().filter(|(name, _)| is_named(name)) {
        let Some(words) = vocabulary.function(name) else { continue };
        for place in index.matching(&declaration.call, head).into_iter().filter_map(place_of) {
            let (Some(policy), Some(reach)) = (policies.get(place), reaches.get_mut(place)) else { continue };
            let bound = &policy.scope.principal;
            if words.principals.iter().any(|kind| bound.allows_type(kind.as_str())) {
                // To a policy that sees only facts, functions of the same groups and callers are alike.
                let key = if tree::reads_words(&policy.tree) { &words.shape } else { &words.kind };
                if !reach.functions.contains_key(key) {
                    reach.functions.insert(Arc::clone(key), name.clone());
                }
            }
        }
    }
    reaches
}

/// Whether a head can match a fixed action by its types alone.
fn fixed(scope: &Scope, vocabulary: &Vocabulary) -> Reach {
    let base = &vocabulary.base;
    let fixed = base.applied().any(|action| {
        let Some((principals, resources)) = base.applies_to(action) else { return false };
        scope.action.matches(action, &base.ancestors(action))
            && principals.iter().any(|kind| scope.principal.allows_type(kind))
            && resources.iter().any(|kind| scope.resource.allows_type(kind))
    });
    Reach { fixed, ..Reach::default() }
}

/// A permit for everything is rarely meant: it lets everybody do what administrators do.
fn boundless(policy: &Written) -> Option<Finding> {
    let Scope { principal: Bound::Any, action: Actions::Any, resource: Bound::Any } = &policy.scope else {
        return None;
    };
    let meant = policy.allowed.contains("boundless_permit");
    if meant || policy.policy.effect() == Effect::Forbid || policy.policy.has_non_scope_constraint() {
        return None;
    }
    let message = "this permits everything to everybody, now and later";
    let help = "name at least an action, such as `action in Action::\"read\"`";
    Some(policy.place.finding("boundless_permit", message, None).warning().help(help))
}

/// A head that names one function and still matches nothing is a mistake; one over a group may wait for its functions.
fn dead(policy: &Written) -> Option<Finding> {
    let exact_action = match &policy.scope.action {
        Actions::Any => false,
        Actions::Eq(name) => name.contains('.'),
        Actions::In(names) => names.iter().any(|name| name.contains('.')),
    };
    let resource =
        policy.scope.resource.uid().is_some_and(|uid| matches!(uid.type_name().basename(), "Function" | "Target"));
    let (caller, subject) = (&policy.scope.principal, &policy.scope.resource);
    let no_caller = !PrincipalKind::ALL.iter().any(|kind| caller.allows_type(kind.as_str()));
    let no_subject = !["Function", "Target", "Gateway"].iter().any(|kind| subject.allows_type(kind));
    if exact_action || resource || no_caller || no_subject {
        let message = "no call can match this head, so the policy does nothing";
        let help = "compare the kinds of caller, the groups and the app that the function is declared with";
        Some(policy.place.finding("dead_scope", message, None).help(help))
    } else if policy.allowed.contains("empty_scope") {
        None
    } else {
        let message = "no declared function is within this head yet, so the policy does nothing";
        Some(policy.place.finding("empty_scope", message, None).warning())
    }
}

fn validate(
    names: &BTreeSet<FunctionName>,
    group: &[&Written],
    vocabulary: &Vocabulary,
    findings: &mut Vec<Finding>,
) -> Result<(), Finding> {
    let functions_alone = group.iter().all(|policy| is_over_one_function(policy, vocabulary));
    let schema = if functions_alone { vocabulary.slice_of_calls(names) } else { vocabulary.slice(names) };
    let validator = Validator::new(schema);
    let mut set = PolicySet::new();
    let mut by_id: HashMap<PolicyId, &Written> = HashMap::new();
    for policy in group {
        // Of two policies of one id, which is an error already, the first is checked.
        if set.add(policy.policy.clone()).is_ok() {
            by_id.insert(policy.policy.id().clone(), policy);
        }
    }
    let result = validator.validate_with_level(&set, ValidationMode::Strict, LEVEL_MAX);
    for error in result.validation_errors() {
        if let Some(policy) = by_id.get(error.policy_id()) {
            findings.push(finding(policy, error_code(error), &DetailedError::from(error)));
        }
    }
    for warning in result.validation_warnings() {
        if let Some(policy) = by_id.get(warning.policy_id()) {
            findings.push(finding(policy, warning_code(warning), &DetailedError::from(warning)));
        }
    }
    // A fault that belongs to no policy must stop the load as well.
    if !result.validation_passed() && !findings.iter().any(|f| f.severity == crate::finding::Severity::Error) {
        return Err(Finding::error("policy_validation", crate::vocabulary::DECLARED_FILE, result.to_string()));
    }
    Ok(())
}

fn finding(policy: &Written, code: &'static str, error: &DetailedError) -> Finding {
    let prefix = format!("for policy `{}`, ", policy.name);
    let message = error.message.strip_prefix(&prefix).unwrap_or(&error.message).to_owned();
    let range = error.source_locations.first().map(|label| label.loc.start..label.loc.end);
    let finding = policy.place.finding(code, message, range);
    match &error.help {
        Some(help) => finding.help(help.clone()),
        None => finding,
    }
}

fn error_code(error: &ValidationError) -> &'static str {
    match error {
        ValidationError::UnrecognizedEntityType(_) => "unknown_entity_type",
        ValidationError::UnrecognizedActionId(_) => "unknown_action",
        ValidationError::UnexpectedType(_) | ValidationError::IncompatibleTypes(_) => "type_mismatch",
        ValidationError::UnsafeAttributeAccess(_) => "unknown_attribute",
        ValidationError::UnsafeOptionalAttributeAccess(_) => "unguarded_attribute",
        ValidationError::UndefinedFunction(_) | ValidationError::WrongNumberArguments(_) => "unknown_operation",
        ValidationError::FunctionArgumentValidation(_) | ValidationError::NonLitExtConstructor(_) => "invalid_literal",
        ValidationError::EntityDerefLevelViolation(_) => "too_deep",
        ValidationError::InvalidEnumEntity(_) => "unknown_entity",
        ValidationError::EmptySetForbidden(_) => "empty_set",
        _ => "policy_validation",
    }
}

/// Cedar only warns of these; here each is an error, as a guard that never holds guards nothing.
fn warning_code(warning: &ValidationWarning) -> &'static str {
    match warning {
        ValidationWarning::ImpossiblePolicy(_) => "impossible_policy",
        ValidationWarning::InvalidActionApplication(_) => "dead_scope",
        ValidationWarning::MixedScriptString(_)
        | ValidationWarning::MixedScriptIdentifier(_)
        | ValidationWarning::BidiCharsInString(_)
        | ValidationWarning::BidiCharsInIdentifier(_)
        | ValidationWarning::ConfusableIdentifier(_) => "confusable_text",
        _ => "policy_validation",
    }
}
