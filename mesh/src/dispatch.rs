//! One function, several targets: which is asked first, when another is asked, and what is learnt of each. Never one that
//! the permit does not allow.

mod health;
mod measured;
mod plan;
mod race;
#[cfg(test)]
mod tests;

pub use health::Health;
pub use measured::Measured;
pub use plan::{Chosen, Plan};
pub(crate) use race::run;

use crate::{
    invocation::InvokeError,
    payload::Reply,
    report::{Report, Reporting},
};
use policy::permit::TargetIndex;
use std::{future::Future, pin::Pin, time::Duration};
use tokio::time::Instant;
use tower::retry::budget::TpsBudget;

/// Most attempts of one call.
pub const ATTEMPTS_MAX: usize = 8;

/// How long deposits into a retry budget last.
const BUDGET_TTL: Duration = Duration::from_secs(10);
/// Repeats a second that are always allowed.
const BUDGET_REPEATS: u32 = 10;
/// Repeats for each call, besides.
const BUDGET_SHARE: f32 = 0.2;

/// Which target of a function is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The first of the list.
    #[default]
    Listed,
    /// One by lot, as often as its weight says.
    Weighted,
    /// The one whose calls were estimated to cost least.
    Cheapest,
    /// The one that answered fastest.
    Fastest,
}

/// How a function's calls are spread over its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// Which is asked first.
    pub order: Order,
    /// Most attempts of one call: from 1 to [`ATTEMPTS_MAX`].
    pub attempts_max: usize,
    /// How long one attempt may take.
    pub attempt_timeout: Option<Duration>,
    /// After how long without an answer a second target is asked, too.
    pub hedge_after: Option<Duration>,
    /// How many failures in a row let a target rest.
    pub failures_max: u32,
    /// How long it rests at first; each further time twice as long.
    pub rest: Duration,
}

impl Default for Dispatch {
    /// In the listed order, each target once.
    fn default() -> Self {
        Self {
            order: Order::Listed,
            attempts_max: ATTEMPTS_MAX,
            attempt_timeout: None,
            hedge_after: None,
            failures_max: 5,
            rest: Duration::from_secs(10),
        }
    }
}

/// A budget for what is sent again although it may have had an effect, or that no failure asked for: a share of the calls,
/// so that a failing backend does not get a multiple of its load.
#[must_use]
pub fn budget() -> TpsBudget {
    TpsBudget::new(BUDGET_TTL, BUDGET_REPEATS, BUDGET_SHARE)
}

/// Why a further target is asked.
#[derive(Debug)]
pub enum Further<'a> {
    /// The one before failed.
    Failed(&'a InvokeError),
    /// The one before answered that it can't: 502, 503 or 504, or `UNAVAILABLE`.
    Unavailable(u16),
    /// The one before has not answered yet, and goes on.
    Slow,
}

/// An attempt that ended.
#[derive(Debug)]
pub struct Attempted<'a> {
    /// Where.
    pub target: TargetIndex,
    /// From asking to the head of the answer, or to the failure.
    pub took: Duration,
    /// The answer's status, or why there is none.
    pub result: Result<u16, &'a InvokeError>,
    /// Where its backend tells how it ran.
    pub reporting: &'a Reporting,
}

impl Attempted<'_> {
    /// What is told so far.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        self.reporting.told()
    }
}

/// What a witness did.
pub type Witnessed<'a> = Pin<Box<dyn Future<Output = Result<(), InvokeError>> + Send + 'a>>;

/// Sees every attempt.
pub trait Witness: Send {
    /// An attempt begins. The first was recorded as the call's intent, any other by `further`.
    fn begins(&mut self, target: TargetIndex);

    /// A further target is about to be asked: it is not unless this is recorded, and it may still be.
    ///
    /// # Errors
    /// [`InvokeError::Unrecorded`] and [`InvokeError::Revoked`], which end the call.
    fn further<'a>(&'a mut self, next: TargetIndex, why: &'a Further<'a>) -> Witnessed<'a>;

    /// An attempt ended.
    fn ended(&mut self, attempted: &Attempted<'_>);
}

/// An answer, and who gave it.
#[derive(Debug)]
pub struct Ran {
    /// The answer.
    pub reply: Reply,
    /// Where it is from.
    pub target: TargetIndex,
    /// Where its backend tells how it ran: for a streamed answer, at its end.
    pub reporting: Reporting,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// When the caller stops waiting.
    pub until: Instant,
    /// How much longer a backend has to say so itself.
    pub grace: Duration,
}
