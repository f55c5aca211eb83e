//! What a clause reads, with the values that it found, and which parts of it decided.

use super::{
    anatomy::one_line,
    judge::{Judge, shown},
};
use crate::engine::reads::parts;
use cedar_policy_core::{
    ast::{BinaryOp, Expr, ExprKind, PartialValue, UnaryOp, Var},
    parser::Loc,
};
use std::sync::Arc;

/// Most values of one clause that are shown.
const READS_MAX: usize = 16;

/// Something that a clause reads.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Read {
    /// Its place, such as `context.input.amount_cents`.
    pub place: String,
    /// Its value as Cedar writes it; `None` if it is not there or not known.
    pub value: Option<String>,
    /// Whether it is there.
    pub known: Known,
}

/// What is known of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// Its value.
    Present,
    /// That there is nothing.
    Absent,
    /// Nothing: it was kept out of the record, or is left open.
    Hidden,
}

/// A part of a clause that decided.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Because {
    /// As it was written.
    pub text: Arc<str>,
    /// What it was; `None` if that is not known or can't be evaluated.
    pub was: Option<bool>,
}

impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.value, self.known) {
            (Some(value), _) => write!(f, "{} is {value}", self.place),
            (None, Known::Hidden) => write!(f, "{} is not known (concealed, redacted or left open)", self.place),
            (None, _) => write!(f, "{} is absent", self.place),
        }
    }
}

/// What an expression reads, each once, in order of writing.
pub(crate) fn reads(judge: &Judge<'_>, expr: &Expr) -> Vec<Read> {
    let mut found: Vec<Read> = Vec::new();
    places(expr, &mut |at| {
        let Some(place) = place(at) else { return };
        if found.len() < READS_MAX && !found.iter().any(|read| read.place == place) {
            found.push(read(judge, at, place));
        }
    });
    found
}

fn read(judge: &Judge<'_>, at: &Expr, place: String) -> Read {
    match judge.value(at) {
        Ok(PartialValue::Value(value)) => Read { place, value: Some(shown(&value)), known: Known::Present },
        Ok(PartialValue::Residual(_)) => Read { place, value: None, known: Known::Hidden },
        Err(_) => Read { place, value: None, known: Known::Absent },
    }
}

/// Calls back with every place that an expression reads: the longest paths, as the values of their starts say less.
fn places(expr: &Expr, found: &mut dyn FnMut(&Expr)) {
    match expr.expr_kind() {
        // `principal` and the like in full only where they are compared themselves.
        ExprKind::Var(Var::Context) => {}
        ExprKind::Var(_) | ExprKind::GetAttr { .. } if place(expr).is_some() => found(expr),
        ExprKind::HasAttr { expr, attr } => found(&Expr::get_attr(expr.as_ref().clone(), attr.clone())),
        ExprKind::ExtHasAttr { expr, attrs } => {
            let whole = attrs.iter().fold(expr.as_ref().clone(), |at, attr| Expr::get_attr(at, attr.clone()));
            found(&whole);
        }
        _ => parts(expr).into_iter().for_each(|part| places(part, found)),
    }
}

/// The words of a path from a variable; `None` for anything else.
pub(crate) fn place(expr: &Expr) -> Option<String> {
    match expr.expr_kind() {
        ExprKind::Var(var) => Some(var.to_string()),
        ExprKind::GetAttr { expr, attr } => {
            let plain = attr.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && attr.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let start = place(expr)?;
            Some(if plain { format!("{start}.{attr}") } else { format!("{start}[\"{}\"]", attr.escape_debug()) })
        }
        _ => None,
    }
}

/// Which parts of an `||`, `&&` or `if` decided: those that were evaluated. Nothing for a plain comparison.
pub(crate) fn because(judge: &Judge<'_>, expr: &Expr) -> Vec<Because> {
    let mut found = Vec::new();
    if is_junction(expr) {
        decided(judge, expr, &mut found);
    }
    found
}

fn is_junction(expr: &Expr) -> bool {
    match expr.expr_kind() {
        ExprKind::And { left, right } | ExprKind::Or { left, right } => {
            // `is … in …` is an `&&` of Cedar's making: its parts have no words of their own.
            let own = |part: &Expr| part.source_loc().is_some() && part.source_loc() != expr.source_loc();
            own(left) && own(right)
        }
        ExprKind::If { .. } => true,
        ExprKind::UnaryApp { op: UnaryOp::Not, arg } => is_junction(arg),
        _ => false,
    }
}

/// Walks as Cedar does: `&&` stops at false, `||` at true, `if` goes one way.
fn decided(judge: &Judge<'_>, expr: &Expr, found: &mut Vec<Because>) {
    if !is_junction(expr) {
        let text = expr.source_loc().and_then(Loc::snippet).map(one_line).unwrap_or_else(|| expr.to_string());
        found.push(Because { text: text.into(), was: judge.truth(expr).ok().flatten() });
        return;
    }
    match expr.expr_kind() {
        ExprKind::And { left, right } | ExprKind::Or { left, right } => {
            let stop = matches!(expr.expr_kind(), ExprKind::Or { .. });
            decided(judge, left, found);
            if judge.truth(left) != Ok(Some(stop)) {
                decided(judge, right, found);
            }
        }
        ExprKind::If { test_expr, then_expr, else_expr } => {
            decided(judge, test_expr, found);
            match judge.truth(test_expr) {
                Ok(Some(true)) => decided(judge, then_expr, found),
                Ok(Some(false)) => decided(judge, else_expr, found),
                Ok(None) | Err(_) => {}
            }
        }
        ExprKind::UnaryApp { arg, .. } => decided(judge, arg, found),
        _ => {}
    }
}

/// Whether an expression is a comparison of this kind, and its sides.
pub(crate) fn sides(expr: &Expr) -> Option<(BinaryOp, &Expr, &Expr)> {
    match expr.expr_kind() {
        ExprKind::BinaryApp { op, arg1, arg2 } => Some((*op, arg1, arg2)),
        _ => None,
    }
}
