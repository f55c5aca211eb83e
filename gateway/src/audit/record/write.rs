//! What callers hand to the log.

use super::{Outcome, Request, Run, Stage};
use crate::refusal::Refusal;
use policy::{
    engine::looks::Looks,
    permit::{BundleId, Denial, DenialReason, PolicyName, TargetIndex, Terms},
    question::{FunctionName, Principal, Question},
};
use std::{borrow::Cow, net::IpAddr, sync::Arc};

/// What is known of a call before policy was asked. The gateway fills it in as the call goes along.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Listener.
    pub listener: Option<Arc<str>>,
    /// The caller's address.
    pub source: Option<IpAddr>,
    /// Request line.
    pub request: Option<Request>,
    /// Trace id.
    pub trace: Option<Arc<str>>,
    /// Function, once routed.
    pub function: Option<FunctionName>,
    /// The function's tenant.
    pub tenant: Option<Arc<str>>,
    /// Who calls, once identified.
    pub principal: Option<Arc<Principal>>,
}

/// A permitted call that is about to have an effect.
#[derive(Clone, Debug)]
pub struct Intent {
    /// What was asked.
    pub question: Arc<Question>,
    /// What of its input policies looked at: the rest is not recorded.
    pub looks: Looks,
    /// Which bundle decided.
    pub bundle: BundleId,
    /// The permits that were satisfied.
    pub determining: Arc<[PolicyName]>,
    /// The targets on which it may run.
    pub targets: Arc<[TargetIndex]>,
    /// The target that is asked first.
    pub target: TargetIndex,
    /// Why that one, where there are others.
    pub chosen: Option<&'static str>,
    /// Those that are allowed and were passed over because they do not work at the moment.
    pub resting: Vec<TargetIndex>,
    /// Policy said no for this reason, and the function is only observed.
    pub observed: Option<DenialReason>,
}

impl Intent {
    /// What policy granted, and the target that is asked first.
    #[must_use]
    pub fn of(terms: &Terms, target: TargetIndex) -> Self {
        Self {
            question: terms.question().clone(),
            looks: terms.input_looks().clone(),
            bundle: terms.bundle().clone(),
            determining: terms.determining().clone(),
            targets: terms.targets().clone(),
            target,
            chosen: None,
            resting: Vec::new(),
            observed: terms.observed().map(|denial| denial.reason),
        }
    }
}

/// The end of a call that had an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// How it ended.
    pub outcome: Outcome,
    /// HTTP status; `None` when none was sent.
    pub status: Option<u16>,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the reply's body.
    pub bytes_out: u64,
    /// What failed, as a word.
    pub error: Option<Cow<'static, str>>,
    /// How the last attempt ran, as far as it is known.
    pub run: Option<Run>,
}

/// The end of a call that was refused before it had an intent.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Audit word.
    pub refusal: Cow<'static, str>,
    /// HTTP status.
    pub status: u16,
    /// Which step refused.
    pub stage: Stage,
    /// Bytes of the request body that were read.
    pub bytes_in: u64,
    /// What was asked, if it came to that.
    pub question: Option<Arc<Question>>,
    /// What of its input policies looked at: the rest is not recorded.
    pub looks: Looks,
    /// Which bundle decided.
    pub bundle: Option<BundleId>,
    /// Why policy said no.
    pub reason: Option<DenialReason>,
    /// The forbids that were satisfied, or the policies that could not be evaluated.
    pub determining: Arc<[PolicyName]>,
    /// Errors, in words.
    pub errors: Vec<String>,
    /// Whether the caller may know that the function exists.
    pub may_describe: Option<bool>,
}

impl Refused {
    /// A refusal at a step.
    #[must_use]
    pub fn new(refusal: &Refusal, stage: Stage) -> Self {
        let row = refusal.row();
        Self::worded(row.word, row.status, stage)
    }

    /// A refusal by its audit word.
    #[must_use]
    pub fn worded(refusal: &'static str, status: u16, stage: Stage) -> Self {
        Self {
            refusal: refusal.into(),
            status,
            stage,
            bytes_in: 0,
            question: None,
            looks: Looks::default(),
            bundle: None,
            reason: None,
            determining: Arc::new([]),
            errors: Vec::new(),
            may_describe: None,
        }
    }

    /// With what policy said.
    #[must_use]
    pub fn denied(mut self, denial: &Denial) -> Self {
        self.question = Some(denial.question.clone());
        self.looks = denial.input_looks.clone();
        self.bundle = Some(denial.bundle.clone());
        self.reason = Some(denial.reason);
        self.determining = denial.determining.clone();
        self.errors.clone_from(&denial.errors);
        self.may_describe = Some(denial.may_describe);
        self
    }

    /// With what was asked, when the refusal is not policy's.
    #[must_use]
    pub fn asked(mut self, terms: &Terms) -> Self {
        self.question = Some(terms.question().clone());
        self.looks = terms.input_looks().clone();
        self
    }

    /// With the bytes of the body that were read.
    #[must_use]
    pub fn bytes_in(mut self, bytes_in: u64) -> Self {
        self.bytes_in = bytes_in;
        self
    }

    /// With an error in words.
    #[must_use]
    pub fn error(mut self, text: impl Into<String>) -> Self {
        self.errors.push(text.into());
        self
    }
}
