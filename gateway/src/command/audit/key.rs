//! `latchwork audit key`: the key that signs the log's checkpoints, that of hashes, and that of the auditor.

use crate::{
    audit::{
        hash::HashKey,
        signer::{FileKey, KeyError, Signer},
        subject::AuditorKey,
    },
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
    /// Make the key of keyed hashes
    Hash(ShowArgs),
    /// Make the key of whoever may read what is encrypted; print what goes into `audit.auditor`
    Auditor(AuditorArgs),
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

/// `latchwork audit key auditor`
#[derive(Debug, Clone, clap::Args)]
pub struct AuditorArgs {
    /// Where to write the private key; a file that is there stays as it is. Keep it away from the gateway
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Makes or shows the key.
pub fn run(command: &KeyCommand, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let (place, name) = match command {
        KeyCommand::New(args) => (&args.place, Some(&args.name)),
        KeyCommand::Show(args) => (&args.place, None),
        KeyCommand::Hash(args) => return hash(&args.place, out, talk),
        KeyCommand::Auditor(args) => return auditor(args, out, talk),
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
        Err(error) => told(&error, talk),
    }
}

fn hash(place: &Place, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let configured = || loaded(&place.config, talk).map(|loaded| loaded.config.audit.privacy.hash_key);
    let file = match place.file.clone().map_or_else(configured, |file| Ok(Some(file))) {
        Ok(Some(file)) => file,
        Ok(None) => {
            tell(talk, format_args!("latchwork: the configuration has no `audit.hash_key`; say where with `--file`"));
            return Exit::Invalid;
        }
        Err(exit) => return exit,
    };
    match HashKey::create(&file) {
        Ok(key) => {
            match place.format {
                Format::Human => tell(out, format_args!("key {} in {}", key.name(), file.display())),
                Format::Json => tell(out, format_args!("{}", json!({ "file": file, "key": key.name() }))),
            }
            Exit::Ok
        }
        Err(error) => told(&error, talk),
    }
}

fn auditor(args: &AuditorArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    match AuditorKey::create(&args.file) {
        Ok(key) => {
            let public = key.public();
            match args.format {
                Format::Human => tell(out, format_args!("{public}")),
                Format::Json => {
                    tell(out, format_args!("{}", json!({ "file": args.file, "auditor": public.to_string() })));
                }
            }
            Exit::Ok
        }
        Err(error) => told(&error, talk),
    }
}

fn told(error: &KeyError, talk: &mut dyn Write) -> Exit {
    tell(talk, format_args!("latchwork: {error}"));
    if matches!(error, KeyError::Io { .. }) { Exit::Failed } else { Exit::Invalid }
}
