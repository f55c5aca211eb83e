//! Conditions that are seen at once: what they say of the context's members needs no evaluator.
//!
//! It says nothing rather than anything but what Cedar says: whatever is not plainly true or false, or could fail, is
//! left to Cedar's evaluator, and with it the whole condition.

use super::reads::parts;
use cedar_policy_core::{
    ast::{BinaryOp, Context, Expr, ExprKind, Literal, PartialValue, UnaryOp, Value, ValueKind, Var},
    extensions::Extensions,
};

/// Values that a condition writes as a call, such as `ip("10.0.0.0/8")`, each made once.
#[derive(Clone, Debug, Default)]
pub(super) struct Constants(Box<[(Expr, Value)]>);

/// A context, and the constants of the condition that looks at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) context: &'a Context,
    pub(super) constants: &'a Constants,
}

impl Constants {
    pub(super) fn of(expr: &Expr) -> Self {
        let mut found = Vec::new();
        collect(expr, &mut found);
        Self(found.into())
    }

    fn get(&self, call: &Expr) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == call).map(|(_, value)| value)
    }
}

fn collect(expr: &Expr, found: &mut Vec<(Expr, Value)>) {
    if let ExprKind::ExtensionFunctionApp { args, .. } = expr.expr_kind() {
        let literal = |arg: &Expr| match arg.expr_kind() {
            ExprKind::Lit(literal) => Some(Value::from(literal.clone())),
            _ => None,
        };
        let args: Option<Vec<_>> = args.iter().map(literal).collect();
        if let Some(value) = args.and_then(|args| call(expr, &args)) {
            found.push((expr.clone(), value));
        }
    }
    parts(expr).into_iter().for_each(|part| collect(part, found));
}

/// What an operation of an extension gives, unless it fails.
fn call(expr: &Expr, args: &[Value]) -> Option<Value> {
    let ExprKind::ExtensionFunctionApp { fn_name, .. } = expr.expr_kind() else { return None };
    match Extensions::all_available().func(fn_name).ok()?.call(args) {
        Ok(PartialValue::Value(value)) => Some(value),
        Ok(PartialValue::Residual(_)) | Err(_) => None,
    }
}

impl<'a> Seen<'a> {
    /// Whether the condition holds, if that is plain.
    pub(super) fn holds(self, expr: &'a Expr) -> Option<bool> {
        match expr.expr_kind() {
            ExprKind::And { left, right } => {
                if self.holds(left)? {
                    self.holds(right)
                } else {
                    Some(false)
                }
            }
            ExprKind::Or { left, right } => {
                if self.holds(left)? {
                    Some(true)
                } else {
                    self.holds(right)
                }
            }
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => self.holds(arg).map(|holds| !holds),
            ExprKind::HasAttr { expr, attr } => self.has(expr, attr),
            ExprKind::BinaryApp { op: op @ (BinaryOp::Less | BinaryOp::LessEq), arg1, arg2 } => {
                let (Literal::Long(left), Literal::Long(right)) = (self.literal(arg1)?, self.literal(arg2)?) else {
                    return None;
                };
                Some(if matches!(op, BinaryOp::Less) { left < right } else { left <= right })
            }
            ExprKind::BinaryApp { op: BinaryOp::Eq, arg1, arg2 } => Some(self.literal(arg1)? == self.literal(arg2)?),
            ExprKind::BinaryApp { op: BinaryOp::Contains, arg1, arg2 } => match self.value(arg1)?.value_kind() {
                ValueKind::Set(set) => Some(set.contains(&self.literal(arg2)?.clone().into())),
                _ => None,
            },
            ExprKind::ExtensionFunctionApp { args, .. } => {
                let found = match args.as_slice() {
                    [of] => call(expr, &[self.value(of)?.clone()]),
                    [of, with] => call(expr, &[self.value(of)?.clone(), self.value(with)?.clone()]),
                    _ => None,
                };
                boolean(found?.value_kind())
            }
            ExprKind::Lit(Literal::Bool(value)) => Some(*value),
            ExprKind::GetAttr { .. } => boolean(self.value(expr)?.value_kind()),
            _ => None,
        }
    }

    /// Whether a record has a member.
    fn has(self, expr: &'a Expr, attr: &str) -> Option<bool> {
        match (expr.expr_kind(), self.context) {
            (ExprKind::Var(Var::Context), Context::Value(members)) => Some(members.contains_key(attr)),
            _ => match self.value(expr)?.value_kind() {
                ValueKind::Record(members) => Some(members.contains_key(attr)),
                _ => None,
            },
        }
    }

    fn literal(self, expr: &'a Expr) -> Option<&'a Literal> {
        match expr.expr_kind() {
            ExprKind::Lit(literal) => Some(literal),
            _ => match self.value(expr)?.value_kind() {
                ValueKind::Lit(literal) => Some(literal),
                _ => None,
            },
        }
    }

    /// A member of the context, or of a record in it, or a constant.
    fn value(self, expr: &'a Expr) -> Option<&'a Value> {
        match expr.expr_kind() {
            ExprKind::GetAttr { expr, attr } => match (expr.expr_kind(), self.context) {
                (ExprKind::Var(Var::Context), Context::Value(members)) => members.get(attr.as_str()),
                _ => match self.value(expr)?.value_kind() {
                    ValueKind::Record(members) => members.get(attr.as_str()),
                    _ => None,
                },
            },
            ExprKind::ExtensionFunctionApp { .. } => self.constants.get(expr),
            _ => None,
        }
    }
}

fn boolean(value: &ValueKind) -> Option<bool> {
    match value {
        ValueKind::Lit(Literal::Bool(value)) => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
