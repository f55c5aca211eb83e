//! Admits a JSON Web Token before any library sees it (RFC 7515, 7519, 8725), and checks its signature.

pub(crate) mod claims;
pub(crate) mod subject;

use super::{fault::Fault, strict_json};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use std::str::FromStr;

/// Longest `kid`, in bytes.
pub(crate) const KID_BYTES_MAX: usize = 255;

/// Members that would let a token say how it is to be understood or which key to trust.
const HEADER_MEMBERS_REFUSED: [&str; 7] = ["crit", "b64", "zip", "jwk", "jku", "x5c", "x5u"];

/// A token that is well-formed; nothing in it is believed yet.
pub(crate) struct Unverified<'a> {
    /// Header and claims as they were signed.
    pub(crate) signed: &'a str,
    /// The signature, base64url.
    pub(crate) signature: &'a str,
    /// Header.
    pub(crate) header: Map<String, Value>,
    /// Claims.
    pub(crate) claims: Map<String, Value>,
}

/// What the header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// `alg`
    pub(crate) algorithm: Algorithm,
    /// `kid`
    pub(crate) kid: Option<String>,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    pub(crate) fn read(token: &'a str) -> Result<Self, Fault> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Fault::Parts)?;
        let (header, claims) = signed.split_once('.').ok_or(Fault::Parts)?;
        if claims.contains('.') || header.is_empty() || claims.is_empty() || signature.is_empty() {
            return Err(Fault::Parts);
        }
        decode(signature)?;
        let object = |part| strict_json::object(&decode(part)?).map_err(|_| Fault::Json);
        Ok(Self { signed, signature, header: object(header)?, claims: object(claims)? })
    }

    /// Reads the header; `algorithms` are those that the issuer may use.
    pub(crate) fn header(&self, algorithms: &[Algorithm]) -> Result<Header, Fault> {
        if HEADER_MEMBERS_REFUSED.iter().any(|m| self.header.contains_key(*m)) {
            return Err(Fault::HeaderMember);
        }
        let algorithm = self.header.get("alg").and_then(Value::as_str).ok_or(Fault::Algorithm)?;
        let algorithm = Algorithm::from_str(algorithm).map_err(|_| Fault::Algorithm)?;
        if !is_asymmetric(algorithm) || !algorithms.contains(&algorithm) {
            return Err(Fault::Algorithm);
        }
        match self.header.get("typ") {
            None => {}
            Some(Value::String(typ)) if is_token_type(typ) => {}
            Some(_) => return Err(Fault::Type),
        }
        let kid = match self.header.get("kid") {
            None => None,
            Some(Value::String(kid)) if !kid.is_empty() && kid.len() <= KID_BYTES_MAX => Some(kid.clone()),
            Some(_) => return Err(Fault::KeyId),
        };
        Ok(Header { algorithm, kid })
    }

    /// `iss`, not yet believed.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Checks the signature.
    pub(crate) fn verify(&self, algorithm: Algorithm, key: &DecodingKey) -> Result<(), Fault> {
        match jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fault::Signature),
            Err(_) => Err(Fault::KeyAlgorithm),
        }
    }
}

/// Whether anyone may have the key that verifies.
pub(crate) fn is_asymmetric(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

fn is_token_type(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

/// Base64url without padding, without stray bits at the end.
pub(crate) fn decode(part: &str) -> Result<Vec<u8>, Fault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::Encoding)
}
