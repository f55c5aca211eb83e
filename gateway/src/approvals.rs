//! Who approved which bundle over the administrative interface, until it or a newer one is in force.

use crate::{config::Config, signed::history::History, state::State};
use jiff::Timestamp;
use policy::{
    bundle::manifest::{Digest, Manifest},
    finding::Finding,
    question::Approval,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The file among the gateway's state.
const FILE: &str = "approvals.json";
/// Most approvals that wait at once.
const APPROVALS_MAX: usize = 1_000;

/// Every approval that may still count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Approvals(Vec<Approved>);

/// One person's approval of one bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// The hash that names the bundle.
    pub digest: Digest,
    /// Its version.
    pub version: u64,
    /// The id of the user.
    pub by: Arc<str>,
    /// When.
    pub at: Timestamp,
}

impl Approvals {
    /// Those that the folder of state holds.
    ///
    /// # Errors
    /// When the file is there and can't be read.
    pub fn read(config: &Config) -> Result<Self, Finding> {
        let state = State::at(&config.policy.state);
        let unreadable = |error| finding(config, format!("the approvals can't be read: {error}"));
        Ok(state.read(FILE).map_err(unreadable)?.unwrap_or_default())
    }

    /// What policy is told of a bundle's approvals, if it has any.
    #[must_use]
    pub fn of(&self, digest: &Digest) -> Option<Approval> {
        let mine = || self.0.iter().filter(|approved| approved.digest == *digest);
        let oldest = mine().map(|approved| approved.at).min()?;
        Some(Approval { by: mine().map(|approved| approved.by.clone()).collect(), oldest })
    }

    /// Keeps one more; what can't come into force any more is forgotten. Nobody counts twice.
    ///
    /// # Errors
    /// When it can't be kept, or the bundle can't come into force.
    pub fn add(config: &Config, digest: &Digest, manifest: &Manifest, by: &Arc<str>) -> Result<Approval, Finding> {
        let (version, now) = (manifest.version, Timestamp::now());
        if manifest.not_after <= now {
            return Err(finding(config, format!("bundle {version} ended at {}", manifest.not_after)));
        }
        let highest = History::read(config)?.highest();
        if version < highest {
            return Err(finding(config, format!("version {version} is older than {highest}, which was in force here")));
        }
        let mut approvals = Self::read(config)?;
        approvals.0.retain(|approved| approved.version >= highest);
        if !approvals.0.iter().any(|approved| approved.digest == *digest && approved.by == *by) {
            if approvals.0.len() >= APPROVALS_MAX {
                return Err(finding(config, format!("{APPROVALS_MAX} approvals wait already")));
            }
            approvals.0.push(Approved { digest: digest.clone(), version, by: by.clone(), at: now });
            let unwritable = |error| finding(config, format!("the approval can't be kept: {error}"));
            State::at(&config.policy.state).write(FILE, &approvals).map_err(unwritable)?;
        }
        approvals.of(digest).ok_or_else(|| finding(config, "the approval is not there".to_owned()))
    }
}

fn finding(config: &Config, message: String) -> Finding {
    let file = State::at(&config.policy.state).file(FILE).display().to_string();
    Finding::error("not_approved", file, message)
}
