//! Which bundles were in force here, so that an older one is not taken for news.

use super::Signed;
use crate::{
    config::Config,
    state::{State, replace},
};
use jiff::Timestamp;
use policy::{bundle::manifest::Digest, finding::Finding};
use serde::{Deserialize, Serialize};
use std::{fs, io, path::PathBuf, sync::Arc};

/// The file among the gateway's state.
const FILE: &str = "bundles.json";
/// The folder of bundles that were in force.
const FOLDER: &str = "bundles";
/// Most activations that are remembered.
const ACTIVATIONS_MAX: usize = 1_000;

/// What was in force, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    highest: u64,
    activations: Vec<Activation>,
}

/// One bundle that came into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// When.
    pub at: Timestamp,
    /// Its version.
    pub version: u64,
    /// The hash that names it.
    pub digest: Digest,
    /// Who put it in force.
    pub who: Arc<str>,
    /// Whose signatures counted.
    pub signed_by: Vec<Arc<str>>,
    /// The version whose content it brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolls_back_to: Option<u64>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Arc<str>>,
}

impl History {
    /// What the folder of state remembers.
    ///
    /// # Errors
    /// When the file is there and can't be read: without it an old bundle would pass for a new one.
    pub fn read(config: &Config) -> Result<Self, Finding> {
        let state = State::at(&config.policy.state);
        let found = state.read(FILE).map_err(|error| {
            let message = format!("the history of bundles can't be read: {error}");
            Finding::error("history_unreadable", state.file(FILE).display().to_string(), message)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// The newest version that was in force here.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Oldest first.
    #[must_use]
    pub fn activations(&self) -> &[Activation] {
        &self.activations
    }

    /// Sees that a bundle is no older than any that was in force.
    ///
    /// # Errors
    /// When it is, or when its version was another bundle's.
    pub fn accepts(&self, signed: &Signed, file: &str) -> Result<(), Finding> {
        let version = signed.manifest.version;
        if version < self.highest {
            let message = format!("version {version} is older than {}, which was in force here", self.highest);
            let help = "`latchwork policy rollback` makes a new version of an older content";
            return Err(Finding::error("older_bundle", file, message).help(help));
        }
        let same = self.activations.iter().rev().find(|activation| activation.version == version);
        match same.filter(|activation| activation.digest != signed.digest) {
            Some(other) => {
                let message = format!("version {version} was another bundle here, {}", other.digest);
                Err(Finding::error("version_reused", file, message))
            }
            None => Ok(()),
        }
    }

    /// Remembers that a bundle comes into force; nothing to do if it is the one in force.
    ///
    /// # Errors
    /// When it can't be written: then the bundle must not come into force.
    pub fn activate(config: &Config, signed: &Signed, who: &str) -> Result<(), Finding> {
        let mut history = Self::read(config)?;
        if history.activations.last().is_some_and(|last| last.digest == signed.digest) {
            return Ok(());
        }
        history.highest = history.highest.max(signed.manifest.version);
        history.activations.push(Activation {
            at: Timestamp::now(),
            version: signed.manifest.version,
            digest: signed.digest.clone(),
            who: who.into(),
            signed_by: signed.people.iter().cloned().collect(),
            rolls_back_to: signed.manifest.rolls_back_to,
            note: signed.manifest.note.clone(),
        });
        let forgotten = history.activations.len().saturating_sub(ACTIVATIONS_MAX);
        history.activations.drain(..forgotten);
        history.keep(config, signed).map_err(|error| {
            let file = State::at(&config.policy.state).file(FILE).display().to_string();
            let message = format!("what is in force can't be remembered, so it does not come into force: {error}");
            Finding::error("history_unwritable", file, message)
        })
    }

    fn keep(&self, config: &Config, signed: &Signed) -> io::Result<()> {
        let path = Self::file(config, signed.manifest.version);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        replace(&path, signed.text.as_bytes(), 0o600)?;
        State::at(&config.policy.state).write(FILE, self)
    }

    /// Where a bundle is kept that was in force.
    #[must_use]
    pub fn file(config: &Config, version: u64) -> PathBuf {
        State::at(&config.policy.state).file(FOLDER).join(format!("{version}.bundle"))
    }
}
