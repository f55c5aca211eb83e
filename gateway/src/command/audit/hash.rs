//! `latchwork audit hash`: how a value that is held would stand in the log, so that it can be looked for.

use crate::{
    audit::hash::HashKey,
    command::{Exit, Format, default_config, loaded, tell},
};
use serde_json::json;
use std::{
    io::{self, Read, Write},
    path::PathBuf,
};

/// Longest value that is read from standard input, in bytes.
const VALUE_BYTES_MAX: u64 = 1 << 20;

/// `latchwork audit hash`
#[derive(Debug, Clone, clap::Args)]
pub struct HashArgs {
    /// The value (`-`: the first line of standard input, so that it is not in the list of processes)
    value: String,
    /// Configuration that names the key
    #[arg(short, long, value_name = "FILE", default_value_os_t = default_config())]
    config: PathBuf,
    /// File of the key, instead of the one that the configuration names
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Hashes a value.
pub fn run(args: &HashArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let file = match &args.key {
        Some(file) => file.clone(),
        None => match loaded(&args.config, talk).map(|loaded| loaded.config.audit.privacy.hash_key) {
            Ok(Some(file)) => file,
            Ok(None) => {
                tell(talk, format_args!("latchwork: the configuration has no `audit.hash_key`, so nothing is hashed"));
                return Exit::Invalid;
            }
            Err(exit) => return exit,
        },
    };
    let key = match HashKey::read(&file) {
        Ok(key) => key,
        Err(error) => {
            tell(talk, format_args!("latchwork: {error}"));
            return Exit::Invalid;
        }
    };
    let value = if args.value == "-" { line() } else { Ok(args.value.clone()) };
    match value {
        Ok(value) => {
            let hash = key.hash(&value);
            match args.format {
                Format::Human => tell(out, format_args!("{hash}")),
                Format::Json => tell(out, format_args!("{}", json!({ "hash": hash, "key": key.name() }))),
            }
            Exit::Ok
        }
        Err(error) => {
            tell(talk, format_args!("latchwork: the value can't be read: {error}"));
            Exit::Invalid
        }
    }
}

fn line() -> io::Result<String> {
    let mut text = String::new();
    let read = io::stdin().lock().take(VALUE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > VALUE_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {VALUE_BYTES_MAX} bytes")));
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
