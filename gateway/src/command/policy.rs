//! `latchwork policy`: commands over policies. The work is the policy crate's; here files are opened.

mod check;
pub mod decide;
mod format;
mod new;
mod schema;

use super::{Exit, Format, default_config, loaded, written};
use jiff::Timestamp;
use std::{io::Write, path::PathBuf, sync::Arc};

/// `latchwork policy …`
#[derive(Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// Write a policy and its cases for a function, as a beginning
    New(new::NewArgs),
    /// Write policies in one style; comments, annotations and meaning stay
    Format(format::FormatArgs),
    /// Say what is wrong with policies, and what is only odd
    Check(check::CheckArgs),
    /// Run the policy cases and show which policies they exercise
    Test(TestArgs),
    /// Print the vocabulary as a Cedar schema, for editors
    Schema(schema::SchemaArgs),
    /// Answer requests in bulk by any Cedar policies: JSON lines in, JSON lines out
    Decide(decide::DecideArgs),
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
        PolicyCommand::New(args) => new::run(args, out, talk),
        PolicyCommand::Format(args) => format::run(args, out, talk),
        PolicyCommand::Check(args) => check::run(args, out, talk),
        PolicyCommand::Test(args) => test(args, out, talk),
        PolicyCommand::Schema(args) => schema::run(args, out, talk),
        PolicyCommand::Decide(args) => decide::run(args, out, talk),
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
