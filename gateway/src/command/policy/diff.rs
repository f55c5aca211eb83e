//! `latchwork policy diff`: opens both bundles, finds the solver, and prints what the policy crate found.

use super::{bundle::Bundle, replay};
use crate::{
    command::{Exit, Format, default_config, findings_told, tell, written},
    prove::{Solver, Time},
};
use policy::review::{self, Limits, Prover, Unproven};
use std::{io::Write, path::PathBuf, thread, time::Duration};

/// `latchwork policy diff`
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// A project, its configuration, or a folder of policies: what is in force
    old: PathBuf,
    /// The same with the change
    new: PathBuf,
    /// Configuration whose catalog a folder of policies is about
    #[arg(short, long, value_name = "FILE", default_value_os_t = default_config())]
    config: PathBuf,
    /// Ask the decisions of this audit folder of a node again as well
    #[arg(long, value_name = "FOLDER")]
    audit: Option<PathBuf>,
    #[command(flatten)]
    proof: ProofArgs,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How long proofs may take.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct ProofArgs {
    /// Seconds for all proofs; what is open then is not proven
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86400))]
    prove_seconds: u64,
    /// Seconds for one proof
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    claim_seconds: u64,
}

impl ProofArgs {
    /// The solver, or a stand-in that says why there is none.
    pub(super) fn prover(self) -> Box<dyn Prover> {
        let time =
            Time { claim: Duration::from_secs(self.claim_seconds), all: Duration::from_secs(self.prove_seconds) };
        match Solver::find(time) {
            Ok(solver) => Box::new(solver),
            Err(why) => Box::new(Unproven(why)),
        }
    }
}

pub(super) fn run(args: &DiffArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let (old, new) = match (Bundle::open(&args.old, &args.config, talk), Bundle::open(&args.new, &args.config, talk)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let (before, after) = thread::scope(|scope| {
        let before = scope.spawn(|| old.side());
        let after = new.side();
        (before.join(), after)
    });
    let (before, after) = match (before, after) {
        (Ok(Ok(before)), Ok(after)) => (before, after),
        (Ok(Err(findings)), _) | (_, Err(findings)) => return findings_told(&findings, talk),
        (Err(_), _) => {
            tell(talk, format_args!("latchwork: the thread that loaded `{}` ended early", args.old.display()));
            return Exit::Failed;
        }
    };
    let review = review::compare(&before, &after, args.proof.prover().as_ref(), Limits::default());
    let replayed = match &args.audit {
        None => None,
        Some(folder) => match replay::replayed(folder, after.snapshot(), talk) {
            Ok(replayed) => Some(replayed),
            Err(exit) => return exit,
        },
    };
    written(policy::command::diff::diff(&review, replayed.as_ref(), args.format.into(), out).map(Exit::from))
}
