//! Reading and loading a shadow bundle: as whole and as signed as one that is put in force, but of any version.

use crate::{
    build,
    config::{Config, ShadowBundle, load},
    emergency::Emergencies,
    signed::{self, Signed},
};
use jiff::Timestamp;
use policy::{bundle::Source, emergency, engine::Snapshot, finding::Finding, shadow::Shadow};
use std::sync::Arc;

/// What was read of a shadow bundle: its policies and, if it is signed, by whom; or what is wrong.
pub type Read = Result<(Vec<Source>, Option<Arc<Signed>>), Vec<Finding>>;

/// Reads what the configuration names.
pub(crate) fn read(wanted: &ShadowBundle, now: Timestamp) -> Read {
    match wanted {
        ShadowBundle::Folder(folder) if !folder.is_dir() => {
            let message = "there is no such folder of policies";
            Err(vec![Finding::error("missing_folder", folder.display().to_string(), message)])
        }
        ShadowBundle::Folder(folder) => load::policies(folder).map(|policies| (policies, None)),
        ShadowBundle::Signed(wanted) => match signed::read(wanted, now) {
            Ok((signed, policies)) => Ok((policies, Some(Arc::new(signed)))),
            Err(finding) => Err(vec![finding]),
        },
    }
}

/// Loads it as if it were in force, with the emergency forbids that are.
pub(super) fn shadow(
    (beside, before): (&Snapshot, Option<&Shadow>),
    sources: &[Source],
    signed: Option<&Signed>,
    (emergencies, config): (&Emergencies, &Config),
) -> Result<Shadow, Vec<Finding>> {
    let (declared, now) = (Arc::new(config.declared()), Timestamp::now());
    let (emergency, _) = emergency::source(emergencies.list(), &declared, now);
    let sources: Vec<Source> = sources.iter().cloned().chain(emergency).collect();
    let (shadow, _) = Shadow::load(&sources, declared, now, (beside, before))?;
    if let (Some(signed), Some(ShadowBundle::Signed(wanted))) = (signed, &config.policy.shadow) {
        build::of_this_catalog(shadow.declared_digest(), signed, &wanted.file).map_err(|finding| vec![finding])?;
    }
    Ok(shadow)
}
