//! An expression with the places that are not known left open, so that Cedar's partial evaluation decides what it can.

use crate::engine::look::Open;
use cedar_policy_core::ast::{Expr, ExprKind, Unknown};

/// The expression with an unknown wherever it reads a place of `open`, or something that contains one.
pub(super) fn opened(expr: &Expr, open: &[Open]) -> Expr {
    if open.is_empty() {
        return expr.clone();
    }
    let fresh = match path(expr) {
        Some(path) => read(expr, &path, open),
        None => rebuilt(expr, open),
    };
    fresh.with_maybe_source_loc(expr.source_loc().cloned())
}

/// A path from a variable.
fn read(expr: &Expr, path: &[String], open: &[Open]) -> Expr {
    if open.iter().any(|open| open.place.starts_with(path)) {
        return unknown(path);
    }
    match expr.expr_kind() {
        ExprKind::GetAttr { expr: base, attr } if open.iter().any(|open| path.starts_with(&open.place)) => {
            Expr::get_attr(opened(base, open), attr.clone())
        }
        _ => expr.clone(),
    }
}

fn rebuilt(expr: &Expr, open: &[Open]) -> Expr {
    let fresh = |part: &Expr| opened(part, open);
    match expr.expr_kind() {
        ExprKind::HasAttr { expr: base, attr } => match has(base, [attr.as_ref()], open) {
            Has::Known => expr.clone(),
            Has::Open(path) => unknown(&path),
            Has::Base => Expr::has_attr(fresh(base), attr.clone()),
        },
        ExprKind::ExtHasAttr { expr: base, attrs } => match has(base, attrs.iter().map(AsRef::as_ref), open) {
            Has::Known => expr.clone(),
            Has::Open(path) => unknown(&path),
            Has::Base => Expr::extended_has_attr(fresh(base), attrs.clone()),
        },
        ExprKind::If { test_expr, then_expr, else_expr } => {
            Expr::ite(fresh(test_expr), fresh(then_expr), fresh(else_expr))
        }
        ExprKind::And { left, right } => Expr::and(fresh(left), fresh(right)),
        ExprKind::Or { left, right } => Expr::or(fresh(left), fresh(right)),
        ExprKind::UnaryApp { op, arg } => Expr::unary_app(*op, fresh(arg)),
        ExprKind::BinaryApp { op, arg1, arg2 } => Expr::binary_app(*op, fresh(arg1), fresh(arg2)),
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            Expr::call_extension_fn(fn_name.clone(), args.iter().map(fresh).collect())
        }
        ExprKind::GetAttr { expr: base, attr } => Expr::get_attr(fresh(base), attr.clone()),
        ExprKind::Like { expr: base, pattern } => Expr::like(fresh(base), pattern.clone()),
        ExprKind::Is { expr: base, entity_type } => Expr::is_entity_type(fresh(base), entity_type.clone()),
        ExprKind::Set(items) => Expr::set(items.iter().map(fresh)),
        ExprKind::Record(members) => {
            let members = members.iter().map(|(name, member)| (name.clone(), fresh(member)));
            Expr::record(members).unwrap_or_else(|_| expr.clone())
        }
        ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => expr.clone(),
    }
}

/// What is known of a `has`.
enum Has {
    /// All that it asks for. Unless a place that is open is unsure, it is there; only its value is not known.
    Known,
    /// It asks beyond a place that is open, or for one that may not be there.
    Open(Vec<String>),
    /// What it is asked of is no path, or open itself.
    Base,
}

fn has<'a>(base: &Expr, attrs: impl IntoIterator<Item = &'a str>, open: &[Open]) -> Has {
    let Some(mut whole) = path(base) else { return Has::Base };
    if open.iter().any(|open| whole.starts_with(&open.place)) {
        return Has::Base;
    }
    whole.extend(attrs.into_iter().map(ToOwned::to_owned));
    let asked = |open: &Open| open.unsure || whole.len() > open.place.len();
    match open.iter().any(|open| whole.starts_with(&open.place) && asked(open)) {
        true => Has::Open(whole),
        false => Has::Known,
    }
}

fn unknown(path: &[String]) -> Expr {
    Expr::unknown(Unknown::new_untyped(path.join(".")))
}

fn path(expr: &Expr) -> Option<Vec<String>> {
    match expr.expr_kind() {
        ExprKind::Var(var) => Some(vec![var.to_string()]),
        ExprKind::GetAttr { expr, attr } => {
            let mut path = path(expr)?;
            path.push(attr.to_string());
            Some(path)
        }
        _ => None,
    }
}
