//! Comparisons of entities that can have only one result: between two types `!=` is always true.
//!
//! Cedar's validator lets them pass. `unless { context.caller != principal }` would let every workload through.

use super::{check::Reach, split, tree, written::Written};
use crate::{
    finding::Finding,
    index::{Actions, Bound, Scope},
    vocabulary::{Vocabulary, base::Kind},
};
use cedar_policy::pst::{BinaryOp, Expr, Literal, UnaryOp, Var};
use std::{collections::BTreeSet, ops::Range, sync::Arc};

/// One way in which a policy can be asked: types of principal and resource, and the context.
#[derive(Debug)]
struct Setting<'a> {
    vocabulary: &'a Vocabulary,
    principal: Kind<'a>,
    resource: Kind<'a>,
    context: Kind<'a>,
}

/// A comparison with one result.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Constant {
    /// Which of the policy's comparisons, in order of writing.
    place: usize,
    left: Arc<str>,
    right: Arc<str>,
    sign: &'static str,
    result: bool,
}

/// The place of a comparison that is not written as `==` or `!=`.
const ELSEWHERE: usize = usize::MAX;

/// Reports them, for every kind of caller that the policy's head lets in.
pub(crate) fn check(policy: &Written, reach: &Reach, vocabulary: &Vocabulary) -> Vec<Finding> {
    let mut found = BTreeSet::new();
    for setting in settings(&policy.scope, reach, vocabulary) {
        let mut place = 0;
        for condition in tree::conditions(&policy.tree) {
            setting.visit(condition, &mut place, &mut found);
        }
    }
    let ranges = comparisons(policy);
    found
        .into_iter()
        .map(|constant| {
            let Constant { place, left, right, sign, result } = constant;
            let message = format!("`{sign}` between {left} and {right} is always {result}");
            let help = "test the type first (`principal is User && …`), or name the kind of caller in the head";
            policy.place.finding("constant_comparison", message, ranges.get(place).cloned()).help(help)
        })
        .collect()
}

fn settings<'a>(scope: &Scope, reach: &Reach, vocabulary: &'a Vocabulary) -> Vec<Setting<'a>> {
    let base = &vocabulary.base;
    let mut settings = Vec::new();
    // Of what a call is asked with, facts alone are or have entities; so it is with `describe`.
    let call = base.context("describe").unwrap_or(Kind::Other);
    let mut add = |principal: &str, resource: &str, context: &Kind<'a>| {
        if scope.principal.allows_type(principal) && scope.resource.allows_type(resource) {
            let kind = |name: &str| Kind::Entity(name.into());
            let (principal, resource) = (kind(principal), kind(resource));
            settings.push(Setting { vocabulary, principal, resource, context: context.clone() });
        }
    };
    let words = reach.functions.values().filter_map(|name| vocabulary.function(name));
    let kinds: BTreeSet<_> = words.flat_map(|words| &words.principals).collect();
    for kind in kinds {
        add(kind.as_str(), "Function", &call);
    }
    for action in base.applied().filter(|action| scope.action.matches(action, &base.ancestors(action))) {
        let (Some((principals, resources)), Some(context)) = (base.applies_to(action), base.context(action)) else {
            continue;
        };
        for principal in &principals {
            resources.iter().for_each(|resource| add(principal, resource, &context));
        }
    }
    settings
}

impl Setting<'_> {
    /// Walks in order of evaluation and returns the result if it is the same for every question.
    /// What can't be reached (`principal is User && …` for a workload) is counted but not judged.
    fn visit(&self, expr: &Expr, place: &mut usize, found: &mut BTreeSet<Constant>) -> Option<bool> {
        match expr {
            Expr::Literal(Literal::Bool(value)) => Some(*value),
            Expr::UnaryOp { op: UnaryOp::Not, expr } => self.visit(expr, place, found).map(|value| !value),
            Expr::BinaryOp { op: BinaryOp::And, left, right } => self.junction(left, right, false, place, found),
            Expr::BinaryOp { op: BinaryOp::Or, left, right } => self.junction(left, right, true, place, found),
            Expr::BinaryOp { op: op @ (BinaryOp::Eq | BinaryOp::NotEq), left, right } => {
                self.visit(left, place, found);
                let here = *place;
                *place += 1;
                self.visit(right, place, found);
                self.comparison(*op == BinaryOp::Eq, left, right, here, found)
            }
            Expr::BinaryOp { op: op @ (BinaryOp::In | BinaryOp::Contains), left, right } => {
                self.visit(left, place, found);
                self.visit(right, place, found);
                self.membership(*op, left, right, found)
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                let cond = self.visit(cond, place, found);
                let then_value = self.visit_if(cond != Some(false), then_expr, place, found);
                let else_value = self.visit_if(cond != Some(true), else_expr, place, found);
                match cond {
                    Some(true) => then_value,
                    Some(false) => else_value,
                    None => then_value.filter(|value| else_value == Some(*value)),
                }
            }
            Expr::Is { expr, entity_type, in_expr } => {
                self.visit(expr, place, found);
                in_expr.iter().for_each(|within| self.visit_only(within, place, found));
                match self.kind(expr) {
                    Kind::Entity(kind) if kind.as_ref() != entity_type.to_string() => Some(false),
                    Kind::Entity(_) if in_expr.is_none() => Some(true),
                    _ => None,
                }
            }
            Expr::HasAttr { expr, attrs } => {
                self.visit(expr, place, found);
                let kind = self.kind(expr);
                let lacks =
                    matches!(kind, Kind::Entity(_)) && self.vocabulary.base.attribute(&kind, attrs.first()).is_none();
                lacks.then_some(false)
            }
            _ => {
                tree::parts(expr).into_iter().for_each(|part| self.visit_only(part, place, found));
                None
            }
        }
    }

    fn visit_only(&self, expr: &Expr, place: &mut usize, found: &mut BTreeSet<Constant>) {
        self.visit(expr, place, found);
    }

    /// `&&` stops at false, `||` at true.
    fn junction(
        &self,
        left: &Expr,
        right: &Expr,
        stop: bool,
        place: &mut usize,
        found: &mut BTreeSet<Constant>,
    ) -> Option<bool> {
        let left = self.visit(left, place, found);
        let right = self.visit_if(left != Some(stop), right, place, found);
        match (left, right) {
            (Some(value), _) if value == stop => Some(stop),
            (_, Some(value)) if value == stop => Some(stop),
            (Some(_), Some(_)) => Some(!stop),
            _ => None,
        }
    }

    fn visit_if(&self, reached: bool, expr: &Expr, place: &mut usize, found: &mut BTreeSet<Constant>) -> Option<bool> {
        if reached {
            return self.visit(expr, place, found);
        }
        self.visit(expr, place, &mut BTreeSet::new());
        None
    }

    fn comparison(
        &self,
        equal: bool,
        left: &Expr,
        right: &Expr,
        place: usize,
        found: &mut BTreeSet<Constant>,
    ) -> Option<bool> {
        let (Kind::Entity(left_type), Kind::Entity(right_type)) = (self.kind(left), self.kind(right)) else {
            return None;
        };
        if left_type == right_type {
            return None;
        }
        // `principal == Anonymous::"anonymous"` asks who it is; that it is constant for others is its purpose.
        let asks_who = [left, right].iter().any(|side| matches!(side, Expr::Literal(_)));
        if !asks_who {
            let sign = if equal { "==" } else { "!=" };
            found.insert(Constant { place, left: left_type, right: right_type, sign, result: !equal });
        }
        Some(!equal)
    }

    /// `in` and `.contains` between types of which one can never be within the other.
    fn membership(&self, op: BinaryOp, left: &Expr, right: &Expr, found: &mut BTreeSet<Constant>) -> Option<bool> {
        let (left_kind, right_kind) = (self.kind(left), self.kind(right));
        let (sign, possible, left_type, right_type) = match (op, left_kind, right_kind) {
            (BinaryOp::In, Kind::Entity(inner), Kind::Entity(outer) | Kind::Entities(outer)) => {
                ("in", self.vocabulary.base.can_be_in(&inner, &outer), inner, outer)
            }
            (BinaryOp::Contains, Kind::Entities(of), Kind::Entity(item)) => (".contains", of == item, of, item),
            _ => return None,
        };
        if possible {
            return None;
        }
        // Nobody is in no group, by its very nature; and a group that is written out asks who it is.
        let meant = op == BinaryOp::In
            && (left_type.as_ref() == "Anonymous" || matches!(right, Expr::Literal(_) | Expr::Set(_)));
        if !meant {
            found.insert(Constant { place: ELSEWHERE, left: left_type, right: right_type, sign, result: false });
        }
        Some(false)
    }

    fn kind(&self, expr: &Expr) -> Kind<'_> {
        match expr {
            Expr::Var(Var::Principal) => self.principal.clone(),
            Expr::Var(Var::Resource) => self.resource.clone(),
            Expr::Var(Var::Context) => self.context.clone(),
            Expr::Literal(Literal::EntityUID(uid)) => Kind::Entity(uid.ty.to_string().into()),
            Expr::GetAttr { expr, attr } => {
                self.vocabulary.base.attribute(&self.kind(expr), attr).unwrap_or(Kind::Other)
            }
            Expr::IfThenElse { then_expr, .. } => self.kind(then_expr),
            _ => Kind::Other,
        }
    }
}

/// The signs `==` and `!=` of a policy's conditions, in order of writing.
fn comparisons(policy: &Written) -> Vec<Range<usize>> {
    let text = policy.place.text();
    let tokens = split::tokens(text);
    let pairs = tokens.windows(2).filter_map(|pair| {
        let (first, second) = (pair.first()?, pair.get(1)?);
        let sign = text.get(first.range.start..second.range.end)?;
        matches!(sign, "==" | "!=").then(|| first.range.start..second.range.end)
    });
    let eq = |bound: &Bound| usize::from(matches!(bound, Bound::Eq(_)));
    let head = eq(&policy.scope.principal)
        + eq(&policy.scope.resource)
        + usize::from(matches!(policy.scope.action, Actions::Eq(_)));
    pairs.skip(head).collect()
}

#[cfg(test)]
mod tests;
