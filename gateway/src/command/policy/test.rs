//! `latchwork policy test`: opens the files; the work is the policy crate's.

use crate::command::{Exit, Format, default_config, loaded, tell, written};
use jiff::Timestamp;
use policy::command::test::{Wanted, test};
use std::{fs, io::Write, path::PathBuf, sync::Arc};

/// `latchwork policy test`
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Only cases whose names contain this
    #[arg(value_name = "NAME")]
    filter: Option<String>,
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Fail below this coverage, in per cent: of policies that decide a case, and of conditions seen true and seen false
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Write JUnit XML besides
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &TestArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let loaded = match loaded(&args.config, talk) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let declared = (Arc::new(loaded.config.declared()), Timestamp::now());
    let wanted = Wanted { filter: args.filter.as_deref(), coverage_min: args.min_coverage, format: args.format.into() };
    let mut junit = Vec::new();
    let kept: Option<&mut dyn Write> = if args.junit.is_some() { Some(&mut junit) } else { None };
    let exit = written(test(&loaded.policies, &loaded.cases, declared, wanted, out, kept).map(Exit::from));
    if let Some(path) = &args.junit
        && let Err(error) = fs::write(path, &junit)
    {
        tell(talk, format_args!("error: `{}` can't be written: {error}", path.display()));
        return Exit::Failed;
    }
    exit
}
