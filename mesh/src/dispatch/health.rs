//! Whether a target answers: after failures in a row it rests, then one call tries it.

use super::Dispatch;
use crate::{
    invocation::InvokeError,
    payload::{Answer, Reply},
};
use http::StatusCode;
use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(300);
/// How long a target rests that takes no more calls and does not say how long.
const THROTTLED: Duration = Duration::from_secs(1);
/// Longest such rest, whatever it says.
const THROTTLED_MAX: Duration = Duration::from_secs(60);
/// `UNAVAILABLE` of gRPC.
const UNAVAILABLE: &str = "14";

/// What calls tell of one target's health. It only orders targets: when all rest, they are asked all the same.
#[derive(Debug)]
pub struct Health {
    born: Instant,
    failures: AtomicU32,
    /// Rests since the last success.
    rests: AtomicU32,
    /// Until when it rests, in milliseconds since `born`.
    until: AtomicU64,
    /// One call finds out whether it works again.
    tried: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            failures: AtomicU32::new(0),
            rests: AtomicU32::new(0),
            until: AtomicU64::new(0),
            tried: AtomicBool::new(false),
        }
    }
}

/// What one attempt says of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// It takes no more calls for so long.
    Throttled(Duration),
    /// Nothing: the call itself could be why.
    None,
}

impl Health {
    /// Whether it may be asked as one that works.
    #[must_use]
    pub fn is_good(&self, now: Instant) -> bool {
        self.until.load(Relaxed) <= self.millis(now)
    }

    /// When it has rested.
    pub(crate) fn rested_at(&self) -> Instant {
        self.born + Duration::from_millis(self.until.load(Relaxed))
    }

    /// Takes it for one call. Of one that has just rested, one call finds out and the others go elsewhere meanwhile.
    pub(crate) fn take(&self, dispatch: &Dispatch, now: Instant) -> bool {
        let until = self.until.load(Relaxed);
        if until > self.millis(now) {
            return false;
        }
        if self.rests.load(Relaxed) == 0 {
            return true;
        }
        let next = self.millis(now + dispatch.rest);
        let taken = self.until.compare_exchange(until, next, Relaxed, Relaxed).is_ok();
        if taken {
            self.tried.store(true, Relaxed);
        }
        taken
    }

    /// Learns from one attempt.
    pub(crate) fn learn(&self, sign: Sign, dispatch: &Dispatch, now: Instant) {
        match sign {
            Sign::None => {}
            Sign::Good => {
                // Most often there is nothing to forget, and a load is cheaper than a store.
                if self.failures.load(Relaxed) != 0 || self.rests.load(Relaxed) != 0 {
                    self.failures.store(0, Relaxed);
                    self.rests.store(0, Relaxed);
                    self.until.store(0, Relaxed);
                }
            }
            Sign::Throttled(rest) => {
                let rest = rest.clamp(Duration::from_millis(1), THROTTLED_MAX);
                self.until.fetch_max(self.millis(now + rest), Relaxed);
            }
            Sign::Bad => {
                if self.rests.load(Relaxed) == 0 {
                    let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
                    if failures < dispatch.failures_max {
                        return;
                    }
                } else if !self.tried.swap(false, Relaxed) && !self.is_good(now) {
                    // Calls that were under way together fail together: that is one rest.
                    return;
                }
                let times = self.rests.fetch_add(1, Relaxed).min(16);
                let rest = dispatch.rest.saturating_mul(1 << times).min(REST_MAX);
                self.failures.store(0, Relaxed);
                self.until.store(self.millis(now + rest), Relaxed);
            }
        }
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Sign {
    /// What an attempt says. `impatient`: the caller waited for less than the function may take, so that a time-out says
    /// nothing of the target. What a caller's input alone can bring about says nothing either, or one caller could send
    /// all others elsewhere.
    pub(crate) fn of(result: &Result<Reply, InvokeError>, impatient: bool) -> Self {
        match result {
            Ok(reply) if unavailable(reply).is_some() => Self::Bad,
            Ok(_) => Self::Good,
            Err(error) => match error {
                InvokeError::Unreachable(_) | InvokeError::NoCredential(_) | InvokeError::Refused(_) => Self::Bad,
                InvokeError::Broken(_) => Self::Bad,
                InvokeError::TimedOut | InvokeError::NotConnected if impatient => Self::None,
                InvokeError::TimedOut | InvokeError::NotConnected => Self::Bad,
                InvokeError::Throttled { retry_after } => Self::Throttled(retry_after.unwrap_or(THROTTLED)),
                InvokeError::Lapsed
                | InvokeError::WrongFunction
                | InvokeError::NoTarget
                | InvokeError::BadInput(_)
                | InvokeError::Unsupported(_)
                | InvokeError::Busy
                | InvokeError::FunctionFailed(_)
                | InvokeError::BadAnswer(_)
                | InvokeError::AnswerTooLarge { .. }
                | InvokeError::RequestTooLarge { .. }
                | InvokeError::RequestBroken(_)
                | InvokeError::Unrecorded
                | InvokeError::Revoked => Self::None,
            },
        }
    }
}

/// The status of an answer that says no more than that there is nobody to answer.
pub(crate) fn unavailable(reply: &Reply) -> Option<u16> {
    let status = reply.status();
    let grpc = || reply.headers().get("grpc-status").is_some_and(|status| status == UNAVAILABLE);
    let gone =
        matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT);
    let upgraded = matches!(reply.body(), Answer::Duplex { .. });
    ((gone || grpc()) && !upgraded).then_some(status.as_u16())
}
