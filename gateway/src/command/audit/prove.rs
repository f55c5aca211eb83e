//! `latchwork audit prove`: the proofs that the records of a call are in the log, to be verified alone.

use crate::{
    audit::prove::{self, ProveError},
    command::{Exit, Format, default_config, loaded, tell},
};
use serde_json::json;
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// `latchwork audit prove`
#[derive(Debug, Clone, clap::Args)]
pub struct ProveArgs {
    /// The call, as `latchwork-call-id` says
    #[arg(value_name = "CALL-ID")]
    call: Uuid,
    /// Configuration that names the audit folder and the node
    #[arg(short, long, value_name = "FILE", default_value_os_t = default_config())]
    config: PathBuf,
    /// Folder of a node's log, instead of the one that the configuration names
    #[arg(long, value_name = "FOLDER", conflicts_with = "config")]
    log: Option<PathBuf>,
    /// Write each proof to a file of its own in this folder, instead of all to standard output
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Output: proofs as they are verified, or a line of JSON for each, with the proof or its file
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Proves the records of a call.
pub fn run(args: &ProveArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let folder = match &args.log {
        Some(folder) => folder.canonicalize().unwrap_or_else(|_| folder.clone()),
        None => match loaded(&args.config, talk) {
            Ok(loaded) => loaded.config.audit.path.join(&*loaded.config.node.id),
            Err(exit) => return exit,
        },
    };
    let proofs = match prove::call(&folder, args.call) {
        Ok(proofs) => proofs,
        Err(error) => {
            tell(talk, format_args!("latchwork: {error}"));
            return if matches!(error, ProveError::NoCall(_)) { Exit::Invalid } else { Exit::Failed };
        }
    };
    for proof in proofs {
        if let Err(error) = one(args, proof.index, &proof.to_string(), out) {
            tell(talk, format_args!("latchwork: the proof can't be written: {error}"));
            return Exit::Failed;
        }
    }
    Exit::Ok
}

fn one(args: &ProveArgs, index: u64, proof: &str, out: &mut dyn Write) -> io::Result<()> {
    let file = args.out.as_deref().map(|folder| save(folder, &format!("{}-{index}.tlog-proof", args.call), proof));
    match (file.transpose()?, args.format) {
        (None, Format::Human) => write!(out, "{proof}"),
        (None, Format::Json) => writeln!(out, "{}", json!({ "call": args.call, "index": index, "proof": proof })),
        (Some(path), Format::Human) => writeln!(out, "{}", path.display()),
        (Some(path), Format::Json) => writeln!(out, "{}", json!({ "call": args.call, "index": index, "file": path })),
    }
}

fn save(folder: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(name);
    fs::write(&path, text)?;
    Ok(path)
}
