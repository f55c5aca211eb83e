//! `latchwork policy check`: strict validation and lints.

use crate::command::{Exit, Format, default_config, loaded, written};
use jiff::Timestamp;
use policy::{
    command::check::{Strictness, check, lints},
    lint::Unproven,
};
use std::{io::Write, path::PathBuf, sync::Arc};

/// `latchwork policy check`
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Print every lint with its reason, and check nothing
    #[arg(long)]
    lints: bool,
}

pub(super) fn run(args: &CheckArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    if args.lints {
        return written(lints(args.format.into(), out).map(Exit::from));
    }
    let loaded = match loaded(&args.config, talk) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let declared = Arc::new(loaded.config.declared());
    let strictness = if args.deny_warnings { Strictness::Warnings } else { Strictness::Errors };
    let how = (strictness, args.format.into());
    let said = (&Unproven as _, loaded.warnings);
    written(check(loaded.policies, &declared, Timestamp::now(), said, how, out).map(Exit::from))
}
