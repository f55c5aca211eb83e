//! One call on its way through its targets: an attempt, a second one beside it when it is slow, another when it failed.

use super::{
    Attempted, Further, Patience, Plan, Ran, Witness,
    health::{Sign, unavailable},
};
use crate::{
    function::{Function, Target},
    invocation::{InvokeError, Outbound},
    payload::{Reply, replay::Source},
    report::Reporting,
};
use policy::permit::TargetIndex;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tower::retry::budget::Budget as _;

/// How long is waited before the first target is asked again; twice as long each time, and up to twice as long by lot.
const BACKOFF: Duration = Duration::from_millis(25);
/// From which part on of the time that an attempt may take it is all of it: some went by before it began.
const WHOLE: f64 = 0.9;
/// Longest such wait, before the lot.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Runs a call whose permit was spent.
pub(crate) async fn run(
    function: &Function,
    plan: &Plan,
    outbound: Outbound,
    patience: Patience,
    witness: &mut dyn Witness,
) -> Result<Ran, InvokeError> {
    let mut turns = Turns { function, order: plan.order(), made: 0 };
    let Some(first) = turns.next() else { return Err(InvokeError::NoTarget) };
    witness.begins(first.index);
    if turns.left() == 0 {
        let ended = attempt(function, first, outbound, patience).await;
        witness.ended(&ended.told());
        return ended.ran();
    }
    // Boxed, or the room for all its attempts would be part of every call's future, and be moved with it.
    Box::pin(repeatedly(first, turns, outbound, patience, witness)).await
}

/// Makes the first attempt, and further ones as long as they are worth it and harm nobody.
async fn repeatedly(
    first: &Target,
    mut turns: Turns<'_>,
    outbound: Outbound,
    patience: Patience,
    witness: &mut dyn Witness,
) -> Result<Ran, InvokeError> {
    let function = turns.function;
    function.retries.deposit();
    let (outbound, source) = Source::split(outbound);
    let mut ended = match function.dispatch.hedge_after.filter(|_| function.idempotent) {
        None => attempt(function, first, outbound, patience).await,
        Some(after) => {
            let after = Instant::now() + after;
            hedged(first, outbound, after, &source, &mut turns, patience, witness).await?
        }
    };
    loop {
        witness.ended(&ended.told());
        let Some(why) = ended.why(function) else { return ended.ran() };
        if Instant::now() >= patience.until {
            return ended.ran();
        }
        let wait = turns.wait();
        let Some(next) = turns.peek() else { return ended.ran() };
        let Some(again) = source.again().await else { return ended.ran() };
        // What can't have had an effect is not the backend's load either.
        if why.may_have_had_effect() && !function.retries.withdraw() {
            tracing::warn!(function = function.name.as_str(), "no further target is asked: too many calls need one");
            return ended.ran();
        }
        if !wait.is_zero() {
            sleep(wait).await;
        }
        witness.further(next.index, &why).await?;
        turns.made += 1;
        witness.begins(next.index);
        ended = attempt(function, next, again, patience).await;
    }
}

/// The first attempt, and from `after` on a second beside it. The first good answer counts; the other attempt is dropped.
async fn hedged(
    first: &Target,
    outbound: Outbound,
    after: Instant,
    source: &Source,
    turns: &mut Turns<'_>,
    patience: Patience,
    witness: &mut dyn Witness,
) -> Result<Ended, InvokeError> {
    let function = turns.function;
    let mut former = std::pin::pin!(attempt(function, first, outbound, patience));
    tokio::select! {
        biased;
        ended = &mut former => return Ok(ended),
        () = sleep_until(after) => {}
    }
    let other = turns.peek().filter(|next| next.index != first.index);
    let Some((next, again)) = other.zip(source.whole_again()).filter(|_| function.retries.withdraw()) else {
        return Ok(former.await);
    };
    witness.further(next.index, &Further::Slow).await?;
    turns.made += 1;
    witness.begins(next.index);
    let mut later = std::pin::pin!(attempt(function, next, again, patience));
    let (ended, first_is_left) = tokio::select! {
        ended = &mut former => (ended, false),
        ended = &mut later => (ended, true),
    };
    if ended.why(function).is_none() {
        return Ok(ended);
    }
    witness.ended(&ended.told());
    Ok(if first_is_left { former.await } else { later.await })
}

/// Which target's turn it is: each once, and then from the first again, up to the most attempts.
struct Turns<'f> {
    function: &'f Function,
    order: &'f [TargetIndex],
    made: usize,
}

impl<'f> Turns<'f> {
    fn left(&self) -> usize {
        let (most, targets) = (self.function.dispatch.attempts_max, self.function.targets.len());
        // Only who asks for more attempts than there are targets has one asked again, whatever policy allows.
        let most = if most > targets { most } else { most.min(self.order.len()) };
        most.saturating_sub(self.made)
    }

    fn peek(&self) -> Option<&'f Target> {
        let index = self.order.get(self.made.checked_rem(self.order.len())?)?;
        self.function.target(*index).filter(|_| self.left() > 0)
    }

    fn next(&mut self) -> Option<&'f Target> {
        let next = self.peek()?;
        self.made += 1;
        Some(next)
    }

    /// Nothing while there are targets that were not asked.
    fn wait(&self) -> Duration {
        let round = self.made.checked_div(self.order.len()).unwrap_or(0);
        let Some(times) = round.checked_sub(1) else { return Duration::ZERO };
        let wait = BACKOFF.saturating_mul(1 << times.min(16)).min(BACKOFF_MAX);
        wait.mul_f64(1.0 + fastrand::f64())
    }
}

/// An attempt that ended, with its answer.
struct Ended {
    target: TargetIndex,
    took: Duration,
    result: Result<Reply, InvokeError>,
    reporting: Reporting,
}

impl Ended {
    fn told(&self) -> Attempted<'_> {
        Attempted {
            target: self.target,
            took: self.took,
            result: self.result.as_ref().map(|reply| reply.status().as_u16()),
            reporting: &self.reporting,
        }
    }

    fn ran(self) -> Result<Ran, InvokeError> {
        self.result.map(|reply| Ran { reply, target: self.target, reporting: self.reporting })
    }

    /// Why a further target may be asked: always if this one can't have had an effect, and of a function that may be
    /// repeated if another could do better.
    fn why(&self, function: &Function) -> Option<Further<'_>> {
        match &self.result {
            Ok(reply) => unavailable(reply).filter(|_| function.idempotent).map(Further::Unavailable),
            Err(error) if error.had_no_effect() || function.idempotent && error.may_pass() => {
                Some(Further::Failed(error))
            }
            Err(_) => None,
        }
    }
}

impl Further<'_> {
    fn may_have_had_effect(&self) -> bool {
        match self {
            Self::Failed(error) => !error.had_no_effect(),
            Self::Unavailable(_) | Self::Slow => true,
        }
    }
}

/// Asks one target.
async fn attempt(function: &Function, target: &Target, mut outbound: Outbound, patience: Patience) -> Ended {
    let asked = Instant::now();
    let reporting = outbound.context.reporting.clone();
    let most = function.dispatch.attempt_timeout.unwrap_or(function.timeout);
    let until = patience.until.min(asked + most);
    outbound.context.deadline = until;
    let running = target.measured.runs();
    let invoking = timeout_at(until + patience.grace, target.backend.invoke(outbound));
    let result = invoking.await.unwrap_or(Err(InvokeError::TimedOut));
    drop(running);
    let took = asked.elapsed();
    if function.targets.len() > 1 {
        let now = asked + took;
        // Of one that was not given its whole time, a time-out says nothing.
        target.health.learn(Sign::of(&result, took < most.mul_f64(WHOLE)), &function.dispatch, now);
        if result.is_ok() {
            target.measured.took(took);
        }
    }
    Ended { target: target.index, took, result, reporting }
}
