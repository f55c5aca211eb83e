//! User and password in a message's header: the UsernameToken of WS-Security 1.0.

use crate::{
    backend::{ConfigError, endpoint},
    invocation::{CallContext, InvokeError},
    secret::{Reference, Secret},
    soap::{Version, xml},
};
use aws_lc_rs::{digest, rand};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::{fmt::Write as _, path::Path};

/// The namespace of such headers.
pub(super) const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const PROFILE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0";
const BASE64: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// Bytes that make a digest another one each time.
const NONCE_BYTES: usize = 16;

/// `username_token = { … }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsernameToken {
    /// The user.
    pub user: String,
    /// The user's password by reference: `"env:NAME"` or `"file:PATH"`, read again when it changes.
    pub password: String,
    /// Send a digest of the password, a nonce and the time (SHA-1, as the profile says) instead of the password.
    #[serde(default)]
    pub digest: bool,
}

/// The token with its secret.
#[derive(Debug)]
pub(super) struct Security {
    user: String,
    password: Secret,
    digest: bool,
}

impl UsernameToken {
    /// What is wrong with it as it is written.
    pub(super) fn problem(&self) -> Result<(), ConfigError> {
        if self.user.is_empty() || xml::push_text(&mut String::new(), &self.user).is_none() {
            return Err(endpoint::bad("username_token", format!("`{}` is no user", endpoint::shown(&self.user))));
        }
        let reference = Reference::parse("password", &self.password, Path::new(""));
        reference.map(drop).map_err(|message| endpoint::bad("password", message))
    }
}

impl Security {
    /// Reads the password a first time.
    pub(super) fn new(token: &UsernameToken, base: &Path) -> Result<Self, ConfigError> {
        let password = Secret::new("password", &token.password, base);
        let password = password.map_err(|message| endpoint::bad("password", message))?;
        Ok(Self { user: token.user.clone(), password, digest: token.digest })
    }

    /// The element of a message's header. It says itself what `soap` is: the envelope may be somebody else's.
    pub(super) fn header(&self, context: &CallContext, version: Version) -> Result<String, InvokeError> {
        let password = self.password.value();
        let password = password.expose_secret();
        let (kind, said, more) = match self.digest {
            false => ("PasswordText", password.to_owned(), String::new()),
            true => {
                let mut nonce = [0; NONCE_BYTES];
                rand::fill(&mut nonce).map_err(|_| InvokeError::NoCredential("no random numbers".to_owned()))?;
                let created = format!("{:.3}", context.accepted);
                let more = format!(
                    "<wsse:Nonce EncodingType=\"{BASE64}\">{}</wsse:Nonce><wsu:Created xmlns:wsu=\"{UTILITY}\">{created}</wsu:Created>",
                    STANDARD.encode(nonce)
                );
                ("PasswordDigest", digested(&nonce, &created, password), more)
            }
        };
        let understand = if version == Version::V11 { "1" } else { "true" };
        let soap = version.namespace();
        let mut out = format!(
            "<wsse:Security xmlns:wsse=\"{SECURITY}\" xmlns:soap=\"{soap}\" soap:mustUnderstand=\"{understand}\"><wsse:UsernameToken><wsse:Username>"
        );
        let unsaid = || InvokeError::NoCredential("the password has a character that XML can't hold".to_owned());
        xml::push_text(&mut out, &self.user).ok_or_else(unsaid)?;
        let _ = write!(out, "</wsse:Username><wsse:Password Type=\"{PROFILE}#{kind}\">");
        xml::push_text(&mut out, &said).ok_or_else(unsaid)?;
        let _ = write!(out, "</wsse:Password>{more}</wsse:UsernameToken></wsse:Security>");
        Ok(out)
    }
}

/// The profile's digest; it names SHA-1, and the secret in it is what protects it.
fn digested(nonce: &[u8], created: &str, password: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    for part in [nonce, created.as_bytes(), password.as_bytes()] {
        context.update(part);
    }
    STANDARD.encode(context.finish())
}
