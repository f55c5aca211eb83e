//! admit: a slot among the calls of the function that run at once, after a bounded wait.

use crate::{
    call::{Admitted, Permitted},
    generation::Served,
    refusal::Refusal,
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// Longest wait for a slot, whatever the function's own timeout; well below a permit's life.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Takes a slot at once or waits for one.
///
/// # Errors
/// [`Refusal::Quarantined`]; [`Refusal::TimedOut`] when the caller stopped waiting; [`Refusal::Busy`] when too many wait already, or none came free in time.
pub async fn pass(permitted: Permitted, queue_max: usize) -> Result<Admitted, Refusal> {
    let function = permitted.found.function.clone();
    if function.quarantine.is_some() {
        return Err(Refusal::Quarantined);
    }
    if let Ok(slot) = function.slots.clone().try_acquire_owned() {
        return Ok(Admitted { permitted, slot });
    }
    let busy = || Refusal::Busy { retry_after: Duration::from_secs(1) };
    let _place = Place::take(&function, queue_max).ok_or_else(busy)?;
    let until = Instant::now() + WAIT_MAX.min(function.function.timeout);
    let patience = permitted.envelope.deadline;
    let until = patience.map_or(until, |patience| until.min(patience));
    match tokio::time::timeout_at(until, function.slots.clone().acquire_owned()).await {
        Ok(Ok(slot)) => Ok(Admitted { permitted, slot }),
        Err(_) if patience == Some(until) => Err(Refusal::TimedOut),
        Ok(Err(_)) | Err(_) => Err(busy()),
    }
}

/// A place in the queue, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(function: &'a Served, queue_max: usize) -> Option<Self> {
        let more = |n: usize| (n < queue_max).then_some(n + 1);
        function.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(&function.waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
