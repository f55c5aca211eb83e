//! `latchwork audit export`: records, as they are or in the form that another system takes.

use crate::{
    audit::{
        export::{
            self, Exported, Form, Lines,
            cloud_event::CloudEvents,
            filter::{self, Filter},
            ocsf::Ocsf,
            place::Unfinished,
        },
        query::{self, Problem, Records},
        tombstone,
    },
    command::{Exit, default_config, loaded, tell},
};
use jiff::Timestamp;
use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// `latchwork audit export`
#[derive(Debug, Clone, clap::Args)]
pub struct ExportArgs {
    /// Configuration that names the audit folder and the node
    #[arg(short, long, value_name = "FILE", default_value_os_t = default_config())]
    config: PathBuf,
    /// Folder of a node's log, instead of the one that the configuration names
    #[arg(long, value_name = "FOLDER", conflicts_with = "config")]
    log: Option<PathBuf>,
    /// From this time on: `2026-11-28T08:00:00Z`, a day, or how long ago, such as `24h`
    #[arg(long, value_name = "TIME", value_parser = filter::time)]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = filter::time)]
    until: Option<Timestamp>,
    /// Only calls of this function
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Only calls of this caller, such as `corp/ada`
    #[arg(long, value_name = "ID")]
    caller: Option<String>,
    /// Only calls that ended so: `completed`, `failed`, `timed_out`, `abandoned`, `revoked`, `refused`, or the word of a
    /// refusal
    #[arg(long, value_name = "WORD")]
    outcome: Option<String>,
    /// The form
    #[arg(long, value_enum, default_value_t)]
    format: ExportFormat,
    /// File, which has this name only once it is whole; standard output unless given
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Pass over what is damaged in the log, and fail only at the end
    #[arg(long)]
    skip_damaged: bool,
}

/// A form in which records are exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum ExportFormat {
    /// The records themselves, byte by byte
    #[default]
    Jsonl,
    /// OCSF API Activity, one event per call, as JSON lines
    Ocsf,
    /// CloudEvents 1.0 in JSON, one event per record and line
    Cloudevents,
    /// Apache Parquet, one row per record; only in a build with the feature `parquet`
    Parquet,
}

/// Where it goes.
enum Out<'a> {
    Stream(BufWriter<&'a mut dyn Write>),
    File(&'a mut Unfinished),
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(out) => out.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// Exports records.
pub fn run(args: &ExportArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let folder = match &args.log {
        Some(folder) => folder.clone(),
        None => match loaded(&args.config, talk) {
            Ok(loaded) => loaded.config.audit.path.join(&*loaded.config.node.id),
            Err(exit) => return exit,
        },
    };
    if args.format == ExportFormat::Parquet && !cfg!(feature = "parquet") {
        tell(
            talk,
            format_args!("latchwork: this build writes no Parquet: `cargo build --release --features parquet` does"),
        );
        return Exit::Invalid;
    }
    let mut problems = 0;
    let done = match &args.out {
        Some(name) => to_file(args, &folder, name, &mut problems, talk),
        None if args.format == ExportFormat::Parquet => {
            tell(talk, format_args!("latchwork: Parquet is written to a file: `--out FILE`"));
            return Exit::Invalid;
        }
        None => written(args, &folder, Out::Stream(BufWriter::new(out)), &mut problems, talk),
    };
    match done {
        Ok(exported) => said(args, exported, problems, talk),
        Err(error) => {
            tell(talk, format_args!("latchwork: the log in `{}` is not exported: {error}", folder.display()));
            Exit::Failed
        }
    }
}

fn to_file(
    args: &ExportArgs,
    folder: &Path,
    name: &Path,
    problems: &mut u64,
    talk: &mut dyn Write,
) -> io::Result<Exported> {
    let at = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", name.display()));
    let mut file = Unfinished::begin(name).map_err(at)?;
    let exported = written(args, folder, Out::File(&mut file), problems, talk)?;
    file.keep().map_err(at)?;
    Ok(exported)
}

fn written(
    args: &ExportArgs,
    folder: &Path,
    out: Out<'_>,
    problems: &mut u64,
    talk: &mut dyn Write,
) -> io::Result<Exported> {
    let ExportArgs { since, until, function, caller, outcome, .. } = args.clone();
    let filter = Filter { since, until, function, caller, outcome };
    let mut form: Box<dyn Form + '_> = match args.format {
        ExportFormat::Jsonl => Box::new(Lines(out)),
        ExportFormat::Ocsf => Box::new(Ocsf(out)),
        ExportFormat::Cloudevents => Box::new(CloudEvents(out)),
        ExportFormat::Parquet => parquet(out)?,
    };
    retired(folder, &filter, talk)?;
    let skip = args.skip_damaged;
    let mut problem = |problem: Problem| {
        if !skip {
            return Err(io::Error::other(format!("{problem} (`--skip-damaged` passes over it)")));
        }
        *problems += 1;
        tell(talk, format_args!("warning: {problem}"));
        Ok(())
    };
    export::export(Records::of_node(folder)?, &filter, form.as_mut(), &mut problem)
}

#[cfg(feature = "parquet")]
fn parquet<'a>(out: Out<'a>) -> io::Result<Box<dyn Form + 'a>> {
    match out {
        Out::File(file) => Ok(Box::new(export::parquet::Parquet::new(file)?)),
        Out::Stream(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(not(feature = "parquet"))]
fn parquet<'a>(_out: Out<'a>) -> io::Result<Box<dyn Form + 'a>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Says what of the time that is asked for was retired, and so is not exported.
fn retired(folder: &Path, filter: &Filter, talk: &mut dyn Write) -> io::Result<()> {
    let mut records = 0;
    for (_, directory) in query::incarnations(folder)? {
        for gone in tombstone::all(&directory)? {
            let (from, to) = gone.times;
            if filter.since.is_none_or(|since| to >= since) && filter.until.is_none_or(|until| from < until) {
                records += gone.end() - gone.first;
            }
        }
    }
    if records > 0 {
        tell(
            talk,
            format_args!(
                "note: {records} records of segments that touch this time were retired; `audit verify` says which"
            ),
        );
    }
    Ok(())
}

fn said(args: &ExportArgs, exported: Exported, problems: u64, talk: &mut dyn Write) -> Exit {
    let what = if args.format == ExportFormat::Ocsf { "events" } else { "records" };
    let Exported { written, left_out } = exported;
    if args.out.is_some() {
        tell(talk, format_args!("{written} {what} exported"));
    }
    if left_out > 0 {
        tell(
            talk,
            format_args!(
                "note: {left_out} records have no place in this form: the log's own, the shadow's, and ends of calls whose beginning is not there"
            ),
        );
    }
    if problems > 0 {
        tell(talk, format_args!("latchwork: {problems} places of the log are damaged and not exported"));
        return Exit::Failed;
    }
    Exit::Ok
}
