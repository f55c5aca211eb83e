//! A bundle in one file: policies, what is said of them, and the signatures under both.
//!
//! The manifest holds the hash of everything else, and is kept as the text that was signed, so that nobody has to write it
//! the same way again. The hash of that text names the bundle.

use super::{Source, ground::Ground, sign::Signature};
use crate::{declared::Declared, engine::Snapshot, finding::Finding};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The version of the format.
pub const FORMAT: u32 = 1;
/// Largest bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = 64 << 20;
/// Most signatures of one bundle.
pub const SIGNATURES_MAX: usize = 64;
/// What is signed begins with this line, so that a signature for a bundle is one for nothing else.
const CONTEXT: &str = "latchwork bundle manifest v1\n";

/// SHA-256, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(Arc<str>);

/// What a bundle is, and the hashes of all that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Grows with every bundle; a gateway takes none that is older than one it had.
    pub version: u64,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it no longer counts.
    pub not_after: Timestamp,
    /// The version whose content it brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolls_back_to: Option<u64>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Arc<str>>,
    /// Of the vocabulary and the declared entities that it was checked against.
    pub declared: Digest,
    /// Files of policies and grants.
    pub policies: BTreeMap<Arc<str>, Digest>,
    /// What was known when it was approved: reports of tests, differences and replays.
    #[serde(default)]
    pub attachments: BTreeMap<Arc<str>, Digest>,
}

/// A bundle as a file holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    manifest: Arc<str>,
    #[serde(default)]
    signatures: Vec<Signature>,
    policies: BTreeMap<Arc<str>, Arc<str>>,
    #[serde(default)]
    attachments: BTreeMap<Arc<str>, Arc<str>>,
}

/// What a new bundle is made from.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its version.
    pub version: u64,
    /// Now.
    pub created: Timestamp,
    /// How long it counts.
    pub lasts: SignedDuration,
    /// The version whose content it brings back.
    pub rolls_back_to: Option<u64>,
    /// Why, in words.
    pub note: Option<Arc<str>>,
    /// Of the vocabulary and the declared entities.
    pub declared: Digest,
    /// Files of policies and grants, named from the folder of policies.
    pub policies: Vec<Source>,
    /// Reports, by name.
    pub attachments: Vec<Source>,
}

/// Why a file is no bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Larger than any bundle.
    #[error("a bundle has at most {BUNDLE_BYTES_MAX} bytes")]
    TooLarge,
    /// Not in the format.
    #[error("this is not a bundle: {0}")]
    Malformed(String),
    /// A format that is not known here.
    #[error("the bundle has format {0}; only {FORMAT} is known")]
    Format(u32),
    /// A file that is not as it was signed.
    #[error("`{name}` is not what the manifest says: its hash is {found}, not {expected}")]
    Changed {
        /// The file.
        name: Arc<str>,
        /// By the manifest.
        expected: Digest,
        /// Of what is there.
        found: Digest,
    },
    /// A file that the manifest names is not there.
    #[error("`{0}` is in the manifest and not in the bundle")]
    Missing(Arc<str>),
    /// A file that the manifest does not name.
    #[error("`{0}` is in the bundle and not in the manifest")]
    Added(Arc<str>),
}

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = String::from("sha256:");
        for byte in digest(&SHA256, bytes).as_ref() {
            text.push_str(&format!("{byte:02x}"));
        }
        Self(text.into())
    }

    /// Of the vocabulary and the declared entities: a bundle is approved for these alone.
    ///
    /// # Errors
    /// When what is declared makes no vocabulary.
    pub fn of_declared(declared: &Declared) -> Result<Self, Vec<Finding>> {
        Ok(Self::of(&Ground::new(Arc::new(declared.clone()))?.digest))
    }
}

impl Snapshot {
    /// Of the vocabulary and the declared entities that it stands on.
    #[must_use]
    pub fn declared_digest(&self) -> Digest {
        Digest::of(&self.ground().digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Bundle {
    /// Makes one without a signature.
    ///
    /// # Errors
    /// [`BundleError::TooLarge`].
    pub fn new(draft: Draft) -> Result<Self, BundleError> {
        let hashes = |files: &[Source]| files.iter().map(|f| (f.file.clone(), Digest::of(f.text.as_bytes()))).collect();
        let manifest = Manifest {
            format: FORMAT,
            version: draft.version,
            created: draft.created,
            not_after: draft.created.checked_add(draft.lasts).unwrap_or(draft.created),
            rolls_back_to: draft.rolls_back_to,
            note: draft.note,
            declared: draft.declared,
            policies: hashes(&draft.policies),
            attachments: hashes(&draft.attachments),
        };
        let files = |files: Vec<Source>| files.into_iter().map(|f| (f.file, f.text)).collect();
        let malformed = |error: serde_json::Error| BundleError::Malformed(error.to_string());
        let bundle = Self {
            manifest: serde_json::to_string_pretty(&manifest).map_err(malformed)?.into(),
            signatures: Vec::new(),
            policies: files(draft.policies),
            attachments: files(draft.attachments),
        };
        if bundle.text().len() > BUNDLE_BYTES_MAX { Err(BundleError::TooLarge) } else { Ok(bundle) }
    }

    /// Reads a file and sees that everything in it is what its manifest says. Whose word that is, its signatures say.
    ///
    /// # Errors
    /// The first fault.
    pub fn open(text: &str) -> Result<(Self, Manifest), BundleError> {
        if text.len() > BUNDLE_BYTES_MAX {
            return Err(BundleError::TooLarge);
        }
        let malformed = |error: serde_json::Error| BundleError::Malformed(error.to_string());
        let bundle: Self = serde_json::from_str(text).map_err(malformed)?;
        if bundle.signatures.len() > SIGNATURES_MAX {
            return Err(BundleError::Malformed(format!("it has more than {SIGNATURES_MAX} signatures")));
        }
        let manifest: Manifest = serde_json::from_str(&bundle.manifest).map_err(malformed)?;
        if manifest.format != FORMAT {
            return Err(BundleError::Format(manifest.format));
        }
        same(&manifest.policies, &bundle.policies)?;
        same(&manifest.attachments, &bundle.attachments)?;
        Ok((bundle, manifest))
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The hash that names it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.manifest.as_bytes())
    }

    /// What signatures are under.
    #[must_use]
    pub fn signed(&self) -> Vec<u8> {
        [CONTEXT.as_bytes(), self.manifest.as_bytes()].concat()
    }

    /// Its signatures, not yet verified.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// With one more signature; another one of the same key goes.
    pub fn add(&mut self, signature: Signature) {
        self.signatures.retain(|other| other.key != signature.key);
        self.signatures.push(signature);
    }

    /// Its files of policies and grants.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        self.policies.iter().map(|(file, text)| Source { file: file.clone(), text: text.clone() }).collect()
    }

    /// Its reports.
    #[must_use]
    pub fn attachments(&self) -> Vec<Source> {
        self.attachments.iter().map(|(file, text)| Source { file: file.clone(), text: text.clone() }).collect()
    }
}

fn same(hashes: &BTreeMap<Arc<str>, Digest>, files: &BTreeMap<Arc<str>, Arc<str>>) -> Result<(), BundleError> {
    for (name, expected) in hashes {
        let text = files.get(name).ok_or_else(|| BundleError::Missing(name.clone()))?;
        let found = Digest::of(text.as_bytes());
        if found != *expected {
            return Err(BundleError::Changed { name: name.clone(), expected: expected.clone(), found });
        }
    }
    let added = files.keys().find(|name| !hashes.contains_key(*name));
    added.map_or(Ok(()), |name| Err(BundleError::Added(name.clone())))
}
