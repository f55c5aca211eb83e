//! The emergency forbids of a gateway: kept on disk, so that neither a restart nor a broken save lifts one.

use crate::{config::Config, state::State};
use jiff::Timestamp;
use policy::{
    emergency::{EMERGENCIES_MAX, Emergency, EmergencyError, Subject},
    finding::Finding,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The file among the gateway's state.
const FILE: &str = "emergency.json";

/// Those in force, and the number that the next one gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emergencies {
    next: u64,
    forbids: Vec<Emergency>,
}

/// What is asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct Wanted {
    /// What to forbid.
    #[serde(flatten)]
    pub subject: Subject,
    /// Why.
    pub reason: Arc<str>,
    /// Until when; `None` is until it is lifted.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// A change of emergency forbids.
#[derive(Clone, Debug)]
pub enum Change {
    /// One more.
    Forbid(Wanted),
    /// One less: its number, and why.
    Lift(u64, Arc<str>),
}

/// A change that is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It can't be.
    #[error(transparent)]
    Invalid(#[from] EmergencyError),
    /// There is none of this number.
    #[error("there is no emergency forbid {0}")]
    Unknown(u64),
}

impl Emergencies {
    /// Those that the folder of state holds.
    ///
    /// # Errors
    /// When there is a file that can't be read: starting without it could lift a forbid.
    pub fn read(config: &Config) -> Result<Self, Finding> {
        let state = State::at(&config.policy.state);
        let found = state.read(FILE).map_err(|error| {
            let message = format!("emergency forbids can't be read: {error}");
            Finding::error("emergency_unreadable", state.file(FILE).display().to_string(), message)
                .help("mend the file, or remove it if nothing is to stay forbidden")
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Keeps them.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, config: &Config) -> std::io::Result<()> {
        State::at(&config.policy.state).write(FILE, self)
    }

    /// All of them.
    #[must_use]
    pub fn list(&self) -> &[Emergency] {
        &self.forbids
    }

    /// With a change, and the forbid that it is about. Forbids that have ended by themselves go.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn with(
        &self,
        change: &Change,
        by: &str,
        declared: &policy::declared::Declared,
        now: Timestamp,
    ) -> Result<(Self, Emergency), ChangeError> {
        let mut next = self.clone();
        next.forbids.retain(|emergency| emergency.is_in_force(now));
        match change {
            Change::Forbid(Wanted { subject, reason, until }) => {
                if next.forbids.len() >= EMERGENCIES_MAX {
                    return Err(EmergencyError::TooMany.into());
                }
                next.next += 1;
                let (subject, reason, until) = (subject.clone(), reason.clone(), *until);
                let emergency = Emergency { id: next.next, subject, reason, by: by.into(), since: now, until };
                emergency.check(declared, now)?;
                next.forbids.push(emergency.clone());
                Ok((next, emergency))
            }
            Change::Lift(id, _) => {
                let place = next.forbids.iter().position(|emergency| emergency.id == *id);
                let place = place.ok_or(ChangeError::Unknown(*id))?;
                let emergency = next.forbids.remove(place);
                Ok((next, emergency))
            }
        }
    }
}
