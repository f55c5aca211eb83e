//! `latchwork key list`: clients and what became of their keys.

use super::{EditError, Format, tell};
use crate::config::{ApiKey, ApiKeys, load};
use jiff::Timestamp;
use serde_json::json;
use std::{io::Write, path::Path};

pub(super) fn list(
    keys: &ApiKeys,
    directory: &Path,
    format: Format,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), EditError> {
    let found = load::keys_again(keys, directory).map_err(EditError::Findings)?;
    let mut rows: Vec<_> = found.keys.iter().collect();
    rows.sort_by_key(|(id, key)| (key.client.name.clone(), key.created, (*id).clone()));
    let date = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    if format == Format::Human {
        tell(out, format_args!("{:<24} {:<10} {:<8} {:<20} expires", "client", "id", "state", "created"));
    }
    for (id, key) in rows {
        let (client, state) = (&key.client, state(key, now));
        match format {
            Format::Human => {
                let created = key.created.map_or_else(|| "unknown".to_owned(), |at| at.to_string());
                let expires = date(key.expires);
                tell(out, format_args!("{:<24} {id:<10} {state:<8} {created:<20} {expires}", client.name));
            }
            Format::Json => {
                let row = json!({
                    "client": format!("{}/{}", found.alias, client.name),
                    "id": id,
                    "state": state,
                    "created": key.created,
                    "expires": key.expires,
                    "groups": client.groups,
                    "scopes": client.scopes,
                    "tenant": client.tenant,
                    "tier": client.tier,
                });
                tell(out, format_args!("{row}"));
            }
        }
    }
    Ok(())
}

fn state(key: &ApiKey, now: Timestamp) -> &'static str {
    if key.revoked {
        "revoked"
    } else if key.expires.is_some_and(|expires| expires <= now) {
        "expired"
    } else {
        "active"
    }
}
