//! What would make a clause hold, in words.

use super::{
    anatomy::{Clause, Part, one_line},
    read::sides,
};
use cedar_policy_core::{
    ast::{BinaryOp, Expr, ExprKind, UnaryOp},
    parser::Loc,
};

/// What a clause asks for.
pub(crate) fn needs(clause: &Clause) -> String {
    match phrase(&clause.expr, clause.wanted) {
        Some(phrase) => phrase,
        None => otherwise(clause),
    }
}

fn otherwise(clause: &Clause) -> String {
    let text = &clause.text;
    match (clause.part, clause.wanted) {
        (Part::Principal | Part::Action | Part::Resource, _) => format!("it must be `{text}`"),
        (_, true) => format!("`{text}` must hold"),
        (_, false) => format!("`{text}` must not hold"),
    }
}

/// A phrase for an expression that must come out as `wanted`; `None` where its own text says it best.
fn phrase(expr: &Expr, wanted: bool) -> Option<String> {
    match expr.expr_kind() {
        ExprKind::UnaryApp { op: UnaryOp::Not, arg } => phrase(arg, !wanted),
        ExprKind::GetAttr { .. } => Some(format!("`{}` must be {wanted}", text(expr)?)),
        ExprKind::HasAttr { expr, attr } => Some(presence(&format!("{}.{attr}", text(expr)?), wanted)),
        ExprKind::ExtHasAttr { expr, attrs } => {
            let path: Vec<&str> = attrs.iter().map(|attr| attr.as_ref()).collect();
            Some(presence(&format!("{}.{}", text(expr)?, path.join(".")), wanted))
        }
        ExprKind::Is { expr, entity_type } => {
            let not = if wanted { "a" } else { "anything but a" };
            Some(format!("`{}` must be {not} {entity_type}", text(expr)?))
        }
        ExprKind::Like { expr, pattern } => {
            let not = if wanted { "" } else { "not " };
            Some(format!("`{}` must {not}be like \"{pattern}\"", text(expr)?))
        }
        ExprKind::BinaryApp { .. } => comparison(expr, wanted),
        ExprKind::Or { left, right } if wanted => joined(left, right, wanted, "or"),
        ExprKind::And { left, right } if !wanted => joined(left, right, wanted, "or"),
        ExprKind::And { left, right } | ExprKind::Or { left, right } => joined(left, right, wanted, "and"),
        _ => None,
    }
}

fn joined(left: &Expr, right: &Expr, wanted: bool, word: &str) -> Option<String> {
    Some(format!("{} {word} {}", phrase(left, wanted)?, phrase(right, wanted)?))
}

fn presence(place: &str, wanted: bool) -> String {
    if wanted { format!("`{place}` must be present") } else { format!("`{place}` must be absent") }
}

fn comparison(expr: &Expr, wanted: bool) -> Option<String> {
    let (op, left, right) = sides(expr)?;
    let words = match (op, wanted) {
        (BinaryOp::Eq, true) => "must be",
        (BinaryOp::Eq, false) => "must be other than",
        (BinaryOp::Less, true) => "must be less than",
        (BinaryOp::Less, false) => "must be at least",
        (BinaryOp::LessEq, true) => "must be at most",
        (BinaryOp::LessEq, false) => "must be more than",
        (BinaryOp::In, true) => "must be in",
        (BinaryOp::In, false) => "must not be in",
        (BinaryOp::Contains, true) => "must contain",
        (BinaryOp::Contains, false) => "must not contain",
        (BinaryOp::ContainsAll, true) => "must contain all of",
        (BinaryOp::ContainsAny, true) => "must contain one of",
        (BinaryOp::ContainsAny, false) => "must contain none of",
        _ => return None,
    };
    // Where the constant stands first, the sentence would be about the constant.
    if matches!(left.expr_kind(), ExprKind::Lit(_)) {
        return None;
    }
    Some(format!("`{}` {words} `{}`", text(left)?, text(right)?))
}

/// The words of an expression as they were written, or as Cedar writes what it made of a head.
fn text(expr: &Expr) -> Option<String> {
    match expr.source_loc().and_then(Loc::snippet) {
        Some(snippet) => Some(one_line(snippet)),
        None => Some(expr.to_string()),
    }
}
