//! `latchwork key`: API keys of clients. Only hashes are kept; a key is shown once, when it is made.

mod edit;
mod list;
#[cfg(test)]
mod tests;

use self::edit::{EditError, Editor, Wanted};
use super::{Exit, Format, default_config, findings_told, tell};
use crate::config::{ApiKeys, load, value};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

/// `latchwork key …`
#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Make a key for a client and show it once
    New(NewArgs),
    /// Make another key and let the others of the client end soon
    Rotate(RotateArgs),
    /// End keys now
    Revoke(RevokeArgs),
    /// Show clients and their keys, never a secret
    List(ListArgs),
}

/// Where keys are.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Configuration that names the file of keys
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Alias under `[identity.api_keys]`, where there are several
    #[arg(long)]
    alias: Option<String>,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// `latchwork key new`
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// Name of the client; policy knows it as Client::"ALIAS/CLIENT"
    client: String,
    /// A group of the client, as declared; may be repeated
    #[arg(long = "group")]
    groups: Vec<String>,
    /// A scope of the client; may be repeated
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// Tenant of the client
    #[arg(long)]
    tenant: Option<String>,
    /// Contract tier of the client
    #[arg(long)]
    tier: Option<String>,
    /// How long the key counts, such as 90d, or `never`
    #[arg(long, default_value = "365d")]
    expires: String,
    #[command(flatten)]
    place: Place,
}

/// `latchwork key rotate`
#[derive(Debug, clap::Args)]
pub struct RotateArgs {
    /// Name of the client
    client: String,
    /// How long the keys that it has still count
    #[arg(long, default_value = "24h")]
    overlap: String,
    /// How long the new key counts, such as 90d, or `never`
    #[arg(long, default_value = "365d")]
    expires: String,
    #[command(flatten)]
    place: Place,
}

/// `latchwork key revoke`
#[derive(Debug, clap::Args)]
pub struct RevokeArgs {
    /// Name of the client
    client: String,
    /// Only the key of this id: the part before the last `_`
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// `latchwork key list`
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    place: Place,
}

/// Runs a command about API keys.
pub fn run(command: &KeyCommand, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    run_at(command, Timestamp::now(), out, talk)
}

fn run_at(command: &KeyCommand, now: Timestamp, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let place = match command {
        KeyCommand::New(NewArgs { place, .. })
        | KeyCommand::Rotate(RotateArgs { place, .. })
        | KeyCommand::Revoke(RevokeArgs { place, .. })
        | KeyCommand::List(ListArgs { place }) => place,
    };
    let keys = match choose(place, talk) {
        Ok(keys) => keys,
        Err(exit) => return exit,
    };
    let directory = place.config.parent().unwrap_or(Path::new(""));
    let done = match command {
        KeyCommand::New(args) => new(args, keys, directory, now, out),
        KeyCommand::Rotate(args) => rotate(args, keys, directory, now, out),
        KeyCommand::Revoke(args) => revoke(args, keys, directory, now, out),
        KeyCommand::List(_) => list::list(&keys, directory, place.format, now, out),
    };
    match done {
        Ok(()) => {
            if let KeyCommand::New(_) | KeyCommand::Rotate(_) = command {
                tell(talk, format_args!("the key is shown this once; only its hash is kept"));
            }
            Exit::Ok
        }
        Err(EditError::Findings(findings)) => findings_told(&findings, talk),
        Err(error) => {
            tell(talk, format_args!("latchwork: {error}"));
            if matches!(error, EditError::File { .. } | EditError::Random) { Exit::Failed } else { Exit::Invalid }
        }
    }
}

/// The one file of keys that is meant. The rest of the configuration may be broken: keys must be revocable then too.
fn choose(place: &Place, talk: &mut dyn Write) -> Result<ApiKeys, Exit> {
    let files = load::key_files(&place.config).map_err(|findings| findings_told(&findings, talk))?;
    let known: Vec<String> = files.iter().map(|keys| format!("`{}`", keys.alias)).collect();
    let wanted = |keys: &ApiKeys| place.alias.as_ref().is_none_or(|alias| *alias == *keys.alias);
    let mut meant = files.into_iter().filter(wanted);
    let problem = match (meant.next(), meant.next()) {
        (Some(keys), None) => return Ok(keys),
        (Some(_), Some(_)) => {
            format!("several files of keys are configured, choose with --alias: {}", known.join(", "))
        }
        (None, _) if known.is_empty() => "the configuration has no `[identity.api_keys.ALIAS]`".to_owned(),
        (None, _) => format!("there is no such alias under `[identity.api_keys]`; there are {}", known.join(", ")),
    };
    tell(talk, format_args!("latchwork: {problem}"));
    Err(Exit::Invalid)
}

fn new(args: &NewArgs, keys: ApiKeys, directory: &Path, now: Timestamp, out: &mut dyn Write) -> Result<(), EditError> {
    let expires = expiry(&args.expires, now)?;
    let mut editor = Editor::open(keys, directory)?;
    let wanted = Wanted {
        groups: &args.groups,
        scopes: &args.scopes,
        tenant: args.tenant.as_deref(),
        tier: args.tier.as_deref(),
    };
    editor.client(&args.client, &wanted)?;
    let fresh = editor.add(&args.client, now, expires)?;
    editor.save()?;
    shown(&fresh, &args.client, expires, args.place.format, out);
    Ok(())
}

fn rotate(
    args: &RotateArgs,
    keys: ApiKeys,
    directory: &Path,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), EditError> {
    let expires = expiry(&args.expires, now)?;
    let overlap = value::duration(&args.overlap).map_err(|help| EditError::Duration(args.overlap.clone(), help))?;
    let mut editor = Editor::open(keys, directory)?;
    editor.end(&args.client, now, later(now, overlap)?)?;
    let fresh = editor.add(&args.client, now, expires)?;
    editor.save()?;
    shown(&fresh, &args.client, expires, args.place.format, out);
    Ok(())
}

fn revoke(
    args: &RevokeArgs,
    keys: ApiKeys,
    directory: &Path,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), EditError> {
    let mut editor = Editor::open(keys, directory)?;
    let revoked = editor.revoke(&args.client, args.id.as_deref(), now)?;
    editor.save()?;
    match args.place.format {
        Format::Json => tell(out, format_args!("{}", json!({ "client": args.client, "revoked": revoked }))),
        Format::Human => tell(out, format_args!("revoked: {}", revoked.join(", "))),
    }
    Ok(())
}

fn shown(
    fresh: &crate::identify::api_key::text::Fresh,
    client: &str,
    expires: Option<Timestamp>,
    format: Format,
    out: &mut dyn Write,
) {
    match format {
        Format::Human => tell(out, format_args!("{}", fresh.text())),
        Format::Json => {
            let shown = json!({ "client": client, "id": fresh.id, "key": fresh.text(), "expires": expires });
            tell(out, format_args!("{shown}"));
        }
    }
}

fn expiry(text: &str, now: Timestamp) -> Result<Option<Timestamp>, EditError> {
    if text == "never" {
        return Ok(None);
    }
    let life = value::duration(text).map_err(|help| EditError::Duration(text.to_owned(), help))?;
    later(now, life).map(Some)
}

fn later(now: Timestamp, by: Duration) -> Result<Timestamp, EditError> {
    let far = |_| EditError::Duration(format!("{by:?}"), "the calendar ends before that".to_owned());
    // Whole seconds are enough for people and for policy.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    now.checked_add(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX)).map_err(far)
}
