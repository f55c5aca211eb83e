//! Every "no" of the gateway: one table to HTTP status, gRPC code, audit word and headers; no wildcard.

mod challenge;

pub use challenge::{Challenge, Offer, Scheme};

use std::{borrow::Cow, sync::Arc, time::Duration};

/// Why a call is refused. What it holds beyond the caller's own words stays inside.
#[derive(Debug)]
pub enum Refusal {
    /// The request can't be taken as it is: framing, path, host or header.
    Malformed(Cow<'static, str>),
    /// A method that is not spoken here.
    MethodUnknown,
    /// The host is not one of this listener's.
    Misdirected,
    /// No credential, or one that is bad.
    Unauthenticated(Challenge),
    /// The issuer's keys can't be had.
    IdentityUnavailable,
    /// A token names a group that its issuer has not declared.
    UndeclaredGroup(String),
    /// No such function, as far as this caller may know.
    NotFound,
    /// Denied, and the caller may know that the function exists.
    Denied,
    /// Denied, and the caller may not know: answered like [`Refusal::NotFound`].
    DeniedUnseen,
    /// Policy could not be evaluated.
    PolicyError,
    /// The caller or its network calls too often.
    TooMany {
        /// When to come back.
        retry_after: Duration,
    },
    /// A budget of the function or the caller is used up.
    OverBudget {
        /// Its name.
        budget: Arc<str>,
        /// When its next period begins.
        retry_after: Duration,
    },
    /// Too much is being buffered, or too many calls wait.
    Busy {
        /// When to come back.
        retry_after: Duration,
    },
    /// The body is larger than the function takes.
    TooLarge {
        /// The limit, if it is known.
        bytes_max: Option<u64>,
    },
    /// The content type or encoding is not the declared one.
    UnsupportedMedia(Cow<'static, str>),
    /// The body or a parameter does not fit the function's input.
    BadInput(String),
    /// The caller took too long to send the body.
    RequestTimeout,
    /// The audit log can't take a record.
    Unrecorded,
    /// The function is quarantined: its configuration is broken.
    Quarantined,
    /// No target can be reached.
    Unreachable,
    /// The function takes no more calls for now: no instance is free, or its provider throttles it.
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The function failed, or its answer is malformed.
    FunctionFailed,
    /// The function did not answer in time.
    TimedOut,
    /// Policy changed while the call was pending.
    Revoked,
    /// A fault of the gateway itself.
    Internal,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// HTTP status.
    pub status: u16,
    /// gRPC status code.
    pub grpc: u8,
    /// Word in records, metrics and the problem's `type`.
    pub word: &'static str,
    /// `title` of the problem (RFC 9457).
    pub title: &'static str,
}

const fn row(status: u16, grpc: u8, word: &'static str, title: &'static str) -> Row {
    Row { status, grpc, word, title }
}

impl Refusal {
    /// The row of the table.
    #[must_use]
    pub fn row(&self) -> Row {
        match self {
            Self::Malformed(_) => row(400, 3, "malformed", "The request is malformed"),
            Self::MethodUnknown => row(501, 12, "method_unknown", "The method is not supported"),
            Self::Misdirected => row(421, 5, "misdirected", "This server does not answer for that host"),
            Self::Unauthenticated(_) => row(401, 16, "unauthenticated", "A valid credential is needed"),
            Self::IdentityUnavailable => row(503, 14, "identity_unavailable", "Credentials can't be checked now"),
            Self::UndeclaredGroup(_) => row(403, 7, "undeclared_group", "The credential names an undeclared group"),
            Self::NotFound => row(404, 5, "not_found", "There is no such function"),
            Self::Denied => row(403, 7, "denied", "Policy denied the call"),
            Self::DeniedUnseen => row(404, 5, "denied_unseen", "There is no such function"),
            Self::PolicyError => row(403, 7, "policy_error", "Policy denied the call"),
            Self::TooMany { .. } => row(429, 8, "too_many", "Too many calls"),
            Self::OverBudget { .. } => row(429, 8, "over_budget", "A budget is used up"),
            Self::Busy { .. } => row(503, 14, "busy", "The gateway is busy"),
            Self::TooLarge { .. } => row(413, 8, "too_large", "The request body is too large"),
            Self::UnsupportedMedia(_) => row(415, 3, "unsupported_media", "The content type is not supported"),
            Self::BadInput(_) => row(400, 3, "bad_input", "The input does not fit the function"),
            Self::RequestTimeout => row(408, 4, "request_timeout", "The request body took too long"),
            Self::Unrecorded => row(503, 14, "unrecorded", "The call can't be recorded now"),
            Self::Quarantined => row(503, 14, "quarantined", "The function is not available"),
            Self::Unreachable => row(502, 14, "unreachable", "The function can't be reached"),
            Self::Overloaded { .. } => row(503, 14, "overloaded", "The function is busy"),
            Self::FunctionFailed => row(502, 14, "function_failed", "The function failed"),
            Self::TimedOut => row(504, 4, "timed_out", "The function did not answer in time"),
            Self::Revoked => row(403, 7, "revoked", "The call is no longer permitted"),
            Self::Internal => row(500, 13, "internal", "The gateway failed"),
        }
    }

    /// The row as the caller sees it: what it may not know looks like something else.
    #[must_use]
    pub fn public(&self) -> Row {
        if matches!(self, Self::DeniedUnseen) {
            return Self::NotFound.row();
        }
        if matches!(self, Self::PolicyError) { Self::Denied.row() } else { self.row() }
    }

    /// What may be told to the caller beyond the title: only its own mistakes, in fixed or its own words.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Malformed(what) | Self::UnsupportedMedia(what) => Some(what.to_string()),
            Self::BadInput(what) => Some(what.clone()),
            Self::TooLarge { bytes_max } => bytes_max.map(|bytes_max| format!("the limit is {bytes_max} bytes")),
            Self::Unauthenticated(challenge) => challenge.description.map(str::to_owned),
            Self::OverBudget { budget, .. } => Some(format!("the budget `{budget}` is used up until its next period")),
            Self::MethodUnknown
            | Self::Misdirected
            | Self::IdentityUnavailable
            | Self::UndeclaredGroup(_)
            | Self::NotFound
            | Self::Denied
            | Self::DeniedUnseen
            | Self::PolicyError
            | Self::TooMany { .. }
            | Self::Busy { .. }
            | Self::RequestTimeout
            | Self::Unrecorded
            | Self::Quarantined
            | Self::Unreachable
            | Self::Overloaded { .. }
            | Self::FunctionFailed
            | Self::TimedOut
            | Self::Revoked
            | Self::Internal => None,
        }
    }

    /// `Retry-After`, for refusals that pass.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany { retry_after }
            | Self::OverBudget { retry_after, .. }
            | Self::Busy { retry_after }
            | Self::Overloaded { retry_after } => Some(*retry_after),
            Self::IdentityUnavailable | Self::Unrecorded | Self::Quarantined => Some(RETRY_AFTER),
            Self::Malformed(_)
            | Self::MethodUnknown
            | Self::Misdirected
            | Self::Unauthenticated(_)
            | Self::UndeclaredGroup(_)
            | Self::NotFound
            | Self::Denied
            | Self::DeniedUnseen
            | Self::PolicyError
            | Self::TooLarge { .. }
            | Self::UnsupportedMedia(_)
            | Self::BadInput(_)
            | Self::RequestTimeout
            | Self::Unreachable
            | Self::FunctionFailed
            | Self::TimedOut
            | Self::Revoked
            | Self::Internal => None,
        }
    }

    /// One of each, for the golden table.
    #[must_use]
    pub fn every() -> Vec<Self> {
        vec![
            Self::Malformed("".into()),
            Self::MethodUnknown,
            Self::Misdirected,
            Self::Unauthenticated(Challenge::default()),
            Self::IdentityUnavailable,
            Self::UndeclaredGroup(String::new()),
            Self::NotFound,
            Self::Denied,
            Self::DeniedUnseen,
            Self::PolicyError,
            Self::TooMany { retry_after: RETRY_AFTER },
            Self::OverBudget { budget: "".into(), retry_after: RETRY_AFTER },
            Self::Busy { retry_after: RETRY_AFTER },
            Self::TooLarge { bytes_max: Some(0) },
            Self::UnsupportedMedia("".into()),
            Self::BadInput(String::new()),
            Self::RequestTimeout,
            Self::Unrecorded,
            Self::Quarantined,
            Self::Unreachable,
            Self::Overloaded { retry_after: RETRY_AFTER },
            Self::FunctionFailed,
            Self::TimedOut,
            Self::Revoked,
            Self::Internal,
        ]
    }
}

/// How long a caller waits after a refusal whose end is not known.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
