//! Tokens of JSON: assertions that are signed here, and when a token ends that somebody else signed.

use super::TokenError;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// Claims signed with RS256 and the PEM of a private key.
pub(crate) fn signed(claims: &Value, pem: &SecretString, kid: Option<&str>) -> Result<SecretString, TokenError> {
    // The cause could repeat parts of the key.
    let unusable = |_| TokenError::new("the private key can't be used: it is no RSA key in PEM");
    let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes()).map_err(unusable)?;
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::RS256) };
    let token = jsonwebtoken::encode(&header, claims, &key);
    token.map(SecretString::from).map_err(|_| TokenError::new("the private key can't sign"))
}

/// How long a token counts from now by its own `exp`. Its signature is for its reader to verify, not for who carries it.
pub(crate) fn lifetime(token: &str) -> Result<Duration, TokenError> {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Value> = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let end = claims.as_ref().and_then(|claims| claims.get("exp")).and_then(Value::as_u64);
    let end = end.ok_or_else(|| TokenError::new("what came is no token with an end"))?;
    Ok(Duration::from_secs(end).saturating_sub(since_epoch()))
}

/// The time of day as tokens count it.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
