//! `latchwork policy key`: keys that sign bundles, in files that only their owner reads.

use crate::command::{Exit, Format, tell};
use base64::{Engine, prelude::BASE64_STANDARD};
use policy::bundle::sign::{Ed25519, Signer};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// `latchwork policy key …`
#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Make a key that signs bundles; print what goes into the file of keys
    New(NewArgs),
}

/// `latchwork policy key new`
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// Where to write the private key (PKCS#8 PEM); a file that is there stays as it is
    file: PathBuf,
    /// Whose key it is: two keys of one person count once
    #[arg(long)]
    person: String,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(command: &KeyCommand, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let KeyCommand::New(args) = command;
    match new(args, out) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            tell(talk, format_args!("latchwork: `{}`: {error}", args.file.display()));
            Exit::Failed
        }
    }
}

fn new(args: &NewArgs, out: &mut dyn Write) -> Result<(), String> {
    let pkcs8 = Ed25519::generate().map_err(|e| e.to_string())?;
    let public = Ed25519::from_pkcs8(&pkcs8).map_err(|e| e.to_string())?.public();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(&pkcs8));
    let written = || -> io::Result<()> {
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&args.file)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()
    };
    written().map_err(|e| e.to_string())?;
    let name = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if args.format == Format::Json {
        let said = serde_json::json!({"name": name, "public": public, "person": args.person});
        tell(out, format_args!("{said}"));
        return Ok(());
    }
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    tell(out, format_args!("[key.{}]\npublic = \"{public}\"\nperson = {}", text(&name), text(&args.person)));
    Ok(())
}

/// The key of a reference: `file:PATH`.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn signer(reference: &str) -> Result<Ed25519, String> {
    let path = reference.strip_prefix("file:").map(Path::new);
    let path = path.ok_or_else(|| format!("`{reference}` is no key: write `file:PATH`"))?;
    let failed = |e: &dyn std::fmt::Display| format!("`{}`: {e}", path.display());
    let mode = fs::metadata(path).map_err(|e| failed(&e))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(failed(&"others may read the key; `chmod 600` it"));
    }
    let key = PrivatePkcs8KeyDer::from_pem_file(path).map_err(|_| failed(&"this is no private key (PKCS#8 PEM)"))?;
    Ed25519::from_pkcs8(key.secret_pkcs8_der()).map_err(|e| failed(&e))
}
