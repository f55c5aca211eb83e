//! `dispatch = { … }`: what may be tried again, and only where that does no harm.

use super::tcp;
use crate::config::{Target, raw, raw::At, value::Desk};
use mesh::dispatch::{ATTEMPTS_MAX, Dispatch, Order};
use std::time::Duration;

/// Most failures in a row.
const FAILURES_MAX: u64 = 1_000;
/// Longest first rest that may be configured.
const REST_MAX: Duration = Duration::from_secs(300);
/// Longest attempt, or wait for one, that may be configured.
const ATTEMPT_MAX: Duration = Duration::from_secs(15 * 60);
const MILLISECOND: Duration = Duration::from_millis(1);

pub(crate) fn dispatch(table: &raw::Function, targets: &[Target], timeout: Duration, desk: &mut Desk<'_>) -> Dispatch {
    let defaults = Dispatch { attempts_max: targets.len().clamp(1, ATTEMPTS_MAX), ..Dispatch::default() };
    let Some(At { value: written, .. }) = &table.dispatch else { return defaults };
    repeatable(table, written, targets, desk);
    let within = |written: &Option<At<String>>, desk: &mut Desk<'_>| {
        let written = written.as_ref()?;
        let read = desk.duration(Some(written), MILLISECOND, MILLISECOND..=ATTEMPT_MAX);
        if read >= timeout {
            desk.error("out_of_range", &written.span, "this is not shorter than the function's `timeout`");
        }
        Some(read)
    };
    let attempt_timeout = within(&written.attempt_timeout, desk);
    let hedge_after = within(&written.hedge_after, desk);
    if let Some(hedge) = written.hedge_after.as_ref().filter(|_| targets.len() < 2) {
        desk.error_help("no_target", &hedge.span, "there is no second target to ask", "a second one in `targets`");
    }
    let order = match written.order.as_ref().map(|order| order.value) {
        None | Some(raw::Order::Listed) => Order::Listed,
        Some(raw::Order::Weighted) => Order::Weighted,
        Some(raw::Order::Cheapest) => Order::Cheapest,
        Some(raw::Order::Fastest) => Order::Fastest,
    };
    let attempts = desk.number(written.attempts_max.as_ref(), defaults.attempts_max as u64, 1..=ATTEMPTS_MAX as u64);
    let failures = desk.number(written.failures_max.as_ref(), u64::from(defaults.failures_max), 1..=FAILURES_MAX);
    Dispatch {
        order,
        attempts_max: usize::try_from(attempts).unwrap_or(1),
        attempt_timeout,
        hedge_after,
        failures_max: u32::try_from(failures).unwrap_or(defaults.failures_max),
        rest: desk.duration(written.rest.as_ref(), defaults.rest, MILLISECOND..=REST_MAX),
    }
}

/// Whether it does no harm that a call is sent again before it is known what became of it.
fn repeatable(table: &raw::Function, written: &raw::Dispatch, targets: &[Target], desk: &mut Desk<'_>) {
    let connects = !targets.is_empty() && targets.iter().all(tcp::is_tcp);
    let help = "`idempotent = true`, if a repetition does no harm";
    if let Some(At { span, .. }) = written.attempt_timeout.as_ref().filter(|_| !table.idempotent && !connects) {
        let message = "`attempt_timeout` sends a call again that may have had its effect";
        desk.error_help("not_idempotent", span, message, help);
    }
    let Some(At { span, .. }) = &written.hedge_after else { return };
    if connects {
        let message = "connections are made one after the other";
        desk.error_help("tcp_mismatch", span, message, "`attempt_timeout` says when the next target's turn is");
    } else if !table.idempotent {
        let message = "`hedge_after` sends a call again that may have had its effect";
        desk.error_help("not_idempotent", span, message, help);
    }
}

/// Sees that weights and prices are there where the order goes by them, and weights nowhere else.
pub(crate) fn fits(table: &raw::Function, dispatch: &Dispatch, desk: &mut Desk<'_>) {
    let targets = table.targets.iter().flat_map(|targets| &targets.value);
    let order = table.dispatch.as_ref().and_then(|written| written.value.order.as_ref());
    let mut priced = 0;
    for At { value: target, .. } in targets {
        priced += usize::from(target.price.is_some());
        if let Some(weight) = target.weight.as_ref().filter(|_| dispatch.order != Order::Weighted) {
            let help = "`dispatch = { order = \"weighted\" }`";
            desk.error_help("unused_weight", &weight.span, "the weight counts for nothing in this order", help);
        }
    }
    if let Some(order) = order.filter(|order| order.value == raw::Order::Cheapest && priced == 0) {
        let message = "no target has a price, so none is the cheapest";
        desk.error_help("no_price", &order.span, message, "`price = \"…\"` in targets, which names a `[price.*]`");
    }
}
