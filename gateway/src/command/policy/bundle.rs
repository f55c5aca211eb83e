//! Which policies a path means: a project, its configuration, or a folder of policies beside another catalog.

use crate::{
    command::{Exit, findings_told, loaded},
    config::{Config, load},
};
use jiff::Timestamp;
use policy::{bundle::Source, declared::Declared, finding::Finding, review::Side};
use std::{io::Write, path::Path, sync::Arc};

/// The configuration of a project folder.
const CONFIG: &str = "latchwork.toml";

/// Policies with the catalog that they are about.
pub(super) struct Bundle {
    pub(super) policies: Vec<Source>,
    pub(super) declared: Arc<Declared>,
    pub(super) config: Config,
}

impl Bundle {
    /// Reads what a path means; a folder of policies takes its catalog from `catalog`.
    pub(super) fn open(path: &Path, catalog: &Path, talk: &mut dyn Write) -> Result<Self, Exit> {
        let config = path.join(CONFIG);
        let read = match (path.is_dir(), config.is_file()) {
            (true, true) => loaded(&config, talk)?,
            (true, false) => {
                let policies = load::policies(path).map_err(|findings| findings_told(&findings, talk))?;
                let mut read = loaded(catalog, talk)?;
                read.policies = policies;
                read
            }
            (false, _) => loaded(path, talk)?,
        };
        let declared = Arc::new(read.config.declared());
        Ok(Self { policies: read.policies, declared, config: read.config })
    }

    /// Makes it ready to be compared.
    pub(super) fn side(&self) -> Result<Side, Vec<Finding>> {
        Side::new(&self.policies, Arc::clone(&self.declared), Timestamp::now()).map(|(side, _)| side)
    }
}
