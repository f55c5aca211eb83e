//! Sees every attempt of a call: records it before it is made, and counts it.

use crate::{cut::On, refusal::Refusal, server::Gateway, telemetry::FunctionMeters, trail::Trail};
use jiff::Timestamp;
use mesh::{
    dispatch::{Attempted, Further, Witness, Witnessed},
    invocation::InvokeError,
};
use policy::permit::{TargetIndex, Terms};

/// The attempts of one call.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    trail: &'a mut Trail,
    meters: &'a FunctionMeters,
    gateway: &'a Gateway,
    terms: &'a Terms,
    on: &'a On,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        trail: &'a mut Trail,
        meters: &'a FunctionMeters,
        gateway: &'a Gateway,
        terms: &'a Terms,
        on: &'a On,
    ) -> Self {
        Self { trail, meters, gateway, terms, on }
    }

    /// Whether policy, if it changed meanwhile, still permits a target.
    fn may(&self, target: TargetIndex) -> bool {
        let generation = self.gateway.generation();
        generation.policy.id() == self.terms.bundle() || generation.policy.still(self.terms, target, Timestamp::now())
    }
}

impl Witness for Attempts<'_> {
    fn begins(&mut self, target: TargetIndex) {
        self.on.set(target);
    }

    fn further<'a>(&'a mut self, next: TargetIndex, why: &'a Further<'a>) -> Witnessed<'a> {
        Box::pin(async move {
            if !self.may(next) {
                return Err(InvokeError::Revoked);
            }
            self.trail.attempt(next, why).await.map_err(|refusal| match refusal {
                Refusal::Unrecorded => InvokeError::Unrecorded,
                _ => InvokeError::NoTarget,
            })
        })
    }

    fn ended(&mut self, attempted: &Attempted<'_>) {
        self.meters.ran(attempted.took);
        self.trail.ended(attempted);
        if let Err(error) = attempted.result {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(target = attempted.target.0, %error, cause, "a run failed");
        }
    }
}
