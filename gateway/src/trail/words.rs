//! Words of records and metrics for how things went.

use crate::{audit::record::Outcome, refusal::Refusal};
use mesh::invocation::InvokeError;
use policy::permit::{Denial, DenialReason};

/// How a call ended that failed after its intent.
pub(super) fn outcome(refusal: &Refusal) -> Outcome {
    match refusal {
        Refusal::TimedOut => Outcome::TimedOut,
        Refusal::Revoked => Outcome::Revoked,
        Refusal::Malformed(_)
        | Refusal::MethodUnknown
        | Refusal::Misdirected
        | Refusal::Unauthenticated(_)
        | Refusal::IdentityUnavailable
        | Refusal::UndeclaredGroup(_)
        | Refusal::NotFound
        | Refusal::Denied
        | Refusal::DeniedUnseen
        | Refusal::PolicyError
        | Refusal::TooMany { .. }
        | Refusal::OverBudget { .. }
        | Refusal::Busy { .. }
        | Refusal::TooLarge { .. }
        | Refusal::UnsupportedMedia(_)
        | Refusal::BadInput(_)
        | Refusal::RequestTimeout
        | Refusal::Unrecorded
        | Refusal::Quarantined
        | Refusal::Unreachable
        | Refusal::Overloaded { .. }
        | Refusal::FunctionFailed
        | Refusal::Internal => Outcome::Failed,
    }
}

/// The word for a failed attempt.
pub(super) fn word(error: &InvokeError) -> &'static str {
    match error {
        InvokeError::Lapsed => "lapsed",
        InvokeError::WrongFunction => "wrong_function",
        InvokeError::NoTarget => "no_target",
        InvokeError::BadInput(_) => "bad_input",
        InvokeError::Unsupported(_) => "unsupported",
        InvokeError::Unreachable(_) => "unreachable",
        InvokeError::NoCredential(_) => "no_credential",
        InvokeError::Busy => "busy",
        InvokeError::Throttled { .. } => "throttled",
        InvokeError::Refused(_) => "refused",
        InvokeError::TimedOut | InvokeError::NotConnected => "timed_out",
        InvokeError::Broken(_) => "broken",
        InvokeError::FunctionFailed(_) => "function_failed",
        InvokeError::BadAnswer(_) => "bad_answer",
        InvokeError::AnswerTooLarge { .. } => "answer_too_large",
        InvokeError::RequestTooLarge { .. } => "request_too_large",
        InvokeError::RequestBroken(_) => "request_broken",
        InvokeError::Unrecorded => "unrecorded",
        InvokeError::Revoked => "revoked",
    }
}

pub(super) fn reason(denial: &Denial) -> &'static str {
    if denial.is_disagreement() {
        return "disagreement";
    }
    match denial.reason {
        DenialReason::NotPermitted => "not_permitted",
        DenialReason::Forbidden => "forbidden",
        DenialReason::PolicyError => "policy_error",
        DenialReason::AbsentEntity => "absent_entity",
        DenialReason::NoTarget => "no_target",
        DenialReason::BundleExpired => "bundle_expired",
    }
}

pub(super) fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_11 => "HTTP/1.1",
        http::Version::HTTP_2 => "HTTP/2",
        // No such request is read: it stands for a connection that is a call.
        http::Version::HTTP_09 => "TCP",
        _ => "HTTP",
    }
}
