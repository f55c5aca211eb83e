//! authorize: policy answers; what is in shadow is asked afterwards, and elsewhere.

use crate::{
    call::{Asked, Permitted},
    refusal::Refusal,
    shadow::Judge,
};
use policy::permit::{Denial, DenialReason};
use std::sync::Arc;

/// Asks policy. A denial comes back with the refusal that the caller may see.
///
/// # Errors
/// The refusal and the denial that the record needs.
pub fn pass(asked: Asked, judge: &Arc<Judge>) -> Result<Permitted, (Refusal, Box<Denial>)> {
    let Asked { envelope, head, payload, generation, found, identity, question, beside } = asked;
    match generation.policy.decide(question) {
        Ok(permit) => {
            let payload = match beside {
                Some(beside) => beside.permitted(&envelope, permit.terms(), payload, judge),
                None => payload,
            };
            Ok(Permitted { envelope, head, payload, found, identity, permit })
        }
        Err(denial) => {
            if let Some(beside) = beside {
                beside.denied(&envelope, &denial, payload, judge);
            }
            if denial.is_disagreement() {
                let (function, bundle) = (denial.question.function.as_str(), &*denial.bundle.0);
                tracing::error!(
                    function,
                    bundle,
                    "cedar's own authorizer contradicts this gateway; the call is denied"
                );
            }
            Err((seen(&denial), Box::new(denial)))
        }
    }
}

/// What the caller may know: 403 if it may describe the function, otherwise what an unknown function answers.
#[must_use]
pub fn seen(denial: &Denial) -> Refusal {
    if !denial.may_describe {
        return Refusal::DeniedUnseen;
    }
    match denial.reason {
        DenialReason::PolicyError => Refusal::PolicyError,
        DenialReason::NotPermitted
        | DenialReason::Forbidden
        | DenialReason::AbsentEntity
        | DenialReason::NoTarget
        | DenialReason::BundleExpired => Refusal::Denied,
    }
}
