//! `latchwork audit verify`: checks logs, or proofs, from outside. It needs no configuration.

use crate::{
    audit::{
        checkpoint::{Checkpoint, Notes, Untrusted},
        note::VerifierKey,
        proof::{self, Proof},
        verify::{
            self, Held,
            report::{Report, Retired},
        },
    },
    command::{Exit, Format, tell},
};
use serde_json::json;
use std::{
    fs::{self, File},
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
};

/// Largest file of proofs, in bytes.
const PROOFS_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Largest file of keys, in bytes.
const KEYS_BYTES_MAX: u64 = 64 * 1024;

/// `latchwork audit verify`
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    /// Folders of logs: an audit folder, the folder of a node, or of one incarnation
    #[arg(value_name = "FOLDER", required_unless_present = "proof")]
    folders: Vec<PathBuf>,
    /// Public key of the log: NAME+ID+KEY, or a file of such lines. Take it from where you trust it, not from the log
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<String>,
    /// Public key of a witness, likewise
    #[arg(long = "witness-key", value_name = "KEY")]
    witness_keys: Vec<String>,
    /// A file of checkpoints that you kept: the log must still be what they say
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// A file of proofs, as `audit prove` writes them, instead of a log
    #[arg(long, value_name = "FILE", conflicts_with_all = ["folders", "checkpoints"])]
    proof: Option<PathBuf>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Something that was given can't be used.
struct Unusable(String);

/// Verifies logs or proofs.
pub fn run(args: &VerifyArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let done = keys(&args.keys, &args.witness_keys).and_then(|keys| match &args.proof {
        Some(file) => proofs(file, &keys, args.format, out),
        None => logs(args, &keys, out),
    });
    done.unwrap_or_else(|Unusable(problem)| {
        tell(talk, format_args!("latchwork: {problem}"));
        Exit::Invalid
    })
}

fn logs(args: &VerifyArgs, keys: &[VerifierKey], out: &mut dyn Write) -> Result<Exit, Unusable> {
    let mut held = Vec::new();
    let mut forged = Vec::new();
    for file in &args.checkpoints {
        kept(file, keys, &mut held, &mut forged)?;
    }
    let unreadable = |error: io::Error| {
        let folders: Vec<_> = args.folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
        Unusable(format!("{} can't be verified: {error}", folders.join(", ")))
    };
    let mut report = verify::verify(&args.folders, keys, &held).map_err(unreadable)?;
    for (file, error) in forged {
        report.refuse(&file, error.to_string());
    }
    match args.format {
        Format::Json => tell(out, format_args!("{}", serde_json::to_string(&report).unwrap_or_default())),
        Format::Human => shown(&report, out),
    }
    Ok(if report.ok { Exit::Ok } else { Exit::Failed })
}

/// The checkpoints of a file that somebody kept.
fn kept(
    file: &Path,
    keys: &[VerifierKey],
    held: &mut Vec<Held>,
    forged: &mut Vec<(PathBuf, Untrusted)>,
) -> Result<(), Unusable> {
    let unreadable = |error: io::Error| Unusable(format!("`{}` can't be read: {error}", file.display()));
    let before = held.len() + forged.len();
    for found in Notes::new(BufReader::new(File::open(file).map_err(unreadable)?)) {
        let found = found.map_err(unreadable)?;
        let none = || Unusable(format!("`{}`:{}: this is no checkpoint", file.display(), found.line));
        match Checkpoint::open(found.note.as_ref().ok_or_else(none)?, keys) {
            Ok(checkpoint) => held.push(Held { file: file.to_owned(), head: checkpoint.head }),
            Err(Untrusted::Malformed) => return Err(none()),
            Err(error) => forged.push((file.to_owned(), error)),
        }
    }
    let empty = held.len() + forged.len() == before;
    if empty { Err(Unusable(format!("`{}` has no checkpoint", file.display()))) } else { Ok(()) }
}

fn shown(report: &Report, out: &mut dyn Write) {
    for log in &report.logs {
        let state = if log.ended { "ended" } else { "open" };
        let times = match (log.first, log.last) {
            (Some(first), Some(last)) => format!(", {first:.3} to {last:.3}"),
            _ => String::new(),
        };
        let (node, incarnation, records, proved) = (&log.node, log.incarnation, log.records, log.proved);
        tell(out, format_args!("{node}/{incarnation}: {proved} of {records} records proved, {state}{times}"));
        retired(&log.retired, out);
        if log.witnessed > 0 {
            tell(out, format_args!("  a witness signed the first {}", log.witnessed));
        }
    }
    for note in &report.notes {
        tell(out, format_args!("note: {note}"));
    }
    for problem in &report.problems {
        tell(out, format_args!("PROBLEM: {problem}"));
    }
    if report.problems_left_out > 0 {
        tell(out, format_args!("PROBLEM: {} more are not listed", report.problems_left_out));
    }
    let (proved, records) = (report.proved, report.records);
    let result = if report.ok { "ok" } else { "FAILED" };
    let retired = if report.retired > 0 { format!(", {} more were retired", report.retired) } else { String::new() };
    tell(out, format_args!("{result}: {proved} of {records} records proved{retired}"));
}

/// What was retired, runs of it by one rule together.
fn retired(retired: &[Retired], out: &mut dyn Write) {
    let runs = retired.chunk_by(|one, next| one.rule == next.rule && one.last + 1 == next.first);
    for run in runs {
        let (Some(begin), Some(end)) = (run.first(), run.last()) else { continue };
        let (first, last, rule, from, to, at) = (begin.first, end.last, &begin.rule, begin.from, end.to, end.at);
        let tombstone = begin.tombstone.display();
        let more = match run.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        tell(
            out,
            format_args!("  records {first} to {last} ({from:.0} to {to:.0}) were retired until {at:.0}: {rule}"),
        );
        tell(out, format_args!("    says the tombstone `{tombstone}`{more}"));
    }
}

fn proofs(file: &Path, keys: &[VerifierKey], format: Format, out: &mut dyn Write) -> Result<Exit, Unusable> {
    let text = read(file, PROOFS_BYTES_MAX)?;
    let mut exit = Exit::Ok;
    let mut shown = Vec::new();
    for (number, text) in proof::split(&text).into_iter().enumerate() {
        let number = number + 1;
        match Proof::parse(text).and_then(|proof| proof.verify(keys).map(|found| (proof, found))) {
            Ok((proof, (checkpoint, head))) => {
                let record = String::from_utf8_lossy(&proof.record).into_owned();
                let (index, size, origin) = (proof.index, checkpoint.head.size, checkpoint.head.origin);
                let witnesses: Vec<_> = checkpoint.witnesses.iter().map(|(name, _)| name).collect();
                match format {
                    Format::Human => {
                        let (kind, at) = (head.kind.as_str(), head.at);
                        tell(out, format_args!("proved: `{kind}` of {at:.3}, record {index} of {size} in {origin}"));
                        tell(out, format_args!("  {}", super::line::printable(&record)));
                    }
                    Format::Json => shown.push(json!({
                        "ok": true, "origin": origin, "index": index, "size": size, "witnesses": witnesses, "record": record,
                    })),
                }
            }
            Err(error) => {
                exit = Exit::Failed;
                match format {
                    Format::Human => tell(out, format_args!("PROBLEM: `{}`: proof {number}: {error}", file.display())),
                    Format::Json => shown.push(json!({ "ok": false, "error": error.to_string() })),
                }
            }
        }
    }
    if format == Format::Json {
        tell(out, format_args!("{}", json!({ "ok": exit == Exit::Ok, "proofs": shown })));
    }
    Ok(exit)
}

/// Keys as they are written, or from files.
fn keys(logs: &[String], witnesses: &[String]) -> Result<Vec<VerifierKey>, Unusable> {
    let mut keys = Vec::new();
    for written in logs.iter().chain(witnesses) {
        if Path::new(written).is_file() {
            let text = read(Path::new(written), KEYS_BYTES_MAX)?;
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let key = line.parse().map_err(|error| Unusable(format!("`{written}`: {error}")))?;
                keys.push(key);
            }
        } else {
            keys.push(written.parse().map_err(|error| Unusable(format!("{error}")))?);
        }
    }
    if keys.is_empty() { Err(Unusable("the files of keys have none".to_owned())) } else { Ok(keys) }
}

fn read(file: &Path, bytes_max: u64) -> Result<String, Unusable> {
    let unreadable = |error: io::Error| Unusable(format!("`{}` can't be read: {error}", file.display()));
    if fs::metadata(file).map_err(unreadable)?.len() > bytes_max {
        return Err(Unusable(format!("`{}` has more than {bytes_max} bytes", file.display())));
    }
    fs::read_to_string(file).map_err(unreadable)
}
