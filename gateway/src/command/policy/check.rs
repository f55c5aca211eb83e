//! `latchwork policy check`: strict validation and lints.

use super::diff::ProofArgs;
use crate::command::{Exit, Format, default_config, loaded, tell, written};
use jiff::Timestamp;
use policy::{
    bundle::Source,
    command::check::{Strictness, check, lints},
    declared::Declared,
    lint::{Judge, Unproven},
    review::{self, Side},
};
use std::{io::Write, path::PathBuf, sync::Arc};

/// `latchwork policy check`
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Print every lint with its reason, and check nothing
    #[arg(long)]
    lints: bool,
    /// Prove with a solver which forbids can fail and which policies never hold
    #[arg(long)]
    prove: bool,
    #[command(flatten)]
    proof: ProofArgs,
}

pub(super) fn run(args: &CheckArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    if args.lints {
        return written(lints(args.format.into(), out).map(Exit::from));
    }
    let loaded = match loaded(&args.config, talk) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let declared = Arc::new(loaded.config.declared());
    let strictness = if args.deny_warnings { Strictness::Warnings } else { Strictness::Errors };
    let how = (strictness, args.format.into());
    let judge: Box<dyn Judge> =
        if args.prove { proved(&loaded.policies, &declared, args.proof, talk) } else { Box::new(Unproven) };
    let said = (judge.as_ref(), loaded.warnings);
    written(check(loaded.policies, &declared, Timestamp::now(), said, how, out).map(Exit::from))
}

/// What the solver says of every policy. Policies that don't load are for the check itself to report.
fn proved(policies: &[Source], declared: &Arc<Declared>, proof: ProofArgs, talk: &mut dyn Write) -> Box<dyn Judge> {
    let Ok((side, _)) = Side::new(policies, Arc::clone(declared), Timestamp::now()) else { return Box::new(Unproven) };
    let prover = proof.prover();
    let judged = review::judge(&side, prover.as_ref());
    if let (None, Some(why)) = (prover.name(), judged.open.values().next()) {
        tell(talk, format_args!("not proven: {why}"));
    } else {
        for (policy, why) in &judged.open {
            tell(talk, format_args!("not proven: `{policy}`: {why}"));
        }
    }
    Box::new(judged)
}
