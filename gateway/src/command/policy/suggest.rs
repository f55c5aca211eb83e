//! `latchwork policy suggest`: reads the log twice, once to see what is used and once to try what is suggested.

use super::{bundle::Bundle, diff::ProofArgs, records, replay};
use crate::command::{Exit, Format, default_config, findings_told, tell, written};
use jiff::Timestamp;
use policy::{
    bundle::Source,
    permit::PolicyName,
    replay::Replay,
    review::{self, Limits, Side},
    suggest::{Observed, Suggested, unified},
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How often suggestions that deny a recorded call are taken back and the rest is tried again.
const ROUNDS_MAX: usize = 3;

/// `latchwork policy suggest`
#[derive(Debug, clap::Args)]
pub struct SuggestArgs {
    /// Configuration that names policies and audit log
    #[arg(short, long, value_name = "FILE", default_value_os_t = default_config())]
    config: PathBuf,
    /// Folder of a node's audit log, instead of the configured one
    #[arg(long, value_name = "FOLDER")]
    audit: Option<PathBuf>,
    #[command(flatten)]
    proof: ProofArgs,
    /// Output; for people the patch goes to standard output, what is known of it to standard error
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &SuggestArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    suggest(args, out, talk).unwrap_or_else(|exit| exit)
}

fn suggest(args: &SuggestArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Result<Exit, Exit> {
    let bundle = Bundle::open(&args.config, &args.config, talk)?;
    let current = bundle.side().map_err(|findings| findings_told(&findings, talk))?;
    let folder = replay::folder(args.audit.as_deref(), &args.config, talk)?;
    let add = |observed: &mut Observed, recorded| observed.add(&recorded);
    let (observed, _) = records::fold(&folder, talk, add, Observed::merge).map_err(|error| {
        tell(talk, format_args!("error: the audit log in `{}` can't be read: {error}", folder.display()));
        Exit::Failed
    })?;
    let (suggested, narrower, replayed) = tried(&bundle, &current, &observed, &folder, talk)?;
    let review = review::compare(&current, &narrower, args.proof.prover().as_ref(), Limits::default());
    let patch = unified(&bundle.policies, &suggested.sources);
    let told =
        policy::command::suggest::suggest(&suggested, &patch, &review, &replayed, args.format.into(), (out, talk));
    Ok(written(told.map(Exit::from)))
}

/// Suggestions that load and deny no recorded call; what does is taken back.
fn tried(
    bundle: &Bundle,
    current: &Side,
    observed: &Observed,
    folder: &Path,
    talk: &mut dyn Write,
) -> Result<(Suggested, Side, Replay), Exit> {
    let side = |sources: &[Source]| Side::new(sources, Arc::clone(&bundle.declared), Timestamp::now());
    let mut leave: Vec<PolicyName> = Vec::new();
    for round in 0..=ROUNDS_MAX {
        let suggested = observed.suggest(&bundle.policies, current.snapshot(), &leave);
        let narrower = match side(&suggested.sources) {
            Ok((narrower, _)) => narrower,
            Err(findings) if round == ROUNDS_MAX => return Err(findings_told(&findings, talk)),
            Err(_) => {
                let all: Vec<PolicyName> = suggested.suggestions.iter().map(|s| s.policy.clone()).collect();
                for one in &all {
                    let others: Vec<_> = all.iter().filter(|name| *name != one).chain(&leave).cloned().collect();
                    let alone = observed.suggest(&bundle.policies, current.snapshot(), &others);
                    if side(&alone.sources).is_err() {
                        leave.push(one.clone());
                    }
                }
                continue;
            }
        };
        let replayed = replay::replayed(folder, narrower.snapshot(), talk)?;
        let denying: Vec<_> = replayed.flips.iter().flat_map(|flip| flip.policies.iter().cloned()).collect();
        if denying.is_empty() || round == ROUNDS_MAX {
            return Ok((suggested, narrower, replayed));
        }
        leave.extend(denying);
    }
    Err(Exit::Failed)
}
