//! What proves the gateway to a service that asks for it: HTTP Basic, a bearer token, or headers of the service's own. A
//! caller's header of such a name never wins.

use super::HttpConfig;
use crate::{
    backend::{
        ConfigError,
        endpoint::{self, Carries, bad, shown},
    },
    invocation::InvokeError,
    secret::{Secret, credential},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::ExposeSecret;
use std::path::Path;

/// Most headers with secrets.
const HEADERS_MAX: usize = 16;

/// Headers that say what a request is and whose: they are the gateway's, or of one connection.
const NOT_SECRET: [HeaderName; 12] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("traceparent"),
];

/// What names begin with that tell a backend whose call it is.
const NOT_SECRET_PREFIXES: [&str; 2] = ["latchwork-", "x-forwarded-"];

/// See the file's first line. Files are read again when they change.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    user: Option<(String, Secret)>,
    bearer: Option<Secret>,
    headers: Vec<(HeaderName, Secret)>,
}

impl Credentials {
    /// Checks what is written and reads the secrets.
    pub(super) fn new(config: &HttpConfig, base: &Path) -> Result<Self, ConfigError> {
        let secret = |field: &'static str, written: &Option<String>| {
            written.as_deref().map(|written| Secret::new(field, written, base)).transpose()
        };
        let password = secret("password", &config.password).map_err(|message| bad("password", message))?;
        let user = match (&config.user, password) {
            (None, None) => None,
            (Some(user), Some(_)) if user.is_empty() || user.contains(|c: char| c == ':' || c.is_control()) => {
                // RFC 7617, section 2: the first colon ends the user.
                return Err(bad("user", format!("`{}` is no user", shown(user))));
            }
            (Some(user), Some(password)) => Some((user.clone(), password)),
            (Some(_), None) => return Err(bad("user", "a user has a `password`".to_owned())),
            (None, Some(_)) => return Err(bad("password", "a password is a `user`'s".to_owned())),
        };
        let bearer = secret("bearer", &config.bearer).map_err(|message| bad("bearer", message))?;
        if user.is_some() && bearer.is_some() {
            return Err(bad("bearer", "it and a `user` both go into `authorization`".to_owned()));
        }
        let mut headers: Vec<(HeaderName, Secret)> = Vec::new();
        for (name, written) in &config.secret_headers {
            let wrong = |message: String| bad("secret_headers", format!("`{}`: {message}", shown(name)));
            let header = HeaderName::try_from(name).map_err(|_| wrong("this is no header's name".to_owned()))?;
            let taken =
                NOT_SECRET.contains(&header) || NOT_SECRET_PREFIXES.iter().any(|p| header.as_str().starts_with(p));
            if taken {
                return Err(wrong("this header says something else".to_owned()));
            }
            if headers.iter().any(|(other, _)| same(other, &header)) {
                return Err(wrong("it is there twice".to_owned()));
            }
            headers.push((header, Secret::new("secret_headers", written, base).map_err(wrong)?));
        }
        if headers.len() > HEADERS_MAX {
            return Err(bad("secret_headers", format!("there are more than {HEADERS_MAX}")));
        }
        let credentials = Self { user, bearer, headers };
        if !credentials.is_empty() && config.unix.is_none() {
            endpoint::template_of("url", &config.url, Carries::Proof)?;
        }
        Ok(credentials)
    }

    /// Whether nothing proves the gateway.
    pub(super) fn is_empty(&self) -> bool {
        self.user.is_none() && self.bearer.is_none() && self.headers.is_empty()
    }

    /// Puts them into the headers of a request.
    pub(super) fn prove(&self, headers: &mut HeaderMap) -> Result<(), InvokeError> {
        if let Some((user, password)) = &self.user {
            let word = STANDARD.encode(format!("{user}:{}", password.value().expose_secret()));
            headers.insert(header::AUTHORIZATION, credential("the password", &format!("Basic {word}"))?);
        }
        if let Some(token) = &self.bearer {
            headers.insert(header::AUTHORIZATION, token.header("the token", "Bearer ")?);
        }
        if self.headers.is_empty() {
            return Ok(());
        }
        let ours = |name: &&HeaderName| self.headers.iter().any(|(ours, _)| same(ours, name));
        let theirs: Vec<HeaderName> = headers.keys().filter(ours).cloned().collect();
        theirs.iter().for_each(|name| drop(headers.remove(name)));
        for (name, secret) in &self.headers {
            let value: HeaderValue = secret.header("a secret header", "")?;
            headers.insert(name.clone(), value);
        }
        Ok(())
    }
}

/// Whether servers may take one name for the other: many fold `x_api_key` and `x-api-key`.
fn same(one: &HeaderName, other: &HeaderName) -> bool {
    let fold = |b: u8| if b == b'_' { b'-' } else { b };
    one.as_str().bytes().map(fold).eq(other.as_str().bytes().map(fold))
}
