//! Policies that another one makes needless: duplicates, shadowed ones, and permits that a forbid overrules.
//!
//! One covers another if its head is as wide or wider and each of its conditions is a condition of the other.

use super::Found;
use crate::{
    bundle::written::Written,
    declared::{Declared, Function},
    index::{Actions, Bound},
    question::FunctionName,
    vocabulary::Vocabulary,
};
use cedar_policy::{
    Effect, EntityUid,
    pst::{BinaryOp, Clause, Expr, UnaryOp},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A policy made ready to be compared.
struct Side<'a> {
    policy: &'a Written,
    permit: bool,
    /// Conditions, each with the result that it must have.
    conditions: BTreeSet<(String, bool)>,
    /// The function that the head names.
    function: Option<&'a Function>,
}

pub(super) fn check(policies: &[Written], declared: &Declared, vocabulary: &Vocabulary, found: &mut Found) {
    let functions: HashMap<&str, &Function> = declared.functions.iter().map(|f| (f.name.as_str(), f)).collect();
    let sides: Vec<Side<'_>> = policies.iter().map(|policy| Side::new(policy, &functions)).collect();
    // Only policies over the same action, or over groups, can cover one over an action.
    let mut exact: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut wide = Vec::new();
    for (place, side) in sides.iter().enumerate() {
        match &side.policy.scope.action {
            Actions::Eq(name) => exact.entry(name).or_default().push(place),
            Actions::Any | Actions::In(_) => wide.push(place),
        }
    }
    let comparison = Comparison { declared, vocabulary };
    for (place, side) in sides.iter().enumerate() {
        let same: &[usize] = match &side.policy.scope.action {
            Actions::Eq(name) => exact.get(name.as_ref()).map_or(&[], Vec::as_slice),
            Actions::Any | Actions::In(_) => &[],
        };
        let others = same.iter().chain(&wide).filter(|other| **other != place);
        for (other_place, other) in others.filter_map(|other| Some((*other, sides.get(*other)?))) {
            // What is in shadow makes nothing needless that is in force.
            let decides = side.policy.shadowed || !other.policy.shadowed;
            if decides && comparison.covers(other, side) {
                let mutual = comparison.covers(side, other);
                report(side, other, mutual, other_place < place, found);
            }
        }
    }
}

/// Says what it means that `other` covers `side`.
fn report(side: &Side<'_>, other: &Side<'_>, mutual: bool, other_first: bool, found: &mut Found) {
    let (name, by) = (&side.policy.name, &other.policy.name);
    let there = format!("{}:{}", other.policy.place.source.file, other.policy.place.line);
    if side.permit && !other.permit {
        let message = format!("`{name}` never grants: the forbid `{by}` ({there}) covers all of it");
        return found.push(side.policy, "overruled_permit", message, "remove the permit, or narrow the forbid");
    }
    if side.permit != other.permit {
        return;
    }
    match (mutual, other_first) {
        (true, true) => {
            let message = format!("`{name}` says the same as `{by}` ({there})");
            found.push(side.policy, "duplicate_policy", message, "keep one of them");
        }
        (true, false) => {}
        (false, _) => {
            let message = format!("`{by}` ({there}) does all that `{name}` does, and more");
            found.push(side.policy, "shadowed_policy", message, "remove it, or narrow the other one");
        }
    }
}

impl<'a> Side<'a> {
    fn new(policy: &'a Written, functions: &HashMap<&str, &'a Function>) -> Self {
        let function = match &policy.scope.action {
            Actions::Eq(name) => functions.get(name.as_ref()).copied(),
            Actions::Any | Actions::In(_) => None,
        };
        let mut conditions = BTreeSet::new();
        for clause in policy.tree.clauses() {
            match clause {
                Clause::When(expr) => parts(expr, true, &mut conditions),
                Clause::Unless(expr) => parts(expr, false, &mut conditions),
            }
        }
        Self { policy, permit: policy.policy.effect() == Effect::Permit, conditions, function }
    }
}

/// The conditions that must all hold.
fn parts(expr: &Expr, wished: bool, into: &mut BTreeSet<(String, bool)>) {
    match expr {
        Expr::UnaryOp { op: UnaryOp::Not, expr } => parts(expr, !wished, into),
        Expr::BinaryOp { op: BinaryOp::And, left, right } if wished => {
            parts(left, true, into);
            parts(right, true, into);
        }
        Expr::BinaryOp { op: BinaryOp::Or, left, right } if !wished => {
            parts(left, false, into);
            parts(right, false, into);
        }
        other => drop(into.insert((other.to_string(), wished))),
    }
}

struct Comparison<'a> {
    declared: &'a Declared,
    vocabulary: &'a Vocabulary,
}

impl Comparison<'_> {
    /// Whether `wide` holds whenever `narrow` does.
    fn covers(&self, wide: &Side<'_>, narrow: &Side<'_>) -> bool {
        let lasts = match (wide.policy.expires, narrow.policy.expires) {
            (None, _) => true,
            (Some(wide), Some(narrow)) => wide >= narrow,
            (Some(_), None) => false,
        };
        let (w, n) = (&wide.policy.scope, &narrow.policy.scope);
        lasts
            && principal(&w.principal, &n.principal)
            && self.action(&w.action, &n.action)
            && self.resource(&w.resource, &n.resource, narrow.function)
            && wide.conditions.is_subset(&narrow.conditions)
    }

    fn action(&self, wide: &Actions, narrow: &Actions) -> bool {
        let names = match (wide, narrow) {
            (Actions::Any, _) => return true,
            (_, Actions::Any) => return false,
            (Actions::Eq(wide), Actions::Eq(narrow)) => return wide == narrow,
            (Actions::Eq(_), Actions::In(_)) => return false,
            (Actions::In(names), _) => names,
        };
        let each = match narrow {
            Actions::Eq(name) => std::slice::from_ref(name),
            Actions::In(names) => names.as_slice(),
            Actions::Any => &[],
        };
        each.iter().all(|name| {
            let function = FunctionName::parse(name).ok().and_then(|name| self.vocabulary.function(&name));
            let above = function.map_or_else(|| self.vocabulary.base.ancestors(name), |words| words.groups.clone());
            names.iter().any(|wide| wide == name || above.contains(wide))
        })
    }

    /// A head that names a function's action is only ever asked of that function.
    fn resource(&self, wide: &Bound, narrow: &Bound, function: Option<&Function>) -> bool {
        let (wide_in, narrow_in) = (wide.uid(), narrow.uid());
        let is =
            |uid: &EntityUid, kind: &str, id: &str| uid.type_name().basename() == kind && uid.id().unescaped() == id;
        if let (Some(function), Some(uid)) = (function, wide_in) {
            let app = self.declared.apps.iter().find(|app| app.name == function.app);
            let within =
                is(uid, "App", &function.app) || app.is_some_and(|app| is(uid, "Environment", &app.environment));
            let itself = is(uid, "Function", function.name.as_str());
            return itself || (within && !matches!(wide, Bound::Eq(_)));
        }
        match (wide, narrow) {
            (Bound::Any, _) => true,
            (Bound::Is(kind), _) if function.is_some() => kind.as_ref() == "Function",
            _ => bound(wide, narrow) && (wide_in.is_none() || wide_in == narrow_in),
        }
    }
}

fn principal(wide: &Bound, narrow: &Bound) -> bool {
    bound(wide, narrow)
}

/// Whether everything within `narrow` is within `wide`, without knowing what is in what.
fn bound(wide: &Bound, narrow: &Bound) -> bool {
    match (wide, narrow) {
        (Bound::Any, _) => true,
        (Bound::Is(wide), Bound::Is(narrow) | Bound::IsIn(narrow, _)) => wide == narrow,
        (Bound::Is(wide), Bound::Eq(uid)) => uid.type_name().basename() == wide.as_ref(),
        (Bound::In(wide), Bound::In(narrow) | Bound::IsIn(_, narrow) | Bound::Eq(narrow))
        | (Bound::Eq(wide), Bound::Eq(narrow)) => wide == narrow,
        (Bound::IsIn(kind, wide), Bound::IsIn(other, narrow)) => kind == other && wide == narrow,
        _ => false,
    }
}
