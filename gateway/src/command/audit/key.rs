//! `latchwork audit key`: the key that signs the log's checkpoints, and what it is checked with.

use crate::{
    audit::signer::{FileKey, KeyError, Signer},
    command::{Exit, Format, default_config, loaded, tell},
};
use serde_json::json;
use std::{io::Write, path::PathBuf};

/// `latchwork audit key …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum KeyCommand {
    /// Make a key and show what its signatures are checked with
    New(NewArgs),
    /// Show what a key's signatures are checked with
    Show(ShowArgs),
}

/// Which key.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Configuration that names the key and the node
    #[arg(short, long, value_name = "FILE", default_value_os_t = default_config())]
    config: PathBuf,
    /// File of the key, instead of the one that the configuration names
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// `latchwork audit key new`
#[derive(Debug, Clone, clap::Args)]
pub struct NewArgs {
    /// Name of the key, which its signatures show; `latchwork/NODE` unless given
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// `latchwork audit key show`
#[derive(Debug, Clone, clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    place: Place,
}

/// Makes or shows the key.
pub fn run(command: &KeyCommand, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let (place, name) = match command {
        KeyCommand::New(args) => (&args.place, Some(&args.name)),
        KeyCommand::Show(args) => (&args.place, None),
    };
    let (file, name) = match (&place.file, name) {
        (Some(file), Some(Some(name))) => (file.clone(), Some(name.clone())),
        (Some(file), None) => (file.clone(), None),
        (file, name) => match loaded(&place.config, talk) {
            Ok(loaded) => {
                let file = file.clone().unwrap_or(loaded.config.audit.checkpoints.key);
                let own = || format!("latchwork/{}", loaded.config.node.id);
                (file, name.map(|name| name.clone().unwrap_or_else(own)))
            }
            Err(exit) => return exit,
        },
    };
    let key = match name {
        Some(name) => FileKey::create(&file, &name),
        None => FileKey::read(&file),
    };
    match key {
        Ok(key) => {
            let vkey = key.verifier_key();
            match place.format {
                Format::Human => tell(out, format_args!("{vkey}")),
                Format::Json => tell(out, format_args!("{}", json!({ "file": file, "vkey": vkey.to_string() }))),
            }
            Exit::Ok
        }
        Err(error) => {
            tell(talk, format_args!("latchwork: {error}"));
            if matches!(error, KeyError::Io { .. }) { Exit::Failed } else { Exit::Invalid }
        }
    }
}
