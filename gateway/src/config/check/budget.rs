//! `[budget.*]`: an amount and a period, for functions that exist and have prices.

use super::price::amount;
use crate::config::{
    Budget, Each, Function, Period, Then, raw,
    raw::{At, Named},
    value::{Desk, shorten},
};
use std::sync::Arc;

/// Largest amount, in the currency.
const AMOUNT_MAX: f64 = 1e7;
/// Most budgets.
const BUDGETS_MAX: usize = 1_000;

pub(crate) fn budgets(written: &Named<raw::Budget>, functions: &[Function], desk: &mut Desk<'_>) -> Vec<Arc<Budget>> {
    let mut all = Vec::new();
    for (name, table) in written {
        let named = desk.name("a budget", name);
        let per = desk.required("per", &table.per, &name.span).map(|per| match per.value {
            raw::Period::Hour => Period::Hour,
            raw::Period::Day => Period::Day,
            raw::Period::Month => Period::Month,
        });
        let written_amount = desk.required("amount", &table.amount, &name.span);
        let amount = written_amount.map(|_| amount(&table.amount, 1.0, AMOUNT_MAX, desk));
        let (for_functions, callers) = (patterns(&table.functions, desk), patterns(&table.callers, desk));
        for (pattern, written) in for_functions.iter().zip(&table.functions) {
            let known = functions.iter().map(|function| function.declared.name.as_str());
            let found = known.clone().any(|function| match pattern.strip_suffix('*') {
                Some(begin) => function.starts_with(begin),
                None => **pattern == *function,
            });
            if !found {
                desk.unknown("unknown_function", "function", written, known);
            }
        }
        let (Some(name), Some(per), Some(amount)) = (named, per, amount) else { continue };
        let budget = Budget {
            name,
            functions: for_functions,
            callers,
            each: match table.each {
                None | Some(raw::Each::All) => Each::All,
                Some(raw::Each::Function) => Each::Function,
                Some(raw::Each::Caller) => Each::Caller,
            },
            per,
            amount,
            then: match table.then {
                None | Some(raw::Then::Warn) => Then::Warn,
                Some(raw::Then::Shadow) => Then::Shadow,
                Some(raw::Then::Refuse) => Then::Refuse,
            },
        };
        priced(&budget, functions, table, desk);
        all.push(Arc::new(budget));
    }
    if let Some((name, _)) = written.iter().nth(BUDGETS_MAX) {
        desk.error("too_many", &name.span, format!("a gateway has at most {BUDGETS_MAX} budgets"));
    }
    all
}

/// Warns of functions whose runs count for nothing.
fn priced(budget: &Budget, functions: &[Function], table: &raw::Budget, desk: &mut Desk<'_>) {
    let mut mine = functions.iter().filter(|function| budget.is_for_function(function.declared.name.as_str()));
    let free = mine.find(|function| function.targets.iter().any(|target| target.price.is_none()));
    if let (Some(free), Some(amount)) = (free, &table.amount) {
        let message = format!("`{}` has a target without a price, and its runs count for nothing", free.declared.name);
        desk.warn("unpriced", &amount.span, message, "`price = \"…\"` in each target");
    }
}

fn patterns(written: &[At<String>], desk: &mut Desk<'_>) -> Vec<Arc<str>> {
    let mut all: Vec<Arc<str>> = Vec::new();
    for pattern in written {
        let begin = pattern.value.strip_suffix('*').unwrap_or(&pattern.value);
        if begin.contains('*') || pattern.value.is_empty() {
            let message = format!("`{}` is no name, nor one that ends in `*`", shorten(&pattern.value));
            desk.error("bad_pattern", &pattern.span, message);
        } else {
            all.push(pattern.value.as_str().into());
        }
    }
    all
}
