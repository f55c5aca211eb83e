//! Every verdict that a question led to, and what they come to.

use super::request::Unaskable;
use crate::permit::{DenialReason, PolicyName, TargetIndex};

/// What policy said to one Cedar request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// `None` is yes.
    pub(crate) denied: Option<DenialReason>,
    pub(crate) determining: Vec<PolicyName>,
    pub(crate) errors: Vec<String>,
}

/// Every verdict that a question led to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) call: Verdict,
    pub(crate) run_on: Vec<Verdict>,
    pub(crate) describe: Option<Verdict>,
    /// No target is needed.
    pub(super) administrative: bool,
}

impl Trace {
    pub(super) fn unaskable(unaskable: Unaskable) -> Self {
        Self { call: unaskable.into(), ..Self::default() }
    }

    /// Why the whole is a no, if it is one.
    pub(crate) fn denied(&self) -> Option<(DenialReason, Verdict)> {
        if let Some(reason) = self.call.denied {
            return Some((reason, self.call.clone()));
        }
        if self.runs() {
            return None;
        }
        let mut verdict = Verdict::default();
        for target in &self.run_on {
            verdict.determining.extend(target.determining.iter().cloned());
            verdict.errors.extend(target.errors.iter().cloned());
        }
        verdict.determining.sort_unstable();
        verdict.determining.dedup();
        Some((DenialReason::NoTarget, verdict))
    }

    pub(super) fn is_denied(&self) -> bool {
        self.call.denied.is_some() || !self.runs()
    }

    fn runs(&self) -> bool {
        self.administrative || self.targets().next().is_some()
    }

    /// The targets that `run_on` allowed.
    pub(crate) fn targets(&self) -> impl Iterator<Item = TargetIndex> {
        let places = self.run_on.iter().enumerate().filter(|(_, verdict)| verdict.denied.is_none());
        places.filter_map(|(place, _)| u16::try_from(place).ok().map(TargetIndex))
    }
}

impl From<Unaskable> for Verdict {
    fn from(unaskable: Unaskable) -> Self {
        Self { denied: Some(unaskable.reason), determining: Vec::new(), errors: vec![unaskable.error] }
    }
}
