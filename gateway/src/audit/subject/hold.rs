//! Legal hold: what is on hold is not erased, and not removed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 400;
/// Most subjects on hold one by one.
pub const HOLDS_MAX: usize = 10_000;

/// What is on hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holds {
    /// Everything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Hold>,
    /// What is of these subjects.
    #[serde(default)]
    pub subjects: BTreeMap<String, Hold>,
}

/// Who put something on hold, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Who.
    pub who: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A change of what is on hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// From now on it is: a subject, or everything.
    Set(Option<String>, Hold),
    /// It is no longer.
    Lift(Option<String>),
}

/// Why there is no such change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unchanged {
    /// It is not on hold.
    #[error("`{0}` is not on hold")]
    NotHeld(String),
    /// Too many.
    #[error("at most {HOLDS_MAX} subjects are on hold one by one; hold everything with `--all`")]
    TooMany,
}

impl Holds {
    /// Why a subject may not be erased, if it may not.
    #[must_use]
    pub fn on(&self, subject: &str) -> Option<&Hold> {
        self.subjects.get(subject).or(self.all.as_ref())
    }

    /// What is on hold after a change.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn changed(&self, change: &Change) -> Result<Self, Unchanged> {
        let mut holds = self.clone();
        match change {
            Change::Set(None, hold) => holds.all = Some(hold.clone()),
            Change::Set(Some(subject), hold) => {
                holds.subjects.insert(subject.clone(), hold.clone());
                if holds.subjects.len() > HOLDS_MAX {
                    return Err(Unchanged::TooMany);
                }
            }
            Change::Lift(None) => {
                holds.all.take().ok_or_else(|| Unchanged::NotHeld("everything".to_owned()))?;
            }
            Change::Lift(Some(subject)) => {
                holds.subjects.remove(subject).ok_or_else(|| Unchanged::NotHeld(subject.clone()))?;
            }
        }
        Ok(holds)
    }
}
