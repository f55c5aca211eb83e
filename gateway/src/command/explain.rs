//! `latchwork explain`: why a call was answered as it was, from its records.

use super::{
    Exit, Format,
    asked::{self, Given},
    findings_told, loaded, tell, written,
};
use crate::audit::{
    index::look,
    query::{self, Line, Problem, Records},
    record::{Body, Kind},
    search,
};
use policy::{
    engine::Snapshot,
    explain::{Decision, explain as explanation, human},
};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

mod clauses;
mod story;
#[cfg(test)]
mod tests;

/// How far from the end of a segment the newest call is looked for first, in bytes.
const LAST_BYTES: u64 = 256 * 1024;
/// Most records of one call that are shown.
const RECORDS_MAX: usize = 1000;

/// `latchwork explain`
#[derive(Clone, Debug, clap::Args)]
pub struct Explain {
    /// The call's id, as the answer's `latchwork-call-id` said it.
    #[arg(value_name = "CALL-ID", required_unless_present_any = ["last", "question", "function"])]
    #[arg(conflicts_with_all = ["last", "question", "function"])]
    pub call: Option<String>,
    /// The newest call.
    #[arg(long, conflicts_with_all = ["question", "function"])]
    pub last: bool,
    /// Or a question given by hand.
    #[command(flatten)]
    pub given: Given,
    /// Configuration that names the audit folder and the node.
    #[arg(short, long, value_name = "FILE", default_value = "latchwork.toml")]
    pub config: PathBuf,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Explains a recorded call, or what today's policies answer to a question given by hand.
pub fn run(args: &Explain, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let loaded = match loaded(&args.config, talk) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let snapshot = asked::snapshot(&loaded);
    if !args.given.is_some() {
        let (audit, node) = (&loaded.config.audit.path, &loaded.config.node.id);
        if let Err(findings) = &snapshot {
            // The record speaks for itself; only the clauses need the policies.
            findings_told(findings, talk);
        }
        return explain(args, (audit, node), snapshot.as_ref().ok(), (out, talk));
    }
    let question = match snapshot.as_ref().map(|snapshot| args.given.read(snapshot, &asked::known(&loaded))) {
        Ok(Ok(question)) => question,
        Ok(Err(error)) => {
            tell(talk, format_args!("error: {error}"));
            return Exit::Invalid;
        }
        Err(findings) => return findings_told(findings, talk),
    };
    snapshot.map_or(Exit::Invalid, |snapshot| written(given(args.format, &snapshot, &question, out)))
}

/// What today's policies answer to a question.
fn given(
    format: Format,
    snapshot: &Snapshot,
    question: &policy::question::Question,
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let explained = explanation(snapshot, question);
    match format {
        Format::Human => human::write(&explained, out)?,
        Format::Json => {
            serde_json::to_writer(&mut *out, &explained)?;
            writeln!(out)?;
        }
    }
    Ok(match explained.decision {
        Decision::Allow => Exit::Ok,
        Decision::Deny => Exit::Denied,
        Decision::Unknown => Exit::Failed,
    })
}

/// Explains over the records of a node, and clause by clause if there are policies; `talk` hears what is wrong.
pub fn explain(
    args: &Explain,
    (audit, node): (&Path, &str),
    snapshot: Option<&Snapshot>,
    (out, talk): (&mut dyn Write, &mut dyn Write),
) -> Exit {
    let (exit, error) = match records(args, (audit, node), snapshot, out, talk) {
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

/// Why a call can't be explained.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("`{0}` is not a call id; one is like `0191e0a4-7b1c-7e52-b3ce-0c6c1b7c9a50`")]
    NotACall(String),
    #[error("the audit log has no record of call {0}")]
    Unknown(Uuid),
    #[error("the audit log has no call yet")]
    NoCall,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Error {
    /// How a command ends with it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::NotACall(_) => Exit::Invalid,
            Self::Unknown(_) | Self::NoCall | Self::Io(_) => Exit::Failed,
        }
    }
}

fn records(
    args: &Explain,
    log: (&Path, &str),
    snapshot: Option<&Snapshot>,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> Result<(), Error> {
    let (call, records) = found(args.call.as_deref(), log, talk)?;
    let clauses = snapshot.map(|snapshot| clauses::of(&records, snapshot));
    match args.format {
        Format::Human => {
            story::human(call, &records, out)?;
            if let Some(clauses) = clauses {
                clauses.human(out)?;
            }
        }
        Format::Json => story::json(call, &records, clauses.as_ref(), out)?,
    }
    out.flush()?;
    Ok(())
}

/// The records of a call, or of the newest one of a node, from the logs of all nodes in the audit folder.
pub(super) fn found(
    call: Option<&str>,
    (audit, node): (&Path, &str),
    talk: &mut dyn Write,
) -> Result<(Uuid, Vec<Record>), Error> {
    let call = match call {
        Some(text) => Uuid::try_parse(text).map_err(|_| Error::NotACall(text.chars().take(64).collect()))?,
        None => last(&audit.join(node))?.ok_or(Error::NoCall)?,
    };
    let nodes: Vec<PathBuf> = match search::nodes(audit) {
        Ok(nodes) => nodes.into_iter().map(|node| node.folder).collect(),
        // A log in which nobody has written yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![audit.join(node)],
        Err(error) => return Err(error.into()),
    };
    let mut records: Vec<Record> = Vec::new();
    for found in look::in_nodes(&nodes, call)? {
        match found.and_then(|line| line.body().map(|body| (line, body))) {
            Ok(record) if records.len() < RECORDS_MAX => records.push(record),
            Ok(_) => {}
            Err(problem) => warn(&problem, talk)?,
        }
    }
    if records.iter().any(|(line, _)| records.first().is_some_and(|(first, _)| first.head.node != line.head.node)) {
        // Each node tells in order; between them there are only their clocks.
        records.sort_by_key(|(line, _)| line.head.at);
    }
    // What the shadow says may be in the log before the decision that it is about.
    let begins = records.iter().position(|(line, _)| matches!(line.head.kind, Kind::Intent | Kind::Refused));
    if let Some(before) = begins.and_then(|begins| records.get_mut(..=begins)) {
        before.rotate_right(1);
    }
    if records.is_empty() { Err(Error::Unknown(call)) } else { Ok((call, records)) }
}

fn warn(problem: &Problem, talk: &mut dyn Write) -> io::Result<()> {
    writeln!(talk, "warning: {problem}")
}

/// A record with what it says.
pub(super) type Record = (Line, Body);

/// The newest call of a node: the newest `intent` or `refused` by time, in the newest segment that has one.
fn last(folder: &Path) -> io::Result<Option<Uuid>> {
    for source in query::sources(folder)?.into_iter().rev() {
        let length = source.path.metadata().map_or(u64::MAX, |file| file.len());
        let mut wanted = LAST_BYTES;
        loop {
            let begins = |line: &Line| matches!(line.head.kind, Kind::Intent | Kind::Refused);
            let lines = Records::near_end(vec![source.clone()], wanted)?.filter_map(Result::ok).filter(begins);
            if let Some(line) = lines.max_by_key(|line| (line.head.at, line.head.seq)) {
                return Ok(line.head.call);
            }
            if wanted >= length {
                break;
            }
            wanted = wanted.saturating_mul(16);
        }
    }
    Ok(None)
}
