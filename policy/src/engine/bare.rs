//! Conditions without the places where they were written: evaluation copies a place with every value.

use cedar_policy_core::ast::{Expr, ExprKind};
use std::sync::Arc;

/// The same expression, as if nobody had written it.
pub(crate) fn bare(expr: &Expr) -> Expr {
    match expr.expr_kind() {
        ExprKind::Lit(value) => Expr::val(value.clone()),
        ExprKind::Var(var) => Expr::var(*var),
        ExprKind::Slot(slot) => Expr::slot(*slot),
        ExprKind::Unknown(unknown) => Expr::unknown(unknown.clone()),
        ExprKind::If { test_expr, then_expr, else_expr } => {
            Expr::ite(bare(test_expr), bare(then_expr), bare(else_expr))
        }
        ExprKind::And { left, right } => Expr::and(bare(left), bare(right)),
        ExprKind::Or { left, right } => Expr::or(bare(left), bare(right)),
        ExprKind::UnaryApp { op, arg } => Expr::unary_app(*op, bare(arg)),
        ExprKind::BinaryApp { op, arg1, arg2 } => Expr::binary_app(*op, bare(arg1), bare(arg2)),
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            Expr::call_extension_fn(fn_name.clone(), args.iter().map(bare).collect())
        }
        ExprKind::GetAttr { expr, attr } => Expr::get_attr(bare(expr), attr.clone()),
        ExprKind::HasAttr { expr, attr } => Expr::has_attr(bare(expr), attr.clone()),
        ExprKind::ExtHasAttr { expr, attrs } => Expr::extended_has_attr(bare(expr), attrs.clone()),
        ExprKind::Like { expr, pattern } => Expr::like(bare(expr), pattern.clone()),
        ExprKind::Is { expr, entity_type } => Expr::is_entity_type(bare(expr), entity_type.clone()),
        ExprKind::Set(items) => Expr::set(items.iter().map(bare)),
        ExprKind::Record(members) => {
            Expr::record_arc(Arc::new(members.iter().map(|(name, member)| (name.clone(), bare(member))).collect()))
        }
    }
}
