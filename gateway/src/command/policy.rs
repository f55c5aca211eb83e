//! `latchwork policy`: commands over policies. The work is the policy crate's; here files are opened.

mod approve;
mod bundle;
mod check;
pub mod decide;
mod diff;
mod emergency;
mod format;
mod key;
mod new;
mod publish;
mod records;
mod replay;
mod schema;
mod sign;
mod suggest;
mod test;
mod unused;
mod verify;
mod what_if;
mod who;

use super::{Exit, Format};
use std::io::Write;

/// `latchwork policy …`
#[derive(Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// Write a policy and its cases for a function, as a beginning
    New(new::NewArgs),
    /// Write policies in one style; comments, annotations and meaning stay
    Format(format::FormatArgs),
    /// Say what is wrong with policies, and what is only odd
    Check(check::CheckArgs),
    /// Run the policy cases and show which policies and conditions they exercise
    Test(test::TestArgs),
    /// Change facts of a recorded or written question: what would be answered, and which clauses flip
    WhatIf(what_if::WhatIfArgs),
    /// Who can call a function, and on what it depends
    WhoCan(who::WhoCanArgs),
    /// What a caller can call, and on what it depends
    Can(who::CanArgs),
    /// Print the vocabulary as a Cedar schema, for editors
    Schema(schema::SchemaArgs),
    /// Answer requests in bulk by any Cedar policies: JSON lines in, JSON lines out
    Decide(decide::DecideArgs),
    /// Say what a change of policies grants and takes away, proved where a solver is at hand
    Diff(diff::DiffArgs),
    /// Ask recorded decisions again of other policies, and say which turn
    Replay(replay::ReplayArgs),
    /// Propose narrower policies for what the records show, as a patch
    Suggest(suggest::SuggestArgs),
    /// List the grants that nobody used
    Unused(unused::UnusedArgs),
    /// Make keys that sign bundles
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Make a signed bundle of the policies, or put one more signature under it
    Sign(sign::SignArgs),
    /// Say whether a bundle is whole and whose word it is
    Verify(verify::VerifyArgs),
    /// Approve a bundle, where the running gateway asks policy who may put one in force
    Approve(approve::ApproveArgs),
    /// Put a signed bundle in force
    Publish(publish::PublishArgs),
    /// Make a new bundle of what an older one held
    Rollback(sign::RollbackArgs),
    /// Show which signed bundles were in force
    History(publish::HistoryArgs),
    /// Forbid a function, a caller or an issuer at once in the running gateway
    #[command(subcommand)]
    Emergency(emergency::EmergencyCommand),
}

/// Runs a command about policies.
pub fn run(command: &PolicyCommand, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    match command {
        PolicyCommand::New(args) => new::run(args, out, talk),
        PolicyCommand::Format(args) => format::run(args, out, talk),
        PolicyCommand::Check(args) => check::run(args, out, talk),
        PolicyCommand::Test(args) => test::run(args, out, talk),
        PolicyCommand::WhatIf(args) => what_if::run(args, out, talk),
        PolicyCommand::WhoCan(args) => who::who_can(args, out, talk),
        PolicyCommand::Can(args) => who::can(args, out, talk),
        PolicyCommand::Schema(args) => schema::run(args, out, talk),
        PolicyCommand::Decide(args) => decide::run(args, out, talk),
        PolicyCommand::Diff(args) => diff::run(args, out, talk),
        PolicyCommand::Replay(args) => replay::run(args, out, talk),
        PolicyCommand::Suggest(args) => suggest::run(args, out, talk),
        PolicyCommand::Unused(args) => unused::run(args, out, talk),
        PolicyCommand::Key(command) => key::run(command, out, talk),
        PolicyCommand::Sign(args) => sign::sign(args, out, talk),
        PolicyCommand::Verify(args) => verify::run(args, out, talk),
        PolicyCommand::Approve(args) => approve::run(args, out, talk),
        PolicyCommand::Publish(args) => publish::publish(args, out, talk),
        PolicyCommand::Rollback(args) => sign::rollback(args, out, talk),
        PolicyCommand::History(args) => publish::history(args, out, talk),
        PolicyCommand::Emergency(command) => emergency::run(command, out, talk),
    }
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
