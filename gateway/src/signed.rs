//! Signed bundles on this gateway: opened, judged by the keys that count, remembered so that none older comes back.

pub(crate) mod ending;
pub mod history;

use crate::config::{SignedBundle, text::read_bounded};
use jiff::Timestamp;
use policy::{
    bundle::{
        Source,
        manifest::{Bundle, Digest, Manifest},
        sign::{Judged, Standing, Trust, people},
        validity::{self, Validity},
    },
    finding::Finding,
};
use std::{collections::BTreeSet, path::Path, sync::Arc};

/// A bundle that enough people signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The hash that names it.
    pub digest: Digest,
    /// What it is.
    pub manifest: Manifest,
    /// Whose signatures count.
    pub people: BTreeSet<Arc<str>>,
    /// Its file.
    pub text: Arc<str>,
}

impl Signed {
    /// Until when it decides.
    #[must_use]
    pub fn validity(&self, wanted: &SignedBundle) -> Validity {
        let lasts = self.manifest.not_after.duration_since(self.manifest.created);
        Validity::signed(self.manifest.created, Some(lasts), wanted.expired)
    }

    /// What is to be said of its end.
    #[must_use]
    pub fn notes(&self, wanted: &SignedBundle, now: Timestamp) -> Option<Finding> {
        let (version, end) = (self.manifest.version, self.manifest.not_after);
        let message = match self.validity(wanted).standing(now) {
            validity::Standing::Valid => return None,
            validity::Standing::EndsSoon(_) => format!("bundle {version} ends at {end}"),
            validity::Standing::Kept => format!("bundle {version} ended at {end} and goes on deciding, as configured"),
            validity::Standing::Ended => format!("bundle {version} ended at {end}, so every call is denied"),
        };
        let finding = Finding::error("bundle_ends", wanted.file.display().to_string(), message).warning();
        Some(finding.help("publish a newer one"))
    }
}

/// Reads the bundle that a configuration names.
///
/// # Errors
/// What is wrong with it, said plainly.
pub fn read(wanted: &SignedBundle, now: Timestamp) -> Result<(Signed, Vec<Source>), Finding> {
    let text = text(&wanted.file)?;
    open(wanted, &wanted.file.display().to_string(), &text, now)
}

/// Opens a bundle: whole, and signed by as many people as are asked for.
///
/// # Errors
/// What is wrong with it, said plainly.
pub fn open(wanted: &SignedBundle, file: &str, text: &str, now: Timestamp) -> Result<(Signed, Vec<Source>), Finding> {
    let opened = Bundle::open(text);
    let (bundle, manifest) = opened.map_err(|e| Finding::error("bundle_unusable", file, e.to_string()))?;
    let judged = keys(&wanted.keys)?.judge(&bundle, now);
    let people = people(&judged);
    if people.len() < wanted.threshold {
        let message = format!("{} of {} people have signed it{}", people.len(), wanted.threshold, faults(&judged));
        let help = "`latchwork policy verify` shows each signature, `latchwork policy sign` adds one";
        return Err(Finding::error("bundle_unsigned", file, message).help(help));
    }
    let sources = bundle.sources();
    Ok((Signed { digest: bundle.digest(), manifest, people, text: text.into() }, sources))
}

/// The keys that count.
///
/// # Errors
/// When they can't be read.
pub fn keys(file: &Path) -> Result<Trust, Finding> {
    Trust::read(&file.display().to_string(), &text(file)?)
}

/// A file of text.
pub(crate) fn text(file: &Path) -> Result<String, Finding> {
    let unreadable = |e: String| Finding::error("unreadable_file", file.display().to_string(), e);
    let bytes = read_bounded(file).map_err(|e| unreadable(format!("the file can't be read: {}", e.kind())))?;
    String::from_utf8(bytes).map_err(|_| unreadable("the file is not UTF-8".to_owned()))
}

/// The signatures that don't count, and why.
fn faults(judged: &[Judged]) -> String {
    let bad = judged.iter().filter(|judged| judged.standing != Standing::Good);
    bad.map(|judged| format!("; {} {}", name(judged), standing(judged))).collect()
}

/// A key as people know it.
pub(crate) fn name(judged: &Judged) -> String {
    match (&judged.name, &judged.person) {
        (Some(name), Some(person)) => format!("key `{name}` of {person}"),
        _ => format!("key `{}`", judged.key),
    }
}

/// What became of a signature, in words.
pub(crate) fn standing(judged: &Judged) -> &'static str {
    match judged.standing {
        Standing::Good => "is good",
        Standing::Wrong => "did not sign this manifest",
        Standing::Unknown => "is not among the keys that count",
        Standing::Revoked => "is revoked",
    }
}
