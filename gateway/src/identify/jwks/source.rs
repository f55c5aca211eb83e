//! Where an issuer's keys come from, checked: HTTPS, or an issuer on this very machine.

use crate::config;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{sync::Arc, time::Duration};
use url::{Host, Url};

/// Where keys come from and how long they count. Two issuers with the same source may share what was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Alias, for logs.
    pub(crate) alias: Arc<str>,
    /// Issuer identifier.
    pub(crate) issuer: Arc<str>,
    /// What to get first.
    pub(crate) start: Start,
    /// Whether clear text and addresses of this machine are allowed: only when the issuer itself is here.
    pub(crate) loopback: bool,
    /// Authorities for the issuer's server; `None` means the system's.
    pub(crate) authorities: Option<Vec<CertificateDer<'static>>>,
    /// See [`config::Issuer::refresh`].
    pub(crate) refresh: Duration,
    /// See [`config::Issuer::grace`].
    pub(crate) grace: Duration,
}

/// The first address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The discovery document, which names the keys' address.
    Discovery(Url),
    /// The keys themselves.
    Keys(Url),
}

impl Source {
    /// Checks what is configured.
    pub(crate) fn new(issuer: &config::Issuer) -> Result<Self, String> {
        let start = match &issuer.jwks_uri {
            Some(uri) => Start::Keys(parse(uri)?),
            None => Start::Discovery(discovery(&issuer.issuer)?),
        };
        let (Start::Discovery(first) | Start::Keys(first)) = &start;
        let loopback = is_loopback(first);
        check(first, loopback)?;
        let authorities = match &issuer.ca {
            Some(path) => {
                let pem = std::fs::read(path).map_err(|e| format!("can't read `{}`: {e}", path.display()))?;
                let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
                let found = found.map_err(|e| format!("`{}` is not PEM: {e}", path.display()))?;
                Some(found).filter(|f| !f.is_empty()).ok_or(format!("`{}` has no certificate", path.display()))?.into()
            }
            None => None,
        };
        Ok(Self {
            alias: issuer.alias.clone(),
            issuer: issuer.issuer.clone(),
            start,
            loopback,
            authorities,
            refresh: issuer.refresh,
            grace: issuer.grace,
        })
    }
}

/// The address of an issuer's discovery document (OpenID Connect Discovery 1.0, section 4).
fn discovery(issuer: &str) -> Result<Url, String> {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    let url = parse(&format!("{issuer}/.well-known/openid-configuration"))?;
    if url.query().is_some() { Err(format!("the issuer `{issuer}` has a query")) } else { Ok(url) }
}

pub(crate) fn parse(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))
}

/// Whether `url` may be fetched for an issuer that is, or is not, on this machine.
pub(crate) fn check(url: &Url, loopback: bool) -> Result<(), String> {
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    match url.scheme() {
        _ if !plain => Err("the URL of keys may hold no user, password or fragment".to_owned()),
        "https" if url.has_host() && (loopback || !is_loopback(url)) => Ok(()),
        "http" if loopback && is_loopback(url) => Ok(()),
        "https" => Err(format!("`{url}` is on this machine, but the issuer is not")),
        _ => Err(format!("`{url}` is not HTTPS; clear text is only for issuers on this machine")),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
