//! `latchwork policy sign` and `rollback`: make a bundle, or put one more signature under it.

use super::key;
use crate::{
    command::{Exit, Format, default_config, findings_told, tell},
    config::load::{Loaded, unsigned},
    signed::{self, history::History},
    state::replace,
};
use jiff::{SignedDuration, Timestamp};
use policy::{
    bundle::{
        self, Source,
        manifest::{Bundle, Digest, Draft},
        validity::BUNDLE_DAYS,
    },
    finding::Finding,
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// `latchwork policy sign`
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The bundle: made from the folder of policies if it is not there, else signed once more
    bundle: PathBuf,
    #[command(flatten)]
    how: How,
    /// A report of a test, a diff or a replay, so that it is known what was known; may be repeated
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
}

/// `latchwork policy rollback`
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// The version whose content comes back; `latchwork policy history` lists them
    version: u64,
    /// The new bundle to write
    bundle: PathBuf,
    #[command(flatten)]
    how: How,
}

/// What signing needs.
#[derive(Debug, clap::Args)]
struct How {
    /// The key that signs: file:PATH
    #[arg(long)]
    key: String,
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Version of a new bundle; one more than was ever in force here unless given
    #[arg(long, value_name = "NUMBER")]
    number: Option<u64>,
    /// Days that a new bundle counts
    #[arg(long, default_value_t = BUNDLE_DAYS, value_parser = clap::value_parser!(i64).range(1..=3660))]
    days: i64,
    /// Why, in one line
    #[arg(long)]
    note: Option<String>,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn sign(args: &SignArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let made = || -> Result<Bundle, Vec<Finding>> {
        if args.bundle.exists() {
            if !args.attach.is_empty() {
                return Err(vec![wrong(&args.bundle, "what is attached is signed too: make a new bundle for it")]);
            }
            return open(&args.bundle);
        }
        let loaded = unsigned(&args.how.config)?;
        let policies = named(&loaded);
        let attachments: Result<Vec<Source>, Finding> = args.attach.iter().map(|path| attachment(path)).collect();
        draft(&args.how, &loaded, policies, (attachments.map_err(|finding| vec![finding])?, None))
    };
    signed(&args.bundle, &args.how, made, out, talk)
}

pub(super) fn rollback(args: &RollbackArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let made = || -> Result<Bundle, Vec<Finding>> {
        if args.bundle.exists() {
            return Err(vec![wrong(
                &args.bundle,
                "the file is there already; `latchwork policy sign` adds a signature",
            )]);
        }
        let loaded = unsigned(&args.how.config)?;
        let old = open(&History::file(&loaded.config, args.version))?;
        draft(&args.how, &loaded, old.sources(), (old.attachments(), Some(args.version)))
    };
    signed(&args.bundle, &args.how, made, out, talk)
}

fn signed(
    path: &Path,
    how: &How,
    made: impl FnOnce() -> Result<Bundle, Vec<Finding>>,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> Exit {
    let signer = match key::signer(&how.key) {
        Ok(signer) => signer,
        Err(error) => {
            tell(talk, format_args!("latchwork: {error}"));
            return Exit::Invalid;
        }
    };
    let mut bundle = match made() {
        Ok(bundle) => bundle,
        Err(findings) => return findings_told(&findings, talk),
    };
    let written = bundle.sign(&signer).map_err(|e| e.to_string());
    let written = written.and_then(|()| replace(path, bundle.text().as_bytes(), 0o644).map_err(|e| e.to_string()));
    if let Err(error) = written {
        tell(talk, format_args!("latchwork: `{}`: {error}", path.display()));
        return Exit::Failed;
    }
    let (signatures, digest) = (bundle.signatures().len(), bundle.digest());
    match how.format {
        Format::Human => tell(out, format_args!("{}: {signatures} signatures, {digest}", path.display())),
        Format::Json => {
            let said = serde_json::json!({"bundle": path, "signatures": signatures, "digest": digest});
            tell(out, format_args!("{said}"));
        }
    }
    Exit::Ok
}

/// Only what would load is worth a signature.
fn draft(
    how: &How,
    loaded: &Loaded,
    policies: Vec<Source>,
    (attachments, rolls_back_to): (Vec<Source>, Option<u64>),
) -> Result<Bundle, Vec<Finding>> {
    if policies.is_empty() {
        return Err(vec![wrong(&how.config, "there is no policy to sign")]);
    }
    let (declared, now) = (Arc::new(loaded.config.declared()), Timestamp::now());
    bundle::load(&policies, declared.clone(), now)?;
    let history = History::read(&loaded.config).map_err(|finding| vec![finding])?;
    let draft = Draft {
        version: how.number.unwrap_or(history.highest() + 1),
        created: now,
        lasts: SignedDuration::from_hours(24 * how.days),
        rolls_back_to,
        note: how.note.as_deref().map(Arc::from),
        declared: Digest::of_declared(&declared)?,
        policies,
        attachments,
    };
    Bundle::new(draft).map_err(|error| vec![wrong(&how.config, &error.to_string())])
}

/// The policies, named from their folder, so that a bundle is the same wherever it was made.
fn named(loaded: &Loaded) -> Vec<Source> {
    let folder = &loaded.config.policy.path;
    let short = |source: &Source| {
        let path = Path::new(&*source.file);
        let path = path.strip_prefix(folder).unwrap_or(path);
        Source { file: path.to_string_lossy().into(), text: source.text.clone() }
    };
    loaded.policies.iter().map(short).collect()
}

fn attachment(path: &Path) -> Result<Source, Finding> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Source { file: name.into(), text: signed::text(path)?.into() })
}

fn open(path: &Path) -> Result<Bundle, Vec<Finding>> {
    let text = signed::text(path).map_err(|finding| vec![finding])?;
    Bundle::open(&text).map(|(bundle, _)| bundle).map_err(|error| vec![wrong(path, &error.to_string())])
}

fn wrong(path: &Path, message: &str) -> Finding {
    Finding::error("bundle_unusable", path.display().to_string(), message)
}
