//! `latchwork audit detect`: what the detectors find in a log that is there, for trying thresholds before they count.

use crate::{
    audit::{
        detect::{
            Detectors, Told,
            finding::{Detector, Finding},
            sight::Sight,
        },
        query::{Problem, Records, What},
    },
    command::{Exit, Format, audit::line::printable, default_config, loaded},
    config::detect::Detect,
};
use jiff::Timestamp;
use serde_json::json;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Most problems of a log that are told one by one.
const PROBLEMS_MAX: u64 = 10;

/// `latchwork audit detect`
#[derive(Debug, Clone, clap::Args)]
pub struct DetectArgs {
    /// Configuration with the thresholds (`[audit.detect]`), whether they are on or not
    #[arg(short, long, value_name = "FILE", default_value_os_t = default_config())]
    config: PathBuf,
    /// Folder of a node's audit log, instead of the configured one
    #[arg(long, value_name = "FOLDER")]
    audit: Option<PathBuf>,
    /// Show what was found from this instant on; what is usual is learned from all that was before
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Read until this instant
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// How to write what was found: with `json`, one object per line and a last one that counts
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What was read.
#[derive(Default)]
struct Read {
    records: u64,
    problems: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    found: BTreeMap<Detector, u64>,
}

/// Runs the detectors over a log: 0 when nothing is found, 1 when something is, 3 when it can't be read.
pub fn run(args: &DetectArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let config = match loaded(&args.config, talk) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    let folder = args.audit.clone().unwrap_or_else(|| config.audit.path.join(&*config.node.id));
    match detect(args, &folder, &config.audit.detect, out, talk) {
        Ok(0) => Exit::Ok,
        Ok(_) => Exit::Failed,
        Err(error) => {
            // If that can't be said either, the exit code says it.
            let _ = writeln!(talk, "error: the audit log in `{}` can't be read: {error}", folder.display());
            Exit::Invalid
        }
    }
}

fn detect(
    args: &DetectArgs,
    folder: &Path,
    config: &Detect,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<u64> {
    let mut detectors = Detectors::new(config.clone());
    let (mut read, mut told) = (Read::default(), Vec::new());
    for found in Records::of_node(folder)? {
        let seen = found.and_then(|line| {
            if args.until.is_some_and(|until| line.head.at > until) {
                return Ok(None);
            }
            let malformed = |error: serde_json::Error| Problem {
                file: line.file.clone(),
                line: Some(line.line),
                what: What::Malformed(error.to_string()),
            };
            detectors.see(&Sight::of(&line).map_err(malformed)?, &mut told);
            Ok(Some(line.head.at))
        });
        match seen {
            Ok(None) => continue,
            Ok(Some(at)) => {
                read.records += 1;
                read.first.get_or_insert(at);
                read.last = Some(at);
                for told in told.drain(..) {
                    if let Told::One(finding) | Told::More(finding) = told
                        && args.from.is_none_or(|from| at >= from)
                    {
                        *read.found.entry(finding.detector).or_default() += 1;
                        show(&finding, at, args.format, out)?;
                    }
                }
            }
            Err(problem) => {
                read.problems += 1;
                if read.problems <= PROBLEMS_MAX {
                    writeln!(talk, "warning: {problem}")?;
                }
            }
        }
    }
    sum(&read, &detectors, args.format, out)?;
    Ok(read.found.values().sum())
}

fn show(finding: &Finding, at: Timestamp, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => writeln!(out, "{}", json!({ "at": format!("{at:.6}"), "finding": finding })),
        Format::Human => {
            let (detector, text) = (finding.detector.as_str(), printable(&finding.to_string()));
            let call = finding.of_call.map(|call| format!("  call {call}")).unwrap_or_default();
            writeln!(out, "{at:.3}  {detector:<13}  {text}{call}")
        }
    }
}

fn sum(read: &Read, detectors: &Detectors, format: Format, out: &mut dyn Write) -> io::Result<()> {
    let Read { records, problems, found, .. } = read;
    let (unjudged, forgotten) = (detectors.unjudged(), detectors.forgotten());
    if format == Format::Json {
        let from = read.first.map(|at| format!("{at:.6}"));
        let to = read.last.map(|at| format!("{at:.6}"));
        let sum = json!({
            "records": records, "from": from, "to": to, "problems": problems, "found": found, "unjudged": unjudged,
            "forgotten": forgotten,
        });
        return writeln!(out, "{sum}");
    }
    let times = read.first.zip(read.last).map(|(first, last)| format!(", {first:.0} to {last:.0}")).unwrap_or_default();
    let total: u64 = found.values().sum();
    let by: Vec<_> = found.iter().map(|(detector, count)| format!("{} {count}", detector.as_str())).collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    writeln!(out, "{total} findings{by} in {records} records{times}")?;
    for (detector, whys) in unjudged {
        for (why, count) in whys {
            writeln!(out, "note: {} could not judge {count} records: {}", detector.as_str(), why.words())?;
        }
    }
    if forgotten > 0 {
        writeln!(out, "note: {forgotten} callers, functions and networks were forgotten for want of room")?;
    }
    Ok(())
}
