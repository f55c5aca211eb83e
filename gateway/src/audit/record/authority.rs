//! Who administers, and by what right.

use super::Admin;
use policy::{
    permit::{BundleId, DenialReason, PolicyName},
    question::{Facts, Principal},
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

/// Somebody who administers.
#[derive(Clone, Debug, PartialEq)]
pub struct Actor {
    /// In words.
    pub who: String,
    /// By what right, where that was asked.
    pub authority: Option<Box<Authority>>,
}

/// Everything that policy was asked about an administrator, and what it said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authority {
    /// What policy was asked to allow.
    pub verb: Cow<'static, str>,
    /// Whether it may.
    pub ruling: Ruling,
    /// Who, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Arc<Principal>>,
    /// What is known of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// Which bundle said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleId>,
    /// Why policy said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<DenialReason>,
    /// The policies that decided.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub determining: Arc<[PolicyName]>,
    /// What is wrong with the credential, or with the policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// What became of an administrative request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// Policy permits it.
    Permitted,
    /// Policy does not, and it is the gateway's own user, who could do worse with its files.
    BreakGlass,
    /// Policy does not.
    Denied,
    /// Nobody knows who asked.
    Unidentified,
}

impl Actor {
    /// Somebody of whom nothing was asked.
    #[must_use]
    pub fn named(who: impl Into<String>) -> Self {
        Self { who: who.into(), authority: None }
    }
}

impl Authority {
    /// Without anything that is known.
    #[must_use]
    pub fn new(verb: &'static str, ruling: Ruling) -> Self {
        Self {
            verb: verb.into(),
            ruling,
            principal: None,
            facts: None,
            bundle: None,
            reason: None,
            determining: Arc::new([]),
            errors: Vec::new(),
        }
    }
}

impl Admin {
    /// With texts of bounded length.
    pub(crate) fn bounded(&self, bound: impl Fn(&str) -> Cow<'_, str>) -> Self {
        let text = |text: &str| bound(text).into_owned();
        let mut bounded = Self {
            verb: text(&self.verb).into(),
            who: text(&self.who),
            detail: self.detail.as_deref().map(text),
            ..self.clone()
        };
        for error in bounded.authority.iter_mut().flat_map(|authority| &mut authority.errors) {
            *error = text(error);
        }
        bounded
    }
}
