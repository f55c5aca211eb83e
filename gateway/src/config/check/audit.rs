//! `[audit]`: where the log is, what its records survive, and who signs its tree.

use super::{issuer::is_loopback, ship, tls};
use crate::{
    audit::{
        conceal,
        field::{FIELDS_MAX, Fields, Mode},
    },
    config::{
        Audit, Checkpoints, Durability, Node, Privacy, Witness, raw,
        raw::At,
        value::{Desk, shorten},
    },
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Most places where checkpoints are copied to.
const COPIES_MAX: usize = 8;
/// The key that is made outside production, in the log's folder.
const OWN_KEY: &str = "checkpoint.key";

pub(crate) fn audit(written: &raw::Audit, node: &Node, desk: &mut Desk<'_>) -> Audit {
    let path = desk.path(written.path.as_ref().map_or("audit", |path| path.value.as_str()));
    if path.exists() && !path.is_dir() {
        let span = written.path.as_ref().map_or(0..0, |path| path.span.clone());
        desk.error("not_a_folder", &span, format!("`{}` is no folder", path.display()));
    }
    let durability = match written.durability {
        None | Some(raw::Durability::Fsync) => Durability::Fsync,
        Some(raw::Durability::Write) => Durability::Write,
    };
    let segment_bytes_max = desk.number(written.segment_bytes_max.as_ref(), 64 * MIB, 64 << 10..=4096 * MIB);
    let retention = desk.duration(written.retention.as_ref(), 365 * DAY, DAY..=36_500 * DAY);
    let checkpoints = checkpoints(written, &path, node.production, desk);
    let privacy = privacy(written, desk);
    let ship = ship::ships(&written.ship, &path, node, desk);
    Audit { path, durability, segment_bytes_max, retention, checkpoints, privacy, ship }
}

/// How fields are recorded; each mode has the key that it needs.
fn privacy(written: &raw::Audit, desk: &mut Desk<'_>) -> Privacy {
    let mut modes = Vec::new();
    for (At { value: pointer, span }, mode) in &written.fields {
        match conceal::place(pointer) {
            Ok(()) => modes.push((pointer.as_str(), mode.value)),
            Err((message, near)) => {
                let mut finding = desk.text.error("bad_field", span, message);
                if let Some(near) = near {
                    finding = finding.help(format!("did you mean `{near}`?"));
                }
                desk.report.push(finding);
            }
        }
    }
    if let Some((At { span, .. }, _)) = written.fields.iter().nth(FIELDS_MAX) {
        desk.error("too_many", span, format!("at most {FIELDS_MAX} places have a mode of their own"));
    }
    let hash_key = written.hash_key.as_ref().and_then(|reference| key_file(reference, desk));
    let auditor = written.auditor.as_ref().and_then(|written| match written.value.parse() {
        Ok(auditor) => Some(auditor),
        Err(error) => {
            let error: crate::audit::subject::auditor::NotAnAuditor = error;
            desk.error("bad_key", &written.span, error.to_string());
            None
        }
    });
    let needs = [
        (Mode::Hmac, written.hash_key.is_some(), "hash_key", "`latchwork audit key hash` makes one"),
        (
            Mode::Encrypted,
            written.auditor.is_some(),
            "auditor",
            "`latchwork audit key auditor FILE` makes and prints one",
        ),
    ];
    for (mode, given, key, help) in needs {
        let first = written.fields.iter().find(|(_, written)| written.value == mode).filter(|_| !given);
        if let Some((At { value, .. }, At { span, .. })) = first {
            let message = format!("`{}` needs the key `audit.{key}`", shorten(value));
            desk.error_help("missing_key", span, message, help);
        }
    }
    // Every pointer was read above.
    Privacy { fields: Fields::new(modes).unwrap_or_default(), hash_key, auditor }
}

/// The file of a key that is given by reference.
fn key_file(reference: &At<String>, desk: &mut Desk<'_>) -> Option<PathBuf> {
    let path = reference.value.strip_prefix("file:").map(|path| desk.path(path));
    if path.is_none() {
        // What was written may be the key itself, so it is not shown.
        let message = "a key is given by reference";
        let mut finding = desk.text.error("bad_reference", &reference.span, message).help("`file:PATH`");
        finding.text = None;
        desk.report.push(finding);
    }
    path
}

fn checkpoints(written: &raw::Audit, log: &Path, production: bool, desk: &mut Desk<'_>) -> Checkpoints {
    let mut checked = Checkpoints::with_own_key(log.join(OWN_KEY));
    match &written.checkpoint_key {
        Some(reference) => {
            checked.makes_key = !production;
            if let Some(path) = key_file(reference, desk) {
                checked.key = path;
            }
        }
        None if production => {
            let help = "`checkpoint_key = \"file:…\"` in `[audit]`; `latchwork audit key new` makes one";
            desk.error_help(
                "missing_key",
                &(0..0),
                "in production the audit log is signed with a key of its own",
                help,
            );
        }
        None => {}
    }
    checked.records = desk.number(written.checkpoint_records.as_ref(), checked.records, 1..=1_000_000_000);
    checked.interval = desk.duration(written.checkpoint_interval.as_ref(), checked.interval, SECOND..=DAY);
    for copy in &written.checkpoint_copies {
        let path = desk.path(&copy.value);
        if path == log {
            desk.error("same_folder", &copy.span, "a copy beside the log is none");
        }
        checked.copies.push(path);
    }
    if let Some(copy) = written.checkpoint_copies.get(COPIES_MAX) {
        desk.error("too_many", &copy.span, format!("checkpoints are copied to at most {COPIES_MAX} places"));
    }
    checked.witness = written.witness.as_ref().and_then(|written| witness(written, production, desk));
    checked
}

fn witness(At { value, span }: &At<raw::Witness>, production: bool, desk: &mut Desk<'_>) -> Option<Witness> {
    let url = desk.required("url", &value.url, span).cloned();
    let key = desk.required("key", &value.key, span).cloned();
    let ca = value.ca.as_ref().and_then(|ca| tls::authorities(ca, desk));
    let url = url.and_then(|written| address(&written, production, desk));
    let key = key.and_then(|key| match key.value.parse::<crate::audit::note::VerifierKey>() {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            desk.error("bad_key", &key.span, error.to_string());
            None
        }
    });
    Some(Witness { url: url?, key: key?, ca })
}

fn address(At { value, span }: &At<String>, production: bool, desk: &mut Desk<'_>) -> Option<Url> {
    let Some(url) = Url::parse(value).ok().filter(Url::has_host) else {
        desk.error_help(
            "bad_url",
            span,
            format!("`{}` is no URL", shorten(value)),
            "such as `https://witness.example/w1`",
        );
        return None;
    };
    match url.scheme() {
        "https" => Some(url),
        "http" if is_loopback(&url) && !production => Some(url),
        _ => {
            desk.error("bad_url", span, "a witness is asked over `https`, or on loopback outside production");
            None
        }
    }
}
