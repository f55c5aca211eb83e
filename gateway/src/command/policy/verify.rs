//! `latchwork policy verify`: is a bundle whole, and whose word is it?

use crate::{
    command::{Exit, Format, findings_told, tell},
    signed,
};
use jiff::Timestamp;
use policy::{
    bundle::{
        manifest::{Bundle, Manifest},
        sign::{Judged, Trust, people},
    },
    finding::Finding,
};
use serde_json::json;
use std::{io::Write, path::PathBuf};

/// `latchwork policy verify`
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The bundle
    bundle: PathBuf,
    /// The keys that count (TOML: `[key.NAME] public, person, revoked`)
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// How many different people must have signed
    #[arg(long, default_value_t = 1)]
    threshold: usize,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &VerifyArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let read = || -> Result<(Bundle, Manifest, Trust), Finding> {
        let file = args.bundle.display().to_string();
        let opened = Bundle::open(&signed::text(&args.bundle)?);
        let (bundle, manifest) = opened.map_err(|e| Finding::error("bundle_unusable", file, e.to_string()))?;
        Ok((bundle, manifest, signed::keys(&args.keys)?))
    };
    let (bundle, manifest, keys) = match read() {
        Ok(read) => read,
        Err(finding) if args.format == Format::Json => {
            tell(out, format_args!("{}", json!({"ok": false, "findings": [finding]})));
            return Exit::Invalid;
        }
        Err(finding) => return findings_told(&[finding], talk),
    };
    let now = Timestamp::now();
    let judged = keys.judge(&bundle, now);
    let (signed, ended) = (people(&judged).len(), manifest.not_after <= now);
    let ok = signed >= args.threshold.max(1) && !ended;
    match args.format {
        Format::Json => {
            let digest = bundle.digest();
            let said =
                json!({"ok": ok, "digest": digest, "manifest": manifest, "signatures": judged, "people": signed});
            tell(out, format_args!("{said}"));
        }
        Format::Human => human(&bundle, &manifest, &judged, out),
    }
    if args.format == Format::Human {
        let needed = args.threshold.max(1);
        let end = if ended { format!("; it ended at {}", manifest.not_after) } else { String::new() };
        let verdict = if ok { "ok" } else { "not ok" };
        tell(talk, format_args!("{verdict}: {signed} of {needed} people have signed{end}"));
    }
    if ok { Exit::Ok } else { Exit::Failed }
}

fn human(bundle: &Bundle, manifest: &Manifest, judged: &[Judged], out: &mut dyn Write) {
    let Manifest { version, created, not_after, rolls_back_to, note, policies, attachments, .. } = manifest;
    tell(out, format_args!("version {version} of {created:.0}, until {not_after:.0}"));
    tell(out, format_args!("bundle {}", bundle.digest()));
    if let Some(old) = rolls_back_to {
        tell(out, format_args!("brings back version {old}"));
    }
    if let Some(note) = note {
        tell(out, format_args!("note: {note}"));
    }
    for (file, digest) in policies.iter().chain(attachments) {
        tell(out, format_args!("{file}: {digest}, as the manifest says"));
    }
    for judged in judged {
        tell(out, format_args!("{} {}", signed::name(judged), signed::standing(judged)));
    }
}
