//! Addresses of providers as they are written: over TLS, or in clear text on loopback only.

use super::{
    ConfigError,
    http::trust::{Trust, Written},
};
use std::{net::IpAddr, path::Path};
use url::{Host, Url};

/// Most characters of user input in a message.
const SHOWN_CHARS_MAX: usize = 80;

/// Scheme, host and port; no path, query or user.
pub(crate) fn endpoint(field: &'static str, text: &str) -> Result<String, ConfigError> {
    let url = address(field, text)?;
    let bare = url.path() == "/" && url.query().is_none();
    let Some(host) = url.host().filter(|_| bare) else {
        return Err(bad(field, "an endpoint is scheme, host and port: no path, query or user".to_owned()));
    };
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    Ok(format!("{}://{host}{port}", url.scheme()))
}

/// Scheme, host, port and path.
pub(crate) fn address(field: &'static str, text: &str) -> Result<Url, ConfigError> {
    let wrong = |message: String| Err(bad(field, message));
    let Ok(url) = Url::parse(text) else { return wrong(format!("`{}` is no URL", shown(text))) };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let Some(host) = url.host().filter(|_| bare) else {
        return wrong("an endpoint is scheme, host and port: no path, query or user".to_owned());
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&host) => Ok(url),
        "http" => wrong("an endpoint is reached in clear text on loopback only: `https://`".to_owned()),
        other => wrong(format!("`{}` is neither `https` nor `http`", shown(other))),
    }
}

/// What is wrong with a URL that has parameters in its path: as [`address`], whatever they are.
pub(crate) fn template(field: &'static str, text: &str) -> Result<(), ConfigError> {
    let filled: String = text.chars().map(|c| if matches!(c, '{' | '}' | '*') { '_' } else { c }).collect();
    address(field, &filled).map(drop)
}

/// What is wrong with authorities for an address, the `what`, that shows no certificate.
pub(crate) fn unverifiable(ca: Option<&Path>, address: &str, what: &str) -> Option<ConfigError> {
    let unused = ca.is_some() && address.starts_with("http:");
    unused.then(|| bad("ca", format!("an `http://` {what} has no certificate to verify")))
}

/// Who may vouch for the server at an address: these authorities, or the system's.
pub(crate) fn trust(ca: Option<&Path>, address: &str, base: &Path) -> Result<Trust, ConfigError> {
    Trust::read(Written { ca, ..Written::default() }, address.starts_with("https:"), base)
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

/// A problem of one field.
pub(crate) fn bad(field: &'static str, message: String) -> ConfigError {
    ConfigError { field, message }
}

/// User input in a message, kept short.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
