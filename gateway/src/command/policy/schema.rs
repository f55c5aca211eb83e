//! `latchwork policy schema`: the vocabulary for editors.

use crate::command::{Exit, Format, default_config, loaded, written};
use std::{io::Write, path::PathBuf};

/// `latchwork policy schema`
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// One function beside the base, instead of all
    #[arg(long)]
    function: Option<String>,
    /// Cedar's own text, or its JSON form
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &SchemaArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let loaded = match loaded(&args.config, talk) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let (function, format) = (args.function.as_deref(), args.format.into());
    written(policy::command::schema::schema(&loaded.config.declared(), function, format, (out, talk)).map(Exit::from))
}
