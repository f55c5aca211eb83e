//! A spent permit bound to one function: runs it once.

use crate::{
    dispatch::{self, Patience, Plan, Ran, Witness},
    function::Function,
    payload::{BodyError, Payload, Reply},
    report::Reporting,
};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use policy::permit::{Permit, TargetIndex, Terms};
use std::{collections::BTreeMap, future::Future, net::IpAddr, pin::Pin, sync::Arc, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// One backend's work under way.
pub type Invoking<'a> = Pin<Box<dyn Future<Output = Result<Reply, InvokeError>> + Send + 'a>>;

/// What is sent to a backend.
#[derive(Debug)]
pub struct Outbound {
    /// Method, path, query and headers, cleaned: no hop-by-hop, identity or credential header is left.
    pub head: Head,
    /// The body.
    pub payload: Payload,
    /// What the backend is told of the call.
    pub context: CallContext,
}

/// The request head as the route understood it.
#[derive(Clone, Debug)]
pub struct Head {
    /// Method.
    pub method: Method,
    /// Canonical path, percent-encoded where it must be.
    pub path: Arc<str>,
    /// Raw query without `?`.
    pub query: Option<Arc<str>>,
    /// Path parameters, decoded.
    pub parameters: BTreeMap<Arc<str>, Arc<str>>,
    /// The route's pattern, such as `/stock/{sku}`.
    pub pattern: Arc<str>,
    /// The host that the caller asked for, without port.
    pub host: Arc<str>,
    /// Headers.
    pub headers: HeaderMap,
}

/// What a backend is told of a call besides its input.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Call id (UUIDv7).
    pub call_id: Uuid,
    /// When the call was accepted.
    pub accepted: Timestamp,
    /// Since when its backend may get ready for it.
    pub expected: Instant,
    /// When the caller stops waiting.
    pub deadline: Instant,
    /// The principal's id.
    pub principal: Arc<str>,
    /// The principal's kind.
    pub principal_kind: &'static str,
    /// `traceparent` (W3C Trace Context).
    pub traceparent: HeaderValue,
    /// `tracestate`, if the caller sent one.
    pub tracestate: Option<HeaderValue>,
    /// The caller's address; a caller over a Unix socket has none.
    pub source: Option<IpAddr>,
    /// The caller came over TLS.
    pub secure: bool,
    /// The largest answer that may be buffered, in bytes.
    pub response_bytes_max: u64,
    /// Where the backend tells how it ran.
    pub reporting: Reporting,
}

/// Why a run failed. Nothing in the words reaches the caller.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The permit waited too long.
    #[error("the permit has lapsed")]
    Lapsed,
    /// The permit is for another function.
    #[error("the permit is for another function")]
    WrongFunction,
    /// The permit allows none of the targets.
    #[error("the permit allows none of the targets")]
    NoTarget,
    /// The input is not what the function is described to take: nothing was sent. The words are the caller's to read.
    #[error("the input does not fit: {0}")]
    BadInput(String),
    /// The backend can't take this shape of payload.
    #[error("this backend can't take {0}")]
    Unsupported(&'static str),
    /// No connection or no process: nothing was sent.
    #[error("the backend can't be reached")]
    Unreachable(#[source] BodyError),
    /// No connection in the time that there was: nothing was sent.
    #[error("no connection in time")]
    NotConnected,
    /// There is no credential that the backend would take: nothing was sent.
    #[error("no credential for the backend: {0}")]
    NoCredential(String),
    /// Every instance is busy and no more may be started: nothing was sent.
    #[error("every instance is busy")]
    Busy,
    /// The backend takes no more calls for now, and did not run this one.
    #[error("the backend takes no more calls for now")]
    Throttled {
        /// When to come back, if it says so.
        retry_after: Option<Duration>,
    },
    /// The backend's service refused the call and did not run the function: names, keys or rights are not right.
    #[error("the backend's service refused the call: {0}")]
    Refused(String),
    /// The function did not answer in time.
    #[error("the function did not answer in time")]
    TimedOut,
    /// The connection broke after the request was sent.
    #[error("the backend broke off")]
    Broken(#[source] BodyError),
    /// The function ran and failed, or its process ended.
    #[error("the function failed: {0}")]
    FunctionFailed(String),
    /// What came back is not an answer.
    #[error("the backend's answer is malformed: {0}")]
    BadAnswer(String),
    /// The answer is larger than may be buffered.
    #[error("the answer is larger than {bytes_max} bytes")]
    AnswerTooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The request body is larger than this backend takes.
    #[error("the request is larger than {}", bytes_max.map_or("it takes".to_owned(), |bytes_max| format!("{bytes_max} bytes")))]
    RequestTooLarge {
        /// The limit, if it is known.
        bytes_max: Option<u64>,
    },
    /// The request's body broke off or was malformed.
    #[error("the request's body broke off")]
    RequestBroken(#[source] BodyError),
    /// The log did not take that a further target is asked, so it was not.
    #[error("what was about to be done could not be recorded")]
    Unrecorded,
    /// Policy changed meanwhile, and does not permit the target that would be next.
    #[error("policy does not permit the next target any more")]
    Revoked,
}

impl InvokeError {
    /// Whether it is certain that the function did nothing, and that another target may do better.
    #[must_use]
    pub fn had_no_effect(&self) -> bool {
        match self {
            // Nothing was sent.
            Self::BadInput(_) | Self::Unsupported(_) => true,
            Self::Unreachable(_) | Self::NotConnected | Self::NoCredential(_) | Self::Busy => true,
            // It was told of the call, and says that it did nothing with it.
            Self::Throttled { .. } | Self::Refused(_) | Self::RequestTooLarge { .. } => true,
            Self::Lapsed | Self::WrongFunction | Self::NoTarget | Self::Unrecorded | Self::Revoked => false,
            Self::TimedOut
            | Self::Broken(_)
            | Self::FunctionFailed(_)
            | Self::BadAnswer(_)
            | Self::AnswerTooLarge { .. }
            | Self::RequestBroken(_) => false,
        }
    }

    /// Whether it may pass, though the function may have done something: another try is worth it if that does no harm.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Broken(_) | Self::FunctionFailed(_) | Self::BadAnswer(_))
    }
}

/// The right to run one function once, begun. Not `Clone`; running consumes it.
#[derive(Debug)]
pub struct Invocation {
    function: Arc<Function>,
    terms: Terms,
    plan: Plan,
}

impl Invocation {
    /// Spends the permit, and decides which of the permitted targets is asked first.
    ///
    /// # Errors
    /// [`InvokeError::WrongFunction`], [`InvokeError::Lapsed`] or [`InvokeError::NoTarget`].
    pub fn begin(function: Arc<Function>, permit: Permit, now: Timestamp) -> Result<Self, InvokeError> {
        if *permit.terms().function() != function.name {
            return Err(InvokeError::WrongFunction);
        }
        let terms = permit.spend(now).map_err(|_| InvokeError::Lapsed)?;
        let plan = Plan::new(&function, terms.targets());
        let begun = Self { function, terms, plan };
        begun.target().map(|_| ()).ok_or(InvokeError::NoTarget)?;
        Ok(begun)
    }

    /// The same on one target alone, if any: that one, if it is permitted, or else the first.
    ///
    /// # Errors
    /// [`InvokeError::NoTarget`].
    pub fn only(self, target: Option<Option<TargetIndex>>) -> Result<Self, InvokeError> {
        let Some(target) = target else { return Ok(self) };
        let plan = self.plan.only(target).ok_or(InvokeError::NoTarget)?;
        Ok(Self { plan, ..self })
    }

    /// What was granted.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// In which order targets are asked, and why.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The target that is asked first.
    #[must_use]
    pub fn target(&self) -> Option<TargetIndex> {
        self.plan.order().first().copied().filter(|index| self.function.target(*index).is_some())
    }

    /// Lets the first target get ready for the call, of which it is given nothing yet. Before the intent is recorded this is
    /// all that may be done: whether the call runs is not certain.
    pub fn announce(&self) {
        if let Some(target) = self.plan.order().first().and_then(|index| self.function.target(*index)) {
            target.backend.expect_call();
        }
    }

    /// Runs the function: on the first target, and on further permitted ones where that is safe and needed.
    ///
    /// # Errors
    /// Why the last attempt failed.
    pub async fn go(
        self,
        outbound: Outbound,
        patience: Patience,
        witness: &mut dyn Witness,
    ) -> Result<Ran, InvokeError> {
        dispatch::run(&self.function, &self.plan, outbound, patience, witness).await
    }
}
