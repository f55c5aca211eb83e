//! `shadow`: what policies that are not in force would have answered to a call.

use super::{cut::LISTED_MAX, tail::text};
use policy::{
    permit::{BundleId, DenialReason, PolicyName},
    question::FunctionName,
    shadow::{self, Decided, Disagreement, Kind, Would},
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `shadow`: a decision that would have been another, or that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// The function that was called.
    pub function: FunctionName,
    /// Which policies were asked: those in force with the ones in shadow (`policies`), or another `bundle`.
    pub shadow: Kind,
    /// The bundle that they are from.
    pub bundle: BundleId,
    /// What was decided: `allow` or `deny`.
    pub enforced: Cow<'static, str>,
    /// Why it was denied, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforced_reason: Option<DenialReason>,
    /// How that would have been another; absent when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would: Option<Would>,
    /// Why it would have been denied, if it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<DenialReason>,
    /// The policies that make the difference; none where nothing would permit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub determining: Vec<PolicyName>,
    /// Errors, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Why it is not known what would have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_judged: Option<Cow<'static, str>>,
}

impl Shadow {
    /// What became of comparing.
    #[must_use]
    pub fn of(
        function: &FunctionName,
        decided: &Decided,
        shadow: &shadow::Shadow,
        judged: Result<Disagreement, &'static str>,
    ) -> Self {
        let (found, not_judged) = match judged {
            Ok(found) => (Some(found), None),
            Err(why) => (None, Some(why.into())),
        };
        let would = found.as_ref().map(|found| found.would);
        let reason = found.as_ref().and_then(|found| found.reason);
        let (mut determining, mut errors) = found.map(|found| (found.determining, found.errors)).unwrap_or_default();
        determining.truncate(LISTED_MAX);
        errors.truncate(LISTED_MAX);
        errors.iter_mut().for_each(|error| *error = text(error).into_owned());
        Self {
            function: function.clone(),
            shadow: shadow.kind(),
            bundle: shadow.id().clone(),
            enforced: if decided.is_allowed() { "allow".into() } else { "deny".into() },
            enforced_reason: decided.reason(),
            would,
            reason,
            determining,
            errors,
            not_judged,
        }
    }
}
