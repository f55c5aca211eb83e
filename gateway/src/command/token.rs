//! `latchwork token`: makes development tokens, and explains without any network why a token would be refused.

mod inspect;
mod mint;
#[cfg(test)]
mod tests;

pub use self::{
    inspect::{InspectArgs, inspect},
    mint::{MintArgs, mint},
};

use super::Exit;
use crate::{config::Config, dev::DevError};
use jiff::Timestamp;
use std::{io, path::PathBuf};

/// `latchwork token …`
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a token of the development issuer
    Mint {
        /// Configuration that says whom the token is for
        #[arg(short, long)]
        config: Option<PathBuf>,
        /// What the token is to say.
        #[command(flatten)]
        args: MintArgs,
    },
    /// Explain why a token would be accepted or refused
    Inspect {
        /// Configuration that says who is trusted
        #[arg(short, long, default_value_os_t = super::default_config())]
        config: PathBuf,
        /// What to inspect.
        #[command(flatten)]
        args: InspectArgs,
    },
}

/// How a command about tokens ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenExit {
    /// Minted, or the token would be accepted.
    Done,
    /// The token would be refused.
    Refused,
    /// Whether it would be accepted depends on keys that are not here.
    Unknown,
}

/// How the output is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// Why a command about tokens can't be carried out.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The node is in production.
    #[error("`node.production` is true: tokens are made by the issuers, not by hand")]
    Production,
    /// No issuer of the configuration is the development issuer.
    #[error("no issuer has `development = true`; only such an issuer's tokens can be made by hand")]
    NoDevelopmentIssuer,
    /// Several are.
    #[error("several issuers have `development = true`; choose one with --issuer")]
    SeveralDevelopmentIssuers,
    /// The one that was named is not, or is not there.
    #[error("`{0}` is not an issuer with `development = true`")]
    NotDevelopment(String),
    /// There is nothing in the folder.
    #[error("there is no development issuer in `{}`; `latchwork run` makes one", .0.display())]
    NoFolder(PathBuf),
    /// Neither a configuration nor an audience says whom the token is for.
    #[error("an audience is needed: --audience")]
    NoAudience,
    /// The claim is not `NAME=VALUE`.
    #[error("`{0}` is not NAME=VALUE")]
    Claim(String),
    /// The development issuer can't be used.
    #[error(transparent)]
    Dev(#[from] DevError),
    /// A file can't be read.
    #[error("can't read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The output can't be written.
    #[error("can't write the answer")]
    Write(#[source] io::Error),
}

impl TokenExit {
    /// The code for the shell.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Unknown => 3,
        }
    }
}

/// Runs a command about tokens.
pub fn run(command: &TokenCommand, out: &mut dyn io::Write, talk: &mut dyn io::Write) -> Exit {
    let done = match command {
        TokenCommand::Mint { config, args } => {
            // A folder alone is enough to mint; a configuration says for whom.
            let wanted = config.clone().or_else(|| args.dir.is_none().then(super::default_config));
            let config = wanted.map(|file| super::loaded(&file, talk));
            match config.transpose() {
                Ok(loaded) => mint(args, loaded.as_ref().map(|l| &l.config), Timestamp::now(), out),
                Err(exit) => return exit,
            }
        }
        TokenCommand::Inspect { config, args } => match super::loaded(config, talk) {
            Ok(loaded) => inspect(args, &loaded.config, Timestamp::now(), &mut io::stdin().lock(), out),
            Err(exit) => return exit,
        },
    };
    match done {
        Ok(TokenExit::Done) => Exit::Ok,
        Ok(TokenExit::Refused) => Exit::Failed,
        Ok(TokenExit::Unknown) => Exit::Invalid,
        Err(error) => {
            super::tell(talk, format_args!("latchwork: {error}"));
            Exit::Invalid
        }
    }
}

/// The folder of the development issuer: as said, or beside the configuration.
fn folder(said: Option<&PathBuf>, config: Option<&Config>) -> PathBuf {
    let beside = |config: &Config| config.directory.join(crate::dev::FOLDER);
    said.cloned().or_else(|| config.map(beside)).unwrap_or_else(|| crate::dev::FOLDER.into())
}
