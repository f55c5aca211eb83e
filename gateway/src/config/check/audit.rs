//! `[audit]`: where the log is, what its records survive, and who signs its tree.

use super::{issuer::is_loopback, tls};
use crate::config::{
    Audit, Checkpoints, Durability, Node, Witness, raw,
    raw::At,
    value::{Desk, shorten},
};
use std::{path::Path, time::Duration};
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
    Audit { path, durability, segment_bytes_max, retention, checkpoints }
}

fn checkpoints(written: &raw::Audit, log: &Path, production: bool, desk: &mut Desk<'_>) -> Checkpoints {
    let mut checked = Checkpoints::with_own_key(log.join(OWN_KEY));
    match &written.checkpoint_key {
        Some(reference) => {
            checked.makes_key = !production;
            if let Some(path) = reference.value.strip_prefix("file:") {
                checked.key = desk.path(path);
            } else {
                let message = "a key is given by reference";
                // What was written may be the key itself, so it is not shown.
                let mut finding = desk.text.error("bad_reference", &reference.span, message).help("`file:PATH`");
                finding.text = None;
                desk.report.push(finding);
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
