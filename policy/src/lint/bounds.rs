//! Which numbers a field can hold: those of the base vocabulary, and of an input by its schema.

use crate::{declared::InputSchema, vocabulary::property::property};
use cedar_policy::{
    Context, Entities, EntityUid, EvalResult, Expression, Request, eval_expression,
    pst::{Expr, Literal, Var},
};
use serde_json::Value;
use std::str::FromStr;

/// The least and the most of a field, if they are known.
pub(super) fn of(field: &Expr, input: Option<&InputSchema>) -> Option<(i64, i64)> {
    let mut path = Vec::new();
    let mut at = field;
    while let Expr::GetAttr { expr, attr } = at {
        path.push(attr.as_str());
        at = expr;
    }
    path.reverse();
    match (at, path.as_slice()) {
        (Expr::Var(Var::Context), ["facts", "clock", "weekday"]) => Some((1, 7)),
        (Expr::Var(Var::Context), ["facts", "clock", "minute"]) => Some((0, 24 * 60 - 1)),
        (Expr::Var(Var::Context), ["facts", "transport", "tls"]) => Some((0, 13)),
        (Expr::Var(Var::Resource), ["class"]) => Some((0, 3)),
        (Expr::Var(Var::Context), ["input", rest @ ..]) => schema(&input?.json, rest),
        _ => None,
    }
}

/// `minimum` and `maximum` of an integer. Every body is checked against its schema before policy is asked.
fn schema(root: &Value, path: &[&str]) -> Option<(i64, i64)> {
    let at = property(root, path)?;
    let number = |name: &str| at.get(name).and_then(Value::as_i64);
    let low = number("minimum").or_else(|| number("exclusiveMinimum").map(|n| n.saturating_add(1)));
    let high = number("maximum").or_else(|| number("exclusiveMaximum").map(|n| n.saturating_sub(1)));
    (at.get("type")?.as_str()? == "integer").then(|| (low.unwrap_or(i64::MIN), high.unwrap_or(i64::MAX)))
}

/// The milliseconds of a duration that is written out, by Cedar's own reading.
pub(super) fn duration(text: &Expr) -> Option<i128> {
    let Expr::Literal(Literal::String(_)) = text else { return None };
    let expression = Expression::from_str(&format!("duration({text}).toMilliseconds()")).ok()?;
    let anybody = EntityUid::from_str("Any::\"any\"").ok()?;
    let request = Request::new(anybody.clone(), anybody.clone(), anybody, Context::empty(), None).ok()?;
    match eval_expression(&request, &Entities::empty(), &expression).ok()? {
        EvalResult::Long(milliseconds) => Some(milliseconds.into()),
        _ => None,
    }
}
