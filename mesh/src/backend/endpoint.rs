//! Addresses of providers as they are written: over TLS, and in clear text on loopback or where nothing secret goes.

use super::{
    ConfigError,
    http::trust::{Trust, Written},
};
use std::{net::IpAddr, path::Path};
use url::{Host, Url};

/// Most characters of user input in a message.
const SHOWN_CHARS_MAX: usize = 80;

/// What goes to an address besides calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Something that proves the gateway: clear text counts on loopback only.
    Proof,
    /// Nothing: clear text is the operator's affair, who is warned of it in production.
    Nothing,
}

impl Carries {
    /// By whether there is something that proves the gateway.
    pub(crate) fn of(proof: bool) -> Self {
        if proof { Self::Proof } else { Self::Nothing }
    }
}

/// Scheme, host and port; no path, query or user.
pub(crate) fn endpoint(field: &'static str, text: &str) -> Result<String, ConfigError> {
    origin(field, text, Carries::Proof)
}

/// As [`endpoint`], for what goes there.
pub(crate) fn origin(field: &'static str, text: &str, carries: Carries) -> Result<String, ConfigError> {
    let url = read(field, text, carries)?;
    let bare = url.path() == "/" && url.query().is_none();
    let Some(host) = url.host().filter(|_| bare) else {
        return Err(bad(field, "an endpoint is scheme, host and port: no path, query or user".to_owned()));
    };
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    Ok(format!("{}://{host}{port}", url.scheme()))
}

/// Scheme, host, port and path.
pub(crate) fn address(field: &'static str, text: &str) -> Result<Url, ConfigError> {
    read(field, text, Carries::Proof)
}

fn read(field: &'static str, text: &str, carries: Carries) -> Result<Url, ConfigError> {
    let wrong = |message: String| Err(bad(field, message));
    let Ok(url) = Url::parse(text) else { return wrong(format!("`{}` is no URL", shown(text))) };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let Some(host) = url.host().filter(|_| bare) else {
        return wrong("an endpoint is scheme, host and port: no path, query or user".to_owned());
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if carries == Carries::Nothing || is_loopback(&host) => Ok(url),
        "http" => wrong("an endpoint is reached in clear text on loopback only: `https://`".to_owned()),
        other => wrong(format!("`{}` is neither `https` nor `http`", shown(other))),
    }
}

/// What is wrong with a URL that has parameters in its path: as [`address`], whatever they are.
pub(crate) fn template(field: &'static str, text: &str) -> Result<(), ConfigError> {
    template_of(field, text, Carries::Proof)
}

/// As [`template`], for what goes there.
pub(crate) fn template_of(field: &'static str, text: &str, carries: Carries) -> Result<(), ConfigError> {
    let filled: String = text.chars().map(|c| if matches!(c, '{' | '}' | '*') { '_' } else { c }).collect();
    read(field, &filled, carries).map(drop)
}

/// Whether an address is reached in clear text over a network.
pub(crate) fn is_exposed(text: &str) -> bool {
    text.starts_with("http:") && template_of("url", text, Carries::Proof).is_err()
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

/// Longest name of a function, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// What is wrong with a function's name or id where it is one segment of a path.
pub(crate) fn name(field: &'static str, text: &str) -> Result<(), ConfigError> {
    let sound = (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let message = || format!("`{}` is no name or id of a function", shown(text));
    if sound { Ok(()) } else { Err(bad(field, message())) }
}

/// A problem of one field.
pub(crate) fn bad(field: &'static str, message: String) -> ConfigError {
    ConfigError { field, message }
}

/// User input in a message, kept short.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
