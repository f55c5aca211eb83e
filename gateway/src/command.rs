//! The commands of `latchwork`, one file each. Names and exit codes are a contract.

pub mod administer;
pub mod asked;
pub mod audit;
pub mod call;
pub mod check;
pub mod completions;
pub mod cost;
pub mod explain;
pub mod init;
pub mod key;
pub mod man;
pub mod policy;
pub mod quickstart;
pub mod reload;
pub mod run;
pub mod token;

use crate::{build, config::load};
use ::policy::finding::Finding;
use clap::{Parser, Subcommand, ValueEnum};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Lets callers run functions where policy permits it, and records every decision.
#[derive(Debug, Parser)]
#[command(name = "latchwork", version, max_term_width = 120)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything embedded: a development issuer, sample functions, policies; print calls to paste
    Quickstart(quickstart::QuickstartArgs),
    /// Write a commented project whose policy cases pass
    Init(init::InitArgs),
    /// Validate configuration, catalog, schemas and policies, without any network
    Check(check::CheckArgs),
    /// Serve
    Run(run::RunArgs),
    /// Put what is on disk in force, or say what would change
    Reload(reload::ReloadArgs),
    /// Call a function as a client
    Call(call::CallArgs),
    /// Explain why a call was answered as it was, or would be, down to the clause
    Explain(explain::Explain),
    /// Make and inspect tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Make, rotate, revoke and list API keys of clients
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Test policies and ask them
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Read, verify and prove the audit log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Say what runs are estimated to have cost, and what they would have cost elsewhere
    Cost(cost::CostArgs),
    /// Write a script that completes this command line in a shell
    Completions(completions::CompletionsArgs),
    /// Write manual pages
    Man(man::ManArgs),
}

/// How a command ends. The numbers are a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It was tried and failed.
    Failed = 1,
    /// Policy said no.
    Denied = 2,
    /// The input or the command line is invalid.
    Invalid = 3,
    /// A change would grant something new.
    Widens = 4,
}

/// How output is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; everything else is a mistake.
            let exit = if error.use_stderr() { Exit::Invalid } else { Exit::Ok };
            let _ = error.print();
            return exit.into();
        }
    };
    let (mut out, mut talk) = (io::stdout(), io::stderr());
    run(cli.command, &mut out, &mut talk).into()
}

/// Runs one command; data goes to `out`, talk to `talk`.
pub fn run(command: Command, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    match command {
        Command::Quickstart(args) => quickstart::run(&args, out, talk),
        Command::Init(args) => written(init::run(&args, out, talk)),
        Command::Check(args) => written(check::run(&args, &build::findings, out, talk)),
        Command::Run(args) => run::run(&args, out, talk),
        Command::Reload(args) => reload::run(&args, out, talk),
        Command::Call(args) => call::run(&args, out, talk),
        Command::Explain(args) => explain::run(&args, out, talk),
        Command::Token(command) => token::run(&command, out, talk),
        Command::Key(command) => key::run(&command, out, talk),
        Command::Cost(args) => cost::run(&args, out, talk),
        Command::Completions(args) => written(completions::run(&args, out)),
        Command::Man(args) => written(man::run(&args, out, talk)),
        Command::Policy(command) => policy::run(&command, out, talk),
        Command::Audit(command) => audit::run(&command, out, talk),
    }
}

/// A reader that goes away early ends the command, not in order.
pub(crate) fn written(done: io::Result<Exit>) -> Exit {
    done.unwrap_or(Exit::Failed)
}

/// Loads a configuration, or says what is wrong with it.
///
/// # Errors
/// [`Exit::Invalid`], after the findings were written.
pub(crate) fn loaded(file: &Path, talk: &mut dyn Write) -> Result<load::Loaded, Exit> {
    load::load(file).map_err(|findings| findings_told(&findings, talk))
}

/// Writes findings and answers with the exit that they deserve.
pub(crate) fn findings_told(findings: &[Finding], talk: &mut dyn Write) -> Exit {
    for finding in findings {
        tell(talk, format_args!("{finding}"));
    }
    Exit::Invalid
}

/// Writes a line; a reader that has gone away is no failure of ours.
pub(crate) fn tell(out: &mut dyn Write, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Fewest threads that run calls: one may be held by a disk, as long as a write to it takes.
const WORKERS_MIN: usize = 2;

/// A runtime for a command that waits.
pub(crate) fn runtime(talk: &mut dyn Write) -> Result<tokio::runtime::Runtime, Exit> {
    let workers = std::thread::available_parallelism().map_or(WORKERS_MIN, |cores| cores.get().max(WORKERS_MIN));
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().map_err(|error| {
        tell(talk, format_args!("latchwork: no threads can be started: {error}"));
        Exit::Failed
    })
}

/// The variable that holds the token of whoever administers, where the interface asks for one.
pub(crate) const TOKEN_VARIABLE: &str = "LATCHWORK_ADMIN_TOKEN";

/// Where the configuration is, unless said otherwise.
pub(crate) fn default_config() -> PathBuf {
    "latchwork.toml".into()
}
