//! Admits one JSON Web Key (RFC 7517, 7518, 8037): only public, for signatures, strong enough, and for known algorithms.

use crate::identify::jwt::{KID_BYTES_MAX, decode, is_asymmetric};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;
use std::{str::FromStr, sync::Arc};

/// Sizes of RSA moduli, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Members that only a private key has.
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// A key that may verify tokens.
#[derive(Clone)]
pub(crate) struct Key {
    kid: Option<Arc<str>>,
    algorithms: Vec<Algorithm>,
    /// What the key is made of, to tell one from another.
    parts: Vec<Vec<u8>>,
    decoding: Arc<DecodingKey>,
}

/// Why a key is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyProblem {
    /// Several keys have this id.
    #[error("its kid is not unique")]
    KidTwice,
    /// `kid` is not a short text.
    #[error("its kid is malformed")]
    Kid,
    /// `use` or `key_ops` is for something else.
    #[error("it is not for verifying signatures")]
    Use,
    /// `kty`, `crv` or `alg` is not known here, symmetric, or they don't fit each other.
    #[error("its type, curve or algorithm is not accepted")]
    Kind,
    /// It holds private parts: whoever reads the set can sign.
    #[error("it holds its private part")]
    Private,
    /// An RSA modulus outside 2048 to 8192 bits.
    #[error("its size is outside 2048 to 8192 bits")]
    Size,
    /// The numbers are malformed or no point of the curve.
    #[error("its numbers are malformed")]
    Numbers,
}

impl Key {
    /// Reads a key.
    pub(crate) fn admit(jwk: &Value) -> Result<Self, KeyProblem> {
        let jwk = jwk.as_object().ok_or(KeyProblem::Kind)?;
        let text = |name| jwk.get(name).and_then(Value::as_str);
        if PRIVATE_MEMBERS.iter().any(|m| jwk.contains_key(*m)) {
            return Err(KeyProblem::Private);
        }
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if !kid.is_empty() && kid.len() <= KID_BYTES_MAX => Some(kid.as_str().into()),
            Some(_) => return Err(KeyProblem::Kid),
        };
        if jwk.contains_key("use") && text("use") != Some("sig") {
            return Err(KeyProblem::Use);
        }
        if let Some(operations) = jwk.get("key_ops") {
            let operations = operations.as_array().ok_or(KeyProblem::Use)?;
            operations.iter().any(|o| o == "verify").then_some(()).ok_or(KeyProblem::Use)?;
        }
        let number = |name| text(name).and_then(|n| decode(n).ok()).ok_or(KeyProblem::Numbers);
        let (fits, parts, decoding) = match (text("kty"), text("crv")) {
            (Some("RSA"), None) => rsa(number("n")?, number("e")?)?,
            (Some("EC"), Some("P-256")) => ec(Algorithm::ES256, number("x")?, number("y")?)?,
            (Some("EC"), Some("P-384")) => ec(Algorithm::ES384, number("x")?, number("y")?)?,
            (Some("OKP"), Some("Ed25519")) => ed25519(number("x")?)?,
            _ => return Err(KeyProblem::Kind),
        };
        let algorithms = match jwk.get("alg") {
            None => fits,
            Some(alg) => {
                let alg = alg.as_str().and_then(|a| Algorithm::from_str(a).ok()).ok_or(KeyProblem::Kind)?;
                if fits.contains(&alg) { vec![alg] } else { return Err(KeyProblem::Kind) }
            }
        };
        Ok(Self { kid, algorithms, parts, decoding: Arc::new(decoding) })
    }

    /// Its id.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it may verify signatures of this algorithm: its own `alg`, or without one any that fits its type.
    pub(crate) fn is_for(&self, algorithm: Algorithm) -> bool {
        is_asymmetric(algorithm) && self.algorithms.contains(&algorithm)
    }

    /// The key for the library.
    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (&self.kid, &self.algorithms, &self.parts) == (&other.kid, &other.algorithms, &other.parts)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

type Made = (Vec<Algorithm>, Vec<Vec<u8>>, DecodingKey);

fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Made, KeyProblem> {
    // Some issuers write a leading zero, as in ASN.1.
    let strip = |number: Vec<u8>| number.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
    let (n, e) = (strip(n), strip(e));
    let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err(KeyProblem::Size);
    }
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    if !odd(&n) || !odd(&e) || *e == [1] {
        return Err(KeyProblem::Numbers);
    }
    RsaPublicKeyComponents { n: &n, e: &e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|_| KeyProblem::Numbers)?;
    let decoding = DecodingKey::from_rsa_raw_components(&n, &e);
    Ok((AlgorithmFamily::Rsa.algorithms().to_vec(), vec![n, e], decoding))
}

fn ec(algorithm: Algorithm, x: Vec<u8>, y: Vec<u8>) -> Result<Made, KeyProblem> {
    let (bytes, curve): (usize, &'static dyn VerificationAlgorithm) = match algorithm {
        Algorithm::ES256 => (32, &ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => (48, &ECDSA_P384_SHA384_FIXED),
        _ => return Err(KeyProblem::Kind),
    };
    if x.len() != bytes || y.len() != bytes {
        return Err(KeyProblem::Numbers);
    }
    let point = [&[4], &*x, &*y].concat();
    ParsedPublicKey::new(curve, &point).map_err(|_| KeyProblem::Numbers)?;
    Ok((vec![algorithm], vec![x, y], DecodingKey::from_ec_der(&point)))
}

fn ed25519(x: Vec<u8>) -> Result<Made, KeyProblem> {
    if x.len() != 32 || ParsedPublicKey::new(&ED25519, &x).is_err() {
        return Err(KeyProblem::Numbers);
    }
    let decoding = DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(&x)).map_err(|_| KeyProblem::Numbers)?;
    Ok((vec![Algorithm::EdDSA], vec![x], decoding))
}
