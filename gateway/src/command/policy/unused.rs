//! `latchwork policy unused`: reads the log, and prints which grants nobody used.

use super::{bundle::Bundle, records, replay};
use crate::command::{Exit, Format, default_config, findings_told, tell, written};
use jiff::Timestamp;
use policy::{bundle::load, usage::Usage};
use std::{io::Write, path::PathBuf, sync::Arc};

/// `latchwork policy unused`
#[derive(Debug, clap::Args)]
pub struct UnusedArgs {
    /// Configuration that names policies and audit log
    #[arg(short, long, value_name = "FILE", default_value_os_t = default_config())]
    config: PathBuf,
    /// Folder of a node's audit log, instead of the configured one
    #[arg(long, value_name = "FOLDER")]
    audit: Option<PathBuf>,
    /// Days of records from which on a grant counts as never used
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(i64).range(0..=36500))]
    min_days: i64,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &UnusedArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let bundle = match Bundle::open(&args.config, &args.config, talk) {
        Ok(bundle) => bundle,
        Err(exit) => return exit,
    };
    let snapshot = match load(&bundle.policies, Arc::clone(&bundle.declared), Timestamp::now()) {
        Ok((snapshot, _)) => snapshot,
        Err(findings) => return findings_told(&findings, talk),
    };
    let folder = match replay::folder(args.audit.as_deref(), &args.config, talk) {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    match records::fold(&folder, talk, |usage: &mut Usage, recorded| usage.add(&recorded), Usage::merge) {
        Ok((usage, _)) => {
            let shown = policy::command::unused::unused(&usage, &snapshot, args.min_days, args.format.into(), out);
            written(shown.map(Exit::from))
        }
        Err(error) => {
            tell(talk, format_args!("error: the audit log in `{}` can't be read: {error}", folder.display()));
            Exit::Failed
        }
    }
}
