//! `latchwork policy publish` and `history`: puts a signed bundle in force, and shows which were.

use crate::{
    command::{Exit, Format, administer::Place, default_config, findings_told, tell},
    config::{Config, load::unsigned},
    signed::{self, history::History},
    state::replace,
};
use http::Method;
use jiff::Timestamp;
use policy::finding::Finding;
use serde_json::Value;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// `latchwork policy publish`
#[derive(Debug, clap::Args)]
pub struct PublishArgs {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Only put it where the configuration looks for bundles: a gateway that runs takes it from there
    #[arg(long, conflicts_with = "admin")]
    offline: bool,
}

/// `latchwork policy history`
#[derive(Debug, clap::Args)]
pub struct HistoryArgs {
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn publish(args: &PublishArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let text = match signed::text(&args.bundle) {
        Ok(text) => text,
        Err(finding) => return findings_told(&[finding], talk),
    };
    if args.offline {
        let config = match unsigned(&args.place.config) {
            Ok(loaded) => loaded.config,
            Err(findings) => return findings_told(&findings, talk),
        };
        return match offline(&config, &args.bundle, &text) {
            Ok(said) => {
                tell(out, format_args!("{said}"));
                Exit::Ok
            }
            Err(finding) => findings_told(&[finding], talk),
        };
    }
    let answer = match args.place.send(Method::POST, "bundle", text.into(), talk) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    if !answer.told(args.place.format, out, talk) {
        let part = |name: &str| answer.body.get(name).map(Value::to_string).unwrap_or_default().replace('"', "");
        for finding in answer.body.get("findings").and_then(Value::as_array).into_iter().flatten() {
            let word = |name: &str| finding.get(name).and_then(Value::as_str).unwrap_or_default();
            tell(talk, format_args!("{}: {}: {}", word("file"), word("severity"), word("message")));
        }
        if answer.exit() == Exit::Ok {
            tell(out, format_args!("in force: version {} {}", part("version"), part("digest")));
        }
    }
    answer.exit()
}

fn offline(config: &Config, bundle: &Path, text: &str) -> Result<String, Finding> {
    let file = bundle.display().to_string();
    let wanted = config.policy.signed.as_ref().ok_or_else(|| {
        let help = "set `bundle`, `keys` and `threshold` in `[policy]`";
        Finding::error("not_signed", config.file.display().to_string(), "policies come from a folder").help(help)
    })?;
    let (next, _) = signed::open(wanted, &file, text, Timestamp::now())?;
    History::read(config)?.accepts(&next, &file)?;
    if wanted.file.exists()
        && let Ok((now, _)) = signed::read(wanted, Timestamp::now())
        && now.manifest.version > next.manifest.version
    {
        let message =
            format!("version {} is older than {}, which is there", next.manifest.version, now.manifest.version);
        return Err(Finding::error("older_bundle", file, message));
    }
    let unwritable = |e: std::io::Error| {
        Finding::error("unwritable_file", wanted.file.display().to_string(), format!("it can't be written: {e}"))
    };
    replace(&wanted.file, text.as_bytes(), 0o644).map_err(unwritable)?;
    Ok(format!("{}: version {} {}", wanted.file.display(), next.manifest.version, next.digest))
}

pub(super) fn history(args: &HistoryArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let read = unsigned(&args.config);
    let history = match read.and_then(|loaded| History::read(&loaded.config).map_err(|finding| vec![finding])) {
        Ok(history) => history,
        Err(findings) => return findings_told(&findings, talk),
    };
    if args.format == Format::Json {
        tell(out, format_args!("{}", serde_json::json!(history)));
        return Exit::Ok;
    }
    for one in history.activations() {
        let back = one.rolls_back_to.map_or_else(String::new, |old| format!(", brings back {old}"));
        let note = one.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
        let signed_by = one.signed_by.join(", ");
        let (at, version, digest, who) = (one.at, one.version, &one.digest, &one.who);
        tell(out, format_args!("{at:.0} version {version}{back} by {who}, signed by {signed_by} {digest}{note}"));
    }
    if history.activations().is_empty() {
        tell(talk, format_args!("no signed bundle was in force here"));
    }
    Exit::Ok
}
