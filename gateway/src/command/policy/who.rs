//! `latchwork policy who-can` and `latchwork policy can`: opens the files; the work is the policy crate's.

use crate::{
    command::{Exit, Format, asked, default_config, findings_told, loaded, tell, written},
    config::load::Loaded,
};
use jiff::Timestamp;
use policy::{
    command::who::{can as can_call, who_can as who_can_call},
    engine::Snapshot,
    question::sketch,
};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// `latchwork policy who-can`
#[derive(Debug, clap::Args)]
pub struct WhoCanArgs {
    /// The function
    #[arg(value_name = "FUNCTION")]
    function: String,
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// `latchwork policy can`
#[derive(Debug, clap::Args)]
pub struct CanArgs {
    /// `User::"corp/ada"`, `corp/ada`, `spiffe://…`, `anonymous`, a client of the configuration or a caller of the cases
    #[arg(value_name = "PRINCIPAL")]
    principal: String,
    /// A group of the caller; may be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn who_can(args: &WhoCanArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let (loaded, snapshot) = match open(&args.config, talk) {
        Ok(open) => open,
        Err(exit) => return exit,
    };
    let function = match sketch::function(&args.function, &snapshot) {
        Ok(function) => function,
        Err(error) => {
            tell(talk, format_args!("error: {error}"));
            return Exit::Invalid;
        }
    };
    let known: Vec<_> = asked::known(&loaded).into_iter().collect();
    let format = args.format.into();
    written(who_can_call(&snapshot, &function, &known, Timestamp::now(), format, out).map(Exit::from))
}

pub(super) fn can(args: &CanArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let (loaded, snapshot) = match open(&args.config, talk) {
        Ok(open) => open,
        Err(exit) => return exit,
    };
    let caller = match asked::caller_in(&args.principal, &args.group, &asked::known(&loaded)) {
        Ok(caller) => caller,
        Err(error) => {
            tell(talk, format_args!("error: {error}"));
            return Exit::Invalid;
        }
    };
    let format = args.format.into();
    written(can_call(&snapshot, (&args.principal, &caller), Timestamp::now(), format, out).map(Exit::from))
}

fn open(config: &Path, talk: &mut dyn Write) -> Result<(Loaded, Snapshot), Exit> {
    let loaded = loaded(config, talk)?;
    let snapshot = asked::snapshot(&loaded).map_err(|findings| findings_told(&findings, talk))?;
    Ok((loaded, snapshot))
}
