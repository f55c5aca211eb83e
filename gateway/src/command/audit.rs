//! `latchwork audit`: `tail`, the newest records, one line per call, as they come; the other verbs in files of theirs.

use super::{Exit, Format, loaded};
use crate::audit::{
    follow::Follower,
    query::{self as log, Line, Problem, Records, Source, What},
};
use line::Lines;
use std::{
    collections::VecDeque,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

pub mod detect;
pub mod export;
pub mod hash;
pub mod key;
pub mod line;
pub mod prove;
pub mod query;
pub(crate) mod show;
pub mod subject;
#[cfg(test)]
mod tests;
pub mod verify;

/// How often `--follow` looks for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
/// What a record takes at most, nearly always; it says how far back reading starts.
const RECORD_BYTES_USUAL: u64 = 4096;
/// Records of one call, nearly always at most.
const CALL_RECORDS_USUAL: u64 = 4;

/// `latchwork audit …`
#[derive(Debug, clap::Subcommand)]
pub enum Audit {
    /// Show the newest records, one line per call.
    Tail(Tail),
    /// Look for what is unusual in a log, with the thresholds of the configuration
    Detect(detect::DetectArgs),
    /// Find calls, count them, and report on callers, denials and functions
    Query(Box<query::QueryArgs>),
    /// Check a log from outside: that nothing in it was changed, removed, added or moved
    Verify(verify::VerifyArgs),
    /// Write the proof that the records of a call are in the log
    Prove(prove::ProveArgs),
    /// Write records for another system: as they are, or as OCSF, CloudEvents or Parquet
    Export(export::ExportArgs),
    /// Show how a value that you hold stands in the log where it is kept as a keyed hash
    Hash(hash::HashArgs),
    /// Destroy the keys of what is encrypted of a caller; the log stays as it is and still verifies
    Erase(subject::EraseArgs),
    /// Put a caller, or everything, on legal hold: it is not erased until that is lifted
    #[command(subcommand)]
    Hold(subject::HoldCommand),
    /// Decrypt what is encrypted in the records of a call, as the auditor
    Reveal(subject::RevealArgs),
    /// Make the keys of the log: the one that signs it, that of hashes, and that of its auditor
    #[command(subcommand)]
    Key(key::KeyCommand),
}

/// `latchwork audit tail`
#[derive(Clone, Debug, clap::Args)]
pub struct Tail {
    /// Configuration that names the audit folder and the node.
    #[arg(short, long, value_name = "FILE", default_value = "latchwork.toml")]
    pub config: PathBuf,
    /// Show this many lines of what is there already.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub lines: usize,
    /// Go on as records come.
    #[arg(short, long)]
    pub follow: bool,
    /// How to write them.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs a command about the audit log.
pub fn run(command: &Audit, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    match command {
        Audit::Tail(args) => match loaded(&args.config, talk) {
            Ok(l) => tail(args, &l.config.audit.path, &l.config.node.id, (out, talk), &|| false),
            Err(exit) => exit,
        },
        Audit::Detect(args) => detect::run(args, out, talk),
        Audit::Query(args) => query::run(args, out, talk),
        Audit::Verify(args) => verify::run(args, out, talk),
        Audit::Prove(args) => prove::run(args, out, talk),
        Audit::Export(args) => export::run(args, out, talk),
        Audit::Hash(args) => hash::run(args, out, talk),
        Audit::Erase(args) => subject::erase(args, out, talk),
        Audit::Hold(command) => subject::hold(command, out, talk),
        Audit::Reveal(args) => subject::reveal(args, out, talk),
        Audit::Key(command) => key::run(command, out, talk),
    }
}

/// Runs `audit tail` over the records of a node; `talk` hears of what is wrong with them.
///
/// With `--follow` it ends when `stop` says so, or when nobody reads on.
pub fn tail(
    args: &Tail,
    audit: &Path,
    node: &str,
    (out, talk): (&mut dyn Write, &mut dyn Write),
    stop: &dyn Fn() -> bool,
) -> Exit {
    match show(args, &audit.join(node), out, talk, stop) {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            // If that can't be said either, the exit code says it.
            let _ = writeln!(talk, "error: the audit log of `{node}` in `{}` can't be read: {error}", audit.display());
            Exit::Failed
        }
    }
}

fn show(
    args: &Tail,
    folder: &Path,
    out: &mut dyn Write,
    talk: &mut dyn Write,
    stop: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut shown = Shown { lines: Lines::new(jiff::tz::TimeZone::system()), format: args.format, talk };
    let (sources, bytes) = newest(folder, args.lines)?;
    let last = sources.last().cloned();
    let mut records = Records::near_end(sources, bytes)?;
    let mut kept = VecDeque::new();
    for found in &mut records {
        if let Some(text) = shown.text(found)? {
            kept.push_back(text);
            if kept.len() > args.lines {
                kept.pop_front();
            }
        }
    }
    for text in kept {
        writeln!(out, "{text}")?;
    }
    if !args.follow {
        for text in shown.lines.open() {
            writeln!(out, "{text}")?;
        }
        return out.flush();
    }
    out.flush()?;
    let mut follower = Follower::after(folder, records, last);
    while !stop() {
        let mut quiet = true;
        while let Some(found) = follower.next()? {
            quiet = false;
            if let Some(text) = shown.text(found)? {
                writeln!(out, "{text}")?;
            }
        }
        if !quiet {
            out.flush()?;
        }
        std::thread::park_timeout(FOLLOW_EVERY);
    }
    Ok(())
}

/// The newest segments that surely hold so many lines, or all, and how much of the first is needed.
fn newest(folder: &Path, lines: usize) -> io::Result<(Vec<Source>, u64)> {
    let mut sources = log::sources(folder)?;
    let wanted = (lines as u64).saturating_mul(RECORD_BYTES_USUAL * CALL_RECORDS_USUAL);
    let (mut bytes, mut before) = (0, 0);
    let mut first = sources.len();
    while first > 0 && bytes <= wanted {
        first -= 1;
        before = bytes;
        bytes += sources.get(first).map_or(0, |source| fs::metadata(&source.path).map_or(0, |file| file.len()));
    }
    Ok((sources.split_off(first), wanted.saturating_sub(before)))
}

struct Shown<'a> {
    lines: Lines,
    format: Format,
    talk: &'a mut dyn Write,
}

impl Shown<'_> {
    /// What there is to show of a record; of a problem, nothing but a word aside.
    fn text(&mut self, found: Result<Line, Problem>) -> io::Result<Option<String>> {
        let said = found.and_then(|line| match self.format {
            Format::Json => Ok(Some(String::from_utf8_lossy(&line.bytes).into_owned())),
            Format::Human => line.body().map(|body| self.lines.line(&line.head, body)),
        });
        match said {
            Ok(text) => Ok(text),
            // The writer may be in the middle of it.
            Err(Problem { what: What::Torn(_), .. }) => Ok(None),
            Err(problem) => {
                writeln!(self.talk, "warning: {problem}")?;
                Ok(None)
            }
        }
    }
}
