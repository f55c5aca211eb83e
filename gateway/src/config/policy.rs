//! `[policy]`, checked: where policies are, and whose word they must be.

use super::Config;
use policy::{bundle::validity::Expired, engine::observe::Observed};
use std::path::PathBuf;

/// `[policy]`
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Folder of `*.cedar`, `*.grants.toml`, `team.toml` and `*.cases.toml` files, read with its folders in lexical order.
    pub path: PathBuf,
    /// Folder of what must be known again after a restart, such as emergency forbids.
    pub state: PathBuf,
    /// Policies come from a signed bundle instead of the folder.
    pub signed: Option<SignedBundle>,
    /// Policies that are asked beside, and decide nothing.
    pub shadow: Option<ShadowBundle>,
}

/// Policies that are asked beside those in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShadowBundle {
    /// Those of a folder, outside production.
    Folder(PathBuf),
    /// Those of a bundle that enough people signed.
    Signed(SignedBundle),
}

/// Policies come from a bundle that enough people signed, and from nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBundle {
    /// The bundle.
    pub file: PathBuf,
    /// The keys that count.
    pub keys: PathBuf,
    /// How many different people must have signed.
    pub threshold: usize,
    /// What a bundle does whose time is over.
    pub expired: Expired,
}

impl Config {
    /// Whether any function runs while the audit log can't be written.
    #[must_use]
    pub fn runs_unrecorded(&self) -> bool {
        self.functions.iter().any(|function| function.unrecorded == super::Unrecorded::Run)
    }

    /// Functions whose denials are only recorded, and until when.
    #[must_use]
    pub fn observed(&self) -> Observed {
        self.functions.iter().filter_map(|f| Some((f.declared.name.clone(), f.observe?))).collect()
    }
}
