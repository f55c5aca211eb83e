//! `latchwork policy replay`: reads the log, and prints which decisions turn.

use super::{bundle::Bundle, records};
use crate::command::{Exit, Format, default_config, findings_told, tell, written};
use jiff::Timestamp;
use policy::{
    bundle::load,
    engine::Snapshot,
    replay::{Recorded, Replay, Why},
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// `latchwork policy replay`
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// A project, its configuration, or a folder of policies to ask
    candidate: PathBuf,
    /// Configuration that names the audit log, and the catalog of a folder of policies
    #[arg(short, long, value_name = "FILE", default_value_os_t = default_config())]
    config: PathBuf,
    /// Folder of a node's audit log, instead of the configured one
    #[arg(long, value_name = "FOLDER")]
    audit: Option<PathBuf>,
    /// As if the policies in shadow were in force
    #[arg(long)]
    shadow: bool,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &ReplayArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let candidate = match Bundle::open(&args.candidate, &args.config, talk) {
        Ok(candidate) => candidate,
        Err(exit) => return exit,
    };
    let folder = match folder(args.audit.as_deref(), &args.config, talk) {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    let snapshot = match load(&candidate.policies, Arc::clone(&candidate.declared), Timestamp::now()) {
        Ok((snapshot, _)) => snapshot,
        Err(findings) => return findings_told(&findings, talk),
    };
    let replayed = match (args.shadow, snapshot.shadow()) {
        (false, _) => replayed(&folder, &snapshot, talk),
        (true, Some(shadow)) => asked_again(&folder, |replay, recorded| shadow.replay(replay, recorded), talk),
        (true, None) => {
            tell(talk, format_args!("error: no policy is in shadow; `@mode(\"shadow\")` puts one there"));
            return Exit::Invalid;
        }
    };
    match replayed {
        Ok(replayed) => written(policy::command::replay::replay(&replayed, args.format.into(), out).map(Exit::from)),
        Err(exit) => exit,
    }
}

/// The folder of a node's log: the one that was given, or the configured one.
pub(super) fn folder(given: Option<&Path>, config: &Path, talk: &mut dyn Write) -> Result<PathBuf, Exit> {
    match given {
        Some(folder) => Ok(folder.to_owned()),
        None => {
            let bundle = Bundle::open(config, config, talk)?;
            Ok(bundle.config.audit.path.join(bundle.config.node.id.as_ref()))
        }
    }
}

/// Asks every decision of a log again.
pub(super) fn replayed(folder: &Path, snapshot: &Snapshot, talk: &mut dyn Write) -> Result<Replay, Exit> {
    asked_again(folder, |replay, recorded| replay.add(recorded, snapshot), talk)
}

fn asked_again(
    folder: &Path,
    add: impl Fn(&mut Replay, Recorded) + Sync,
    talk: &mut dyn Write,
) -> Result<Replay, Exit> {
    match records::fold(folder, talk, add, Replay::merge) {
        Ok((mut replay, unreadable)) => {
            if unreadable > 0 {
                *replay.not_replayed.entry(Why::Unreadable).or_default() += unreadable;
            }
            Ok(replay)
        }
        Err(error) => {
            tell(talk, format_args!("error: the audit log in `{}` can't be read: {error}", folder.display()));
            Err(Exit::Failed)
        }
    }
}
