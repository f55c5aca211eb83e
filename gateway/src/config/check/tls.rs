//! Certificates, keys and authorities: read at check time, so that a bad pair never reaches a socket.

use crate::config::{
    ClientAuth, Credential, Tls, raw,
    raw::At,
    text::read_bounded,
    value::{Desk, shorten},
};
use jiff::Timestamp;
use rustls::{
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{io::ErrorKind, os::unix::fs::PermissionsExt, path::PathBuf};

/// A certificate that ends within this many days is warned of.
const ENDS_SOON_DAYS: i64 = 14;

/// `tls = { certificate, key, client_ca, client_auth }`; `identify` is what counts on the listener.
pub(crate) fn tls(written: &At<raw::Tls>, identify: &[Credential], now: Timestamp, desk: &mut Desk<'_>) -> Option<Tls> {
    let certificate = desk.required("certificate", &written.value.certificate, &written.span);
    let key = desk.required("key", &written.value.key, &written.span);
    let (Some(certificate), Some(key)) = (certificate, key) else { return None };
    let (certificate, key) = fitting(certificate, key, now, desk)?;
    let clients = clients(&written.value, identify, desk);
    Some(Tls { certificate, key, clients })
}

/// A client's certificate and key; their paths.
pub(crate) fn pair(certificate: &At<String>, key: &At<String>, desk: &mut Desk<'_>) -> Option<(PathBuf, PathBuf)> {
    fitting(certificate, key, Timestamp::now(), desk)
}

fn fitting(
    certificate: &At<String>,
    key: &At<String>,
    now: Timestamp,
    desk: &mut Desk<'_>,
) -> Option<(PathBuf, PathBuf)> {
    let (chain, private) = (chain(certificate, now, desk), private_key(key, desk));
    let (chain, (key_path, private)) = (chain?, private?);
    match CertifiedKey::from_der(chain, private, &default_provider()) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            let message = format!("the key does not belong to the certificate `{}`", shorten(&certificate.value));
            desk.error("key_mismatch", &key.span, message);
        }
        Err(error) => desk.error("bad_key", &key.span, format!("certificate and key can't be used: {error}")),
    }
    Some((desk.path(&certificate.value), key_path))
}

fn clients(written: &raw::Tls, identify: &[Credential], desk: &mut Desk<'_>) -> Option<ClientAuth> {
    let Some(ca) = &written.client_ca else {
        if let Some(auth) = &written.client_auth {
            desk.error_help("unused_key", &auth.span, "without `client_ca` no certificate is asked for", "name one");
        }
        return None;
    };
    let mut roots = rustls::RootCertStore::empty();
    for root in certificates(ca, desk)? {
        if let Err(error) = roots.add(root) {
            let message = format!("`{}` has a certificate that can't vouch: {error}", shorten(&ca.value));
            desk.error("bad_certificate", &ca.span, message);
        }
    }
    let certificate = |c: &Credential| matches!(c, Credential::Mtls(_));
    let required = match &written.client_auth {
        Some(auth) => auth.value == raw::ClientAuth::Required,
        None => identify.iter().all(|entry| entry.parts().any(certificate)),
    };
    Some(ClientAuth { ca: desk.path(&ca.value), required })
}

/// A PEM file of authorities; its path.
pub(crate) fn authorities(written: &At<String>, desk: &mut Desk<'_>) -> Option<PathBuf> {
    certificates(written, desk)?;
    Some(desk.path(&written.value))
}

fn chain(written: &At<String>, now: Timestamp, desk: &mut Desk<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let chain = certificates(written, desk)?;
    if let Some(end) = chain.first().and_then(|leaf| super::validity::not_after(leaf)) {
        let days = end.duration_since(now).as_hours() / 24;
        if end <= now {
            let message = format!("the certificate ended at {end}");
            desk.warn("expired_certificate", &written.span, message, "renew it; clients refuse it");
        } else if days < ENDS_SOON_DAYS {
            let message = format!("the certificate ends in {days} days, at {end}");
            desk.warn("expiring_certificate", &written.span, message, "renew it");
        }
    }
    Some(chain)
}

fn certificates(written: &At<String>, desk: &mut Desk<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let bytes = bytes(&written.value, written, desk)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) => {
            let message = format!("`{}` has no certificate", shorten(&written.value));
            desk.error_help("bad_certificate", &written.span, message, "a PEM file with `BEGIN CERTIFICATE`");
            None
        }
        Err(error) => {
            let message = format!("`{}` can't be read as PEM: {error}", shorten(&written.value));
            desk.error("bad_certificate", &written.span, message);
            None
        }
    }
}

fn private_key(reference: &At<String>, desk: &mut Desk<'_>) -> Option<(PathBuf, PrivateKeyDer<'static>)> {
    let text = &reference.value;
    if text.contains("-----BEGIN") {
        let message = "a private key is never written into the configuration";
        // The offending text would be the secret, so it is not shown.
        let mut finding = desk.text.error("inline_secret", &reference.span, message).help("`file:tls/server.key`");
        finding.text = None;
        desk.report.push(finding);
        return None;
    }
    let Some(path) = text.strip_prefix("file:") else {
        let help = if text.starts_with("env:") {
            "a private key comes from a file: `file:tls/server.key`".to_owned()
        } else {
            format!("`file:{}`", shorten(text))
        };
        desk.error_help("bad_reference", &reference.span, "a private key is given by reference", help);
        return None;
    };
    let bytes = bytes(path, reference, desk)?;
    let path = desk.path(path);
    let mode = std::fs::metadata(&path).map_or(0, |m| m.permissions().mode());
    if mode & 0o007 != 0 {
        let message = format!("everybody on this machine may use the key (mode {:03o})", mode & 0o777);
        desk.warn("exposed_key", &reference.span, message, format!("chmod 600 {}", path.display()));
    }
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Some((path, key)),
        Err(error) => {
            desk.error("bad_key", &reference.span, format!("no private key can be read there: {error}"));
            None
        }
    }
}

fn bytes(path: &str, written: &At<String>, desk: &mut Desk<'_>) -> Option<Vec<u8>> {
    match read_bounded(&desk.path(path)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let path = shorten(path);
            let (code, message) = match error.kind() {
                ErrorKind::NotFound => ("missing_file", format!("there is no file `{path}`")),
                kind => ("unreadable_file", format!("`{path}` can't be read: {kind}")),
            };
            desk.error(code, &written.span, message);
            None
        }
    }
}
