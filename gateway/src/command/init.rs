//! `latchwork init`: a project to start from.

use super::{Exit, Format};
use crate::{
    dev::{self, Issuer},
    scaffold::{self, ScaffoldError},
};
use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
};

/// Where to write it.
#[derive(Clone, Debug, clap::Args)]
pub struct InitArgs {
    /// A new or empty folder.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// How to write what was done.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Writes a project.
///
/// # Errors
/// Only when nothing can be written to `out` or `err`.
pub fn run(args: &InitArgs, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
    let people: [(&str, &[&str]); 2] = [("alice", &["staff"]), ("bob", &["contractors"])];
    let written = match scaffold::init(&args.directory) {
        Ok(written) => written,
        Err(error) => {
            let cause = error.source().map_or(String::new(), |source| format!(": {source}"));
            writeln!(err, "error: {error}{cause}")?;
            return Ok(match error {
                ScaffoldError::Io { .. } => Exit::Failed,
                ScaffoldError::NotEmpty(_) | ScaffoldError::NotAFolder(_) => Exit::Invalid,
            });
        }
    };
    if let Err(error) = Issuer::welcome(&args.directory.join(dev::FOLDER), "hello", &people) {
        writeln!(err, "error: {error}")?;
        return Ok(Exit::Failed);
    }
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::json!({ "written": written }))?,
        Format::Human => {
            for path in &written {
                writeln!(out, "{}", path.display())?;
            }
            let config = args.directory.join("latchwork.toml");
            writeln!(err, "next: latchwork check -c {0} && latchwork run -c {0}", config.display())?;
        }
    }
    Ok(Exit::Ok)
}
