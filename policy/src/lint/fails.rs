//! Expressions of a forbid that can leave the range of 64 bits, by the ranges that their parts can have.
//!
//! After strict validation nothing else can fail: fields are there and of their type, literals are well-formed.

use super::bounds;
use crate::{
    bundle::{tree, written::Written},
    declared::{Declared, InputSchema},
    index::Actions,
};
use cedar_policy::pst::{BinaryOp, Expr, Literal, UnaryOp};

/// Milliseconds of the years 0 to 9999, which is all that the typed builder lets into a question.
const TIMES: Range = Range { low: -62_167_219_200_000, high: 253_402_300_799_999 };
const ANY: Range = Range { low: i64::MIN as i128, high: i64::MAX as i128 };
const DAY: i128 = 86_400_000;

/// Numbers or milliseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    low: i128,
    high: i128,
}

/// The expressions that may fail, as Cedar writes them.
pub(super) fn check(policy: &Written, declared: &Declared) -> Vec<String> {
    let function = match &policy.scope.action {
        Actions::Eq(name) => declared.functions.iter().find(|function| function.name.as_str() == name.as_ref()),
        Actions::Any | Actions::In(_) => None,
    };
    let mut walk = Walk { input: function.and_then(|function| function.input.as_ref()), found: Vec::new() };
    for condition in tree::conditions(&policy.tree) {
        walk.range(condition);
    }
    walk.found
}

struct Walk<'a> {
    input: Option<&'a InputSchema>,
    found: Vec<String>,
}

impl Walk<'_> {
    /// The range of a number, time or duration; `None` for what has no range of its own.
    fn range(&mut self, expr: &Expr) -> Option<Range> {
        match expr {
            Expr::Literal(Literal::Long(n)) => Some(Range { low: (*n).into(), high: (*n).into() }),
            Expr::UnaryOp { op, expr: of } => self.unary(*op, of, expr),
            Expr::BinaryOp { op, left, right } => self.binary(*op, left, right, expr),
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                self.range(cond);
                let (one, other) = (self.range(then_expr), self.range(else_expr));
                let (one, other) = (one?, other?);
                Some(Range { low: one.low.min(other.low), high: one.high.max(other.high) })
            }
            Expr::GetAttr { .. } => {
                bounds::of(expr, self.input).map(|(low, high)| Range { low: low.into(), high: high.into() })
            }
            other => {
                for part in tree::parts(other) {
                    self.range(part);
                }
                None
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, of: &Expr, whole: &Expr) -> Option<Range> {
        let inner = self.range(of);
        let divided = |by: i128| inner.map(|r| Range { low: r.low / by, high: r.high / by });
        match op {
            UnaryOp::Neg => {
                let inner = inner.unwrap_or(ANY);
                Some(self.within(Range { low: -inner.high, high: -inner.low }, whole))
            }
            UnaryOp::Datetime => Some(TIMES),
            UnaryOp::Duration => Some(bounds::duration(of).map_or(ANY, |ms| Range { low: ms, high: ms })),
            UnaryOp::ToDate => {
                let inner = inner.unwrap_or(TIMES);
                Some(self.within(Range { low: inner.low - DAY, high: inner.high }, whole))
            }
            UnaryOp::ToTime => Some(Range { low: 0, high: DAY - 1 }),
            UnaryOp::ToMilliseconds => divided(1),
            UnaryOp::ToSeconds => divided(1_000),
            UnaryOp::ToMinutes => divided(60_000),
            UnaryOp::ToHours => divided(3_600_000),
            UnaryOp::ToDays => divided(DAY),
            _ => None,
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, whole: &Expr) -> Option<Range> {
        let (left, right) = (self.range(left), self.range(right));
        let (l, r) = (left.unwrap_or(ANY), right.unwrap_or(ANY));
        let (time, other_time) = (left.unwrap_or(TIMES), right.unwrap_or(TIMES));
        let result = match op {
            BinaryOp::Add => Range { low: l.low + r.low, high: l.high + r.high },
            BinaryOp::Sub => Range { low: l.low - r.high, high: l.high - r.low },
            BinaryOp::Mul => {
                let products = [l.low * r.low, l.low * r.high, l.high * r.low, l.high * r.high];
                let low = products.iter().copied().min().unwrap_or(ANY.low);
                Range { low, high: products.iter().copied().max().unwrap_or(ANY.high) }
            }
            BinaryOp::Offset => Range { low: time.low + r.low, high: time.high + r.high },
            BinaryOp::DurationSince => Range { low: time.low - other_time.high, high: time.high - other_time.low },
            _ => return None,
        };
        Some(self.within(result, whole))
    }

    /// Notes an expression that can leave 64 bits; what comes of it is within them.
    fn within(&mut self, range: Range, whole: &Expr) -> Range {
        if range.low < ANY.low || range.high > ANY.high {
            self.found.push(whole.to_string());
        }
        Range { low: range.low.clamp(ANY.low, ANY.high), high: range.high.clamp(ANY.low, ANY.high) }
    }
}
