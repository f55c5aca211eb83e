//! `latchwork policy`: commands over policies. The work is the policy crate's; here files are opened.

use super::{Exit, Format, default_config, loaded, written};
use jiff::Timestamp;
use std::{io::Write, path::PathBuf, sync::Arc};

mod bundle;
mod diff;
mod records;
mod replay;
mod suggest;
mod unused;

/// `latchwork policy …`
#[derive(Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// Run the policy cases and show which policies they exercise
    Test(TestArgs),
    /// Say what a change of policies grants and takes away, proved where a solver is at hand
    Diff(diff::DiffArgs),
    /// Ask recorded decisions again of other policies, and say which turn
    Replay(replay::ReplayArgs),
    /// Propose narrower policies for what the records show, as a patch
    Suggest(suggest::SuggestArgs),
    /// List the grants that nobody used
    Unused(unused::UnusedArgs),
}

/// `latchwork policy test`
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs a command about policies.
pub fn run(command: &PolicyCommand, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    match command {
        PolicyCommand::Test(args) => test(args, out, talk),
        PolicyCommand::Diff(args) => diff::run(args, out, talk),
        PolicyCommand::Replay(args) => replay::run(args, out, talk),
        PolicyCommand::Suggest(args) => suggest::run(args, out, talk),
        PolicyCommand::Unused(args) => unused::run(args, out, talk),
    }
}

fn test(args: &TestArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let loaded = match loaded(&args.config, talk) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let format = args.format.into();
    let declared = Arc::new(loaded.config.declared());
    let tested = policy::command::test::test(loaded.policies, loaded.cases, declared, Timestamp::now(), format, out);
    written(tested.map(Exit::from))
}

impl From<Format> for policy::command::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Human => Self::Human,
            Format::Json => Self::Json,
        }
    }
}

impl From<policy::command::Exit> for Exit {
    fn from(exit: policy::command::Exit) -> Self {
        match exit {
            policy::command::Exit::Ok => Self::Ok,
            policy::command::Exit::Failed => Self::Failed,
            policy::command::Exit::Denied => Self::Denied,
            policy::command::Exit::Invalid => Self::Invalid,
            policy::command::Exit::GrantsNew => Self::Widens,
        }
    }
}
