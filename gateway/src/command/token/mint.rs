//! `latchwork token mint`: a token of the development issuer, for anyone, without any network.

use super::{Format, TokenError, TokenExit, folder};
use crate::{
    config::{self, Config},
    dev::issuer::{Claims, Issuer, TTL, TTL_MAX},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{io, path::PathBuf, time::Duration};

/// What the token is to say.
#[derive(Clone, Debug, clap::Args)]
pub struct MintArgs {
    /// Whom the token is about; becomes `<issuer alias>/<subject>`
    #[arg(long, value_name = "NAME")]
    pub subject: String,
    /// A group of the subject, without the issuer's alias; may be repeated; those of `people.toml` unless said
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// A scope; may be repeated; those of `people.toml` unless said
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// Whom the token is for; the issuer's first audience unless said; may be repeated
    #[arg(long = "audience", value_name = "AUDIENCE")]
    pub audiences: Vec<String>,
    /// How long it lives, such as `15m`; one hour unless said
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl)]
    pub ttl: Option<Duration>,
    /// Another claim; a value that is JSON stays what it is, any other is text; may be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub claims: Vec<String>,
    /// The issuer's alias, if several are for development
    #[arg(long, value_name = "ALIAS")]
    pub issuer: Option<String>,
    /// Folder of the development issuer; `dev` beside the configuration unless said
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// How to write the token
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Writes a token, and a line feed, to `out`; for programs as a token response (RFC 6749, 5.1).
/// Without a configuration the folder alone says which issuer it is.
///
/// # Errors
/// When the node is in production, or there is no development issuer.
pub fn mint(
    args: &MintArgs,
    config: Option<&Config>,
    now: Timestamp,
    out: &mut dyn io::Write,
) -> Result<TokenExit, TokenError> {
    let configured = config.map(|config| development(config, args.issuer.as_deref())).transpose()?;
    let folder = folder(args.dir.as_ref(), config);
    let mut issuer = Issuer::load(&folder)?.ok_or(TokenError::NoFolder(folder))?;
    let mut claims = Claims::new(args.subject.clone(), "");
    claims.audiences.clone_from(&args.audiences);
    claims.scopes.clone_from(&args.scopes);
    claims.ttl = args.ttl.unwrap_or(TTL);
    for claim in &args.claims {
        let (name, value) = claim.split_once('=').ok_or_else(|| TokenError::Claim(claim.clone()))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        claims.extra.insert(name.to_owned(), value);
    }
    let mut groups_claim = "groups";
    if let Some(configured) = configured {
        issuer.identify_as(&*configured.issuer);
        if claims.audiences.is_empty() {
            claims.audiences.extend(configured.audiences.first().map(ToString::to_string));
        }
        groups_claim = configured.groups.claim.as_deref().unwrap_or(groups_claim);
    }
    if claims.audiences.is_empty() {
        return Err(TokenError::NoAudience);
    }
    let mut groups = args.groups.clone();
    if let Some(known) = issuer.claims_of(&args.subject, "")? {
        // Somebody of `people.toml` is who that file says, unless said otherwise.
        groups = if groups.is_empty() { known.groups } else { groups };
        claims.scopes = if claims.scopes.is_empty() { known.scopes } else { claims.scopes };
        for (name, value) in known.extra {
            claims.extra.entry(name).or_insert(value);
        }
    }
    if !groups.is_empty() {
        put(&mut claims.extra, groups_claim, Value::from(groups));
    }
    let token = issuer.mint_at(&claims, now)?;
    let written = match args.format {
        Format::Human => writeln!(out, "{token}"),
        Format::Json => {
            let expires_in = claims.ttl.as_secs();
            writeln!(out, "{}", json!({ "access_token": token, "token_type": "Bearer", "expires_in": expires_in }))
        }
    };
    written.map_err(TokenError::Write)?;
    Ok(TokenExit::Done)
}

/// The development issuer of a configuration.
fn development<'a>(config: &'a Config, alias: Option<&str>) -> Result<&'a config::Issuer, TokenError> {
    if config.node.production {
        return Err(TokenError::Production);
    }
    let mut issuers = config.issuers.iter().filter(|issuer| issuer.development);
    if let Some(alias) = alias {
        return issuers.find(|i| &*i.alias == alias).ok_or_else(|| TokenError::NotDevelopment(alias.to_owned()));
    }
    let first = issuers.next().ok_or(TokenError::NoDevelopmentIssuer)?;
    if issuers.next().is_some() { Err(TokenError::SeveralDevelopmentIssuers) } else { Ok(first) }
}

/// Sets a claim by name, or by JSON pointer when the name begins with `/`.
fn put(claims: &mut serde_json::Map<String, Value>, name: &str, value: Value) {
    let Some(pointer) = name.strip_prefix('/') else {
        claims.insert(name.to_owned(), value);
        return;
    };
    let (first, rest) = pointer.split_once('/').map_or((pointer, None), |(first, rest)| (first, Some(rest)));
    let first = first.replace("~1", "/").replace("~0", "~");
    let Some(rest) = rest else {
        claims.insert(first, value);
        return;
    };
    let inner = claims.entry(first).or_insert_with(|| Value::Object(serde_json::Map::new()));
    if let Some(inner) = inner.as_object_mut() {
        put(inner, &format!("/{rest}"), value);
    }
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let span = text.parse::<SignedDuration>().map_err(|_| "a duration is like `15m` or `1h 30m`".to_owned())?;
    let ttl = Duration::try_from(span).map_err(|_| "a duration can't be negative".to_owned())?;
    if ttl.is_zero() || ttl > TTL_MAX { Err("a token lives between 1 second and 30 days".to_owned()) } else { Ok(ttl) }
}
