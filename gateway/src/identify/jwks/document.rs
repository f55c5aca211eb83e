//! Reads the two documents that an issuer publishes: discovery (OpenID Connect Discovery 1.0) and keys (RFC 7517).

use super::key::{Key, KeyProblem};
use crate::identify::strict_json;
use serde_json::Value;
use std::collections::HashMap;

/// Most keys of one issuer.
const KEYS_MAX: usize = 100;

/// Why a document can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DocumentError {
    /// No JSON object, or a member is repeated.
    #[error("the document is not a JSON object with unique members: {0}")]
    Json(String),
    /// Discovery is for another issuer.
    #[error("the discovery document is of issuer `{0}`")]
    Issuer(String),
    /// A member is missing or has the wrong type.
    #[error("the document has no member `{0}`, or not of the right type")]
    Member(&'static str),
    /// Too many keys.
    #[error("the document has more than {KEYS_MAX} keys")]
    KeysTooMany,
}

/// The address of the keys, from the discovery document of `issuer`.
pub(crate) fn jwks_uri(bytes: &[u8], issuer: &str) -> Result<String, DocumentError> {
    let document = strict_json::object(bytes).map_err(|e| DocumentError::Json(e.to_string()))?;
    let text = |name: &'static str| document.get(name).and_then(Value::as_str).ok_or(DocumentError::Member(name));
    let said = text("issuer")?;
    if said != issuer {
        return Err(DocumentError::Issuer(said.chars().take(200).collect()));
    }
    text("jwks_uri").map(str::to_owned)
}

/// The usable keys of a set. One that can't be used is logged and left out; it never spoils the others.
pub(crate) fn parse(alias: &str, bytes: &[u8]) -> Result<Vec<Key>, DocumentError> {
    let document = strict_json::object(bytes).map_err(|e| DocumentError::Json(e.to_string()))?;
    let written = document.get("keys").and_then(Value::as_array).ok_or(DocumentError::Member("keys"))?;
    if written.len() > KEYS_MAX {
        return Err(DocumentError::KeysTooMany);
    }
    // Counted over all that is written, usable or not: which of two keys is meant must never be a guess.
    let mut times = HashMap::<&str, usize>::new();
    for kid in written.iter().filter_map(|key| key.get("kid")?.as_str()) {
        *times.entry(kid).or_default() += 1;
    }
    let admitted = written.iter().map(|key| {
        let kid = key.get("kid").and_then(Value::as_str);
        let unique = kid.is_none_or(|kid| times.get(kid) == Some(&1));
        if unique { Key::admit(key) } else { Err(KeyProblem::KidTwice) }.inspect_err(|problem| {
            let kid = kid.map(|kid| kid.chars().take(64).collect::<String>());
            tracing::warn!(issuer = alias, kid, %problem, "a key of the issuer is left out");
        })
    });
    let usable: Vec<_> = admitted.filter_map(Result::ok).collect();
    if usable.is_empty() {
        tracing::warn!(issuer = alias, "the issuer has no usable key");
    }
    Ok(usable)
}
