//! Work on a list by two threads. Nothing is shared but what is read, and the result is as if one had done it.

use std::{panic, thread};

/// From how many items on a second thread is worth its start.
const ITEMS_MIN: usize = 64;

/// Works on both halves of a list at once, if it is long; the results are in order.
pub(super) fn halves<T: Sync, R: Send>(
    items: &[T],
    weight: usize,
    work: impl Fn(&[T]) -> R + Sync,
) -> impl Iterator<Item = R> {
    let at = if items.len().saturating_mul(weight) < ITEMS_MIN { 0 } else { items.len() / 2 };
    let (first, second) = items.split_at(at);
    let (first, second) = thread::scope(|scope| {
        let first = (!first.is_empty()).then(|| scope.spawn(|| work(first)));
        let second = work(second);
        // A panic is this thread's as well.
        let first = first.map(|thread| thread.join().unwrap_or_else(|reason| panic::resume_unwind(reason)));
        (first, second)
    });
    first.into_iter().chain([second])
}
