//! `latchwork explain`: why a call was answered as it was, from its records.

use super::{Exit, Format};
use crate::audit::{
    query::{self, Line, Problem, Records},
    record::{Body, Kind},
};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

mod story;
#[cfg(test)]
mod tests;

/// Most records of one call that are shown.
const RECORDS_MAX: usize = 1000;

/// `latchwork explain`
#[derive(Clone, Debug, clap::Args)]
pub struct Explain {
    /// The call's id, as the answer's `latchwork-call-id` said it.
    #[arg(value_name = "CALL-ID", required_unless_present = "last", conflicts_with = "last")]
    pub call: Option<String>,
    /// The newest call.
    #[arg(long)]
    pub last: bool,
    /// Configuration that names the audit folder and the node.
    #[arg(short, long, value_name = "FILE", default_value = "latchwork.toml")]
    pub config: PathBuf,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs `explain` over the records of a node; `talk` hears what is wrong.
pub fn explain(args: &Explain, audit: &Path, node: &str, (out, talk): (&mut dyn Write, &mut dyn Write)) -> Exit {
    let (exit, error) = match run(args, &audit.join(node), out, talk) {
        Ok(()) => return Exit::Ok,
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::Ok,
        Err(error @ Error::NotACall(_)) => (Exit::Invalid, error.to_string()),
        Err(error @ (Error::Unknown(_) | Error::NoCall)) => (Exit::Failed, error.to_string()),
        Err(Error::Io(error)) => {
            (Exit::Failed, format!("the audit log of `{node}` in `{}` can't be read: {error}", audit.display()))
        }
    };
    // If that can't be said either, the exit code says it.
    let _ = writeln!(talk, "error: {error}");
    exit
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("`{0}` is not a call id; one is like `0191e0a4-7b1c-7e52-b3ce-0c6c1b7c9a50`")]
    NotACall(String),
    #[error("the audit log has no record of call {0}")]
    Unknown(Uuid),
    #[error("the audit log has no call yet")]
    NoCall,
    #[error("{0}")]
    Io(#[from] io::Error),
}

fn run(args: &Explain, folder: &Path, out: &mut dyn Write, talk: &mut dyn Write) -> Result<(), Error> {
    let call = match &args.call {
        Some(text) => Uuid::try_parse(text).map_err(|_| Error::NotACall(text.chars().take(64).collect()))?,
        None => last(folder)?.ok_or(Error::NoCall)?,
    };
    let mut records = Vec::new();
    for found in Records::of_node(folder)?.containing(&call.to_string()) {
        match found.and_then(|line| line.body().map(|body| (line, body))) {
            Ok((line, body)) if line.head.call == Some(call) && records.len() < RECORDS_MAX => {
                records.push((line, body));
            }
            Ok(_) => {}
            Err(problem) => warn(&problem, talk)?,
        }
    }
    if records.is_empty() {
        return Err(Error::Unknown(call));
    }
    match args.format {
        Format::Human => story::human(call, &records, out)?,
        Format::Json => story::json(call, &records, out)?,
    }
    out.flush()?;
    Ok(())
}

fn warn(problem: &Problem, talk: &mut dyn Write) -> io::Result<()> {
    writeln!(talk, "warning: {problem}")
}

/// A record with what it says.
type Record = (Line, Body);

/// The newest call of a node: the newest `intent` or `refused` by time, in the newest segment that has one.
fn last(folder: &Path) -> io::Result<Option<Uuid>> {
    for source in query::sources(folder)?.into_iter().rev() {
        let begins = |line: &Line| matches!(line.head.kind, Kind::Intent | Kind::Refused);
        let lines = Records::of_sources(vec![source]).filter_map(Result::ok).filter(begins);
        if let Some(line) = lines.max_by_key(|line| (line.head.at, line.head.seq)) {
            return Ok(line.head.call);
        }
    }
    Ok(None)
}
