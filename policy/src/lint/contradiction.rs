//! Conditions that no question satisfies, as far as comparing with constants and repeating a test show it.
//!
//! What it finds is certain: every way to make the conditions true needs some test to have two results at once.

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, Template, UnaryOp};
use std::collections::{BTreeMap, BTreeSet};

/// How many ways through alternatives are tried before giving up.
const WAYS_MAX: usize = 512;

/// Whether the conditions can't hold together.
pub(super) fn never(policy: &Template) -> bool {
    let wished = policy.clauses().iter().map(|clause| match clause {
        Clause::When(expr) => (expr.as_ref(), true),
        Clause::Unless(expr) => (expr.as_ref(), false),
    });
    let pending: Vec<_> = wished.collect();
    !pending.is_empty() && !possible(pending, Facts::default(), &mut WAYS_MAX.clone())
}

/// What has been taken for true on one way.
#[derive(Clone, Default)]
struct Facts {
    tests: BTreeMap<String, bool>,
    numbers: BTreeMap<String, (i128, i128)>,
    texts: BTreeMap<String, String>,
    not_texts: BTreeSet<(String, String)>,
}

/// Whether some way makes everything pending true. Giving up counts as possible.
fn possible(mut pending: Vec<(&Expr, bool)>, mut facts: Facts, ways: &mut usize) -> bool {
    while let Some((expr, wished)) = pending.pop() {
        let either = match expr {
            Expr::Literal(Literal::Bool(value)) if *value == wished => continue,
            Expr::Literal(Literal::Bool(_)) => return false,
            Expr::UnaryOp { op: UnaryOp::Not, expr } => {
                pending.push((expr, !wished));
                continue;
            }
            Expr::BinaryOp { op: op @ (BinaryOp::And | BinaryOp::Or), left, right } => {
                if (*op == BinaryOp::And) == wished {
                    pending.extend([(left.as_ref(), wished), (right.as_ref(), wished)]);
                    continue;
                }
                [vec![(left.as_ref(), wished)], vec![(right.as_ref(), wished)]]
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => [
                vec![(cond.as_ref(), true), (then_expr.as_ref(), wished)],
                vec![(cond.as_ref(), false), (else_expr.as_ref(), wished)],
            ],
            test if facts.take(test, wished) => continue,
            _ => return false,
        };
        *ways = ways.saturating_sub(1);
        return *ways == 0
            || either.into_iter().any(|way| possible([pending.clone(), way].concat(), facts.clone(), ways));
    }
    true
}

impl Facts {
    /// Takes a test for true or false; no if that contradicts what was taken before.
    fn take(&mut self, test: &Expr, wished: bool) -> bool {
        if let Expr::BinaryOp { op, left, right } = test {
            let compared = match (number(left), number(right)) {
                (None, Some(n)) => range(*op, n, wished).map(|range| (left.to_string(), range)),
                (Some(n), None) => range(turned(*op), n, wished).map(|range| (right.to_string(), range)),
                _ => None,
            };
            if let Some((name, (low, high))) = compared {
                let known = self.numbers.entry(name).or_insert((i64::MIN.into(), i64::MAX.into()));
                *known = (known.0.max(low), known.1.min(high));
                return known.0 <= known.1;
            }
            if let (BinaryOp::Eq | BinaryOp::NotEq, Some((name, value))) = (op, text(left, right)) {
                return self.take_text(name, value, (*op == BinaryOp::Eq) == wished);
            }
        }
        *self.tests.entry(test.to_string()).or_insert(wished) == wished
    }

    fn take_text(&mut self, name: String, value: String, equal: bool) -> bool {
        let known = self.texts.get(&name);
        if !equal {
            let fits = known != Some(&value);
            self.not_texts.insert((name, value));
            return fits;
        }
        let fits =
            known.is_none_or(|known| *known == value) && !self.not_texts.contains(&(name.clone(), value.clone()));
        self.texts.insert(name, value);
        fits
    }
}

fn number(expr: &Expr) -> Option<i128> {
    match expr {
        Expr::Literal(Literal::Long(n)) => Some(i128::from(*n)),
        Expr::UnaryOp { op: UnaryOp::Neg, expr } => number(expr).map(|n| -n),
        _ => None,
    }
}

/// A comparison of something with a text or an entity that is written out.
fn text(left: &Expr, right: &Expr) -> Option<(String, String)> {
    let constant = |expr: &Expr| matches!(expr, Expr::Literal(Literal::String(_) | Literal::EntityUID(_)));
    match (constant(left), constant(right)) {
        (false, true) => Some((left.to_string(), right.to_string())),
        (true, false) => Some((right.to_string(), left.to_string())),
        _ => None,
    }
}

/// The same comparison seen from its other side.
fn turned(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessEq => BinaryOp::GreaterEq,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterEq => BinaryOp::LessEq,
        other => other,
    }
}

/// Which numbers make a comparison with `n` come out as wished, if they are one range.
fn range(op: BinaryOp, n: i128, wished: bool) -> Option<(i128, i128)> {
    let (low, high) = (i128::from(i64::MIN), i128::from(i64::MAX));
    match (op, wished) {
        (BinaryOp::Less, true) | (BinaryOp::GreaterEq, false) => Some((low, n - 1)),
        (BinaryOp::LessEq, true) | (BinaryOp::Greater, false) => Some((low, n)),
        (BinaryOp::Greater, true) | (BinaryOp::LessEq, false) => Some((n + 1, high)),
        (BinaryOp::GreaterEq, true) | (BinaryOp::Less, false) => Some((n, high)),
        (BinaryOp::Eq, true) | (BinaryOp::NotEq, false) => Some((n, n)),
        _ => None,
    }
}
