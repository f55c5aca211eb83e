//! HTTP signatures (draft-cavage-http-signatures) by RSA with SHA-256, over the headers that Oracle Cloud asks for.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST},
};
use http_body_util::Full;
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use std::{fmt::Write as _, sync::Arc};

/// What stands for method, path and query among the headers.
const TARGET: &str = "(request-target)";

/// The body's hash.
const HASH: HeaderName = HeaderName::from_static("x-content-sha256");

/// What is signed of a request with a body, in this order.
const WITH_BODY: [&str; 6] = ["date", TARGET, "host", "content-length", "content-type", "x-content-sha256"];

/// Reads a private key from PEM, as PKCS #8 or PKCS #1.
pub(crate) fn private_key(pem: &SecretString) -> Result<Arc<RsaKeyPair>, String> {
    // The cause could repeat parts of the key.
    let unusable = "the private key can't be used: it is no RSA key of 2048 to 8192 bits in PEM, or it is encrypted";
    let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()).map_err(|_| unusable)?;
    let pair = match &key {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err(unusable.to_owned()),
    };
    pair.map(Arc::new).map_err(|_| unusable.to_owned())
}

/// Adds what is signed of a request with a body, and the signature. `id` names the key.
pub(crate) fn sign_request(
    request: &mut Request<Full<Bytes>>,
    body: &[u8],
    (id, key): (&str, &RsaKeyPair),
    at: Timestamp,
) -> Result<(), String> {
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&at).map_err(|error| error.to_string())?;
    let host = request.uri().authority().map(ToString::to_string).ok_or("the address has no host")?;
    let hash = STANDARD.encode(digest(&SHA256, body));
    let headers = request.headers_mut();
    for (name, text) in [(DATE, &date), (HOST, &host), (CONTENT_LENGTH, &body.len().to_string()), (HASH, &hash)] {
        headers.insert(name, HeaderValue::try_from(text).map_err(|error| error.to_string())?);
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    authorize(request, &WITH_BODY, (id, key))
}

/// Adds the signature over headers that are there.
fn authorize<B>(request: &mut Request<B>, names: &[&str], (id, key): (&str, &RsaKeyPair)) -> Result<(), String> {
    let text = signing_string(request, names)?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| "the private key can't sign".to_owned())?;
    let value = authorization(names, id, &signature);
    let mut value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

fn authorization(names: &[&str], id: &str, signature: &[u8]) -> String {
    let (names, signature) = (names.join(" "), STANDARD.encode(signature));
    let names = format!("headers=\"{names}\",keyId=\"{id}\",algorithm=\"rsa-sha256\"");
    format!("Signature version=\"1\",{names},signature=\"{signature}\"")
}

/// One line for each name.
fn signing_string<B>(request: &Request<B>, names: &[&str]) -> Result<String, String> {
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        // Writing to a string never fails.
        let _ = match *name {
            TARGET => {
                let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
                write!(text, "{TARGET}: {} {target}", request.method().as_str().to_ascii_lowercase())
            }
            name => write!(text, "{name}: {}", value(request.headers(), name)?),
        };
    }
    Ok(text)
}

fn value<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, String> {
    let value = headers.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
    value.to_str().map_err(|_| format!("`{name}` is no text"))
}

#[cfg(test)]
mod tests;
