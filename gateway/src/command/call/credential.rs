//! What a call shows of its caller: a token, an API key, a client certificate; secrets by reference only.

use crate::{
    client::Identity,
    config::{Config, Credential, Listener},
    dev::Issuer,
    identify::api_key::text,
};
use http::{HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use std::{env, fs::File, io::Read, path::PathBuf};

/// The variable that holds a token when no other is named.
const TOKEN_VARIABLE: &str = "LATCHWORK_TOKEN";
/// Largest secret that is read, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Credentials on the command line.
#[derive(Debug, clap::Args)]
pub(super) struct CredentialArgs {
    /// Bearer token: env:NAME, file:PATH, or `-` for standard input; the variable LATCHWORK_TOKEN unless said
    #[arg(long, value_name = "REFERENCE", conflicts_with = "subject")]
    token: Option<String>,
    /// Call as this person of the development issuer
    #[arg(long = "as", value_name = "SUBJECT")]
    subject: Option<String>,
    /// API key: env:NAME, file:PATH, or `-` for standard input
    #[arg(long, value_name = "REFERENCE")]
    key: Option<String>,
    /// Client certificate: PEM file, leaf first
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Key of the client certificate: PEM file; that of the certificate unless said
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
}

impl CredentialArgs {
    /// Whether one of them is on standard input.
    pub(super) fn on_stdin(&self) -> bool {
        [&self.token, &self.key].into_iter().flatten().any(|reference| reference == "-")
    }

    /// The headers that they become.
    pub(super) fn headers(
        &self,
        config: &Config,
        listener: &Listener,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let both = [&self.token, &self.key].into_iter().flatten().filter(|reference| *reference == "-").count();
        if both > 1 {
            return Err("standard input is one credential, not two".to_owned());
        }
        let mut headers = Vec::new();
        if let Some(token) = self.token(config, listener)? {
            let bearer = SecretString::from(format!("Bearer {}", token.expose_secret()));
            headers.push((header::AUTHORIZATION, value("--token", &bearer)?));
        }
        if let Some(reference) = &self.key {
            let key = referred("--key", reference)?;
            headers.push((key_header(&key, config, listener)?, value("--key", &key)?));
        }
        Ok(headers)
    }

    /// The certificate that is shown.
    pub(super) fn identity(&self) -> Option<Identity> {
        let certificate = self.cert.clone()?;
        let key = self.cert_key.clone().unwrap_or_else(|| certificate.clone());
        Some(Identity { certificate, key })
    }

    /// The token that was given, or one for a person of the development issuer.
    fn token(&self, config: &Config, listener: &Listener) -> Result<Option<SecretString>, String> {
        if let Some(subject) = &self.subject {
            return minted(subject, config, listener).map(Some);
        }
        let given = self.token.as_ref().map(|reference| referred("--token", reference)).transpose()?;
        let unsaid = || env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()).map(SecretString::from);
        Ok(given.or_else(unsaid))
    }
}

fn minted(subject: &str, config: &Config, listener: &Listener) -> Result<SecretString, String> {
    let accepted = |alias: &std::sync::Arc<str>| listener.takes(&Credential::Issuer(alias.clone()));
    let issuer = config.issuers.iter().find(|i| i.development && accepted(&i.alias));
    let issuer = issuer.ok_or("--as needs an issuer with `development = true` on the listener")?;
    if config.node.production {
        return Err("--as is for development; `node.production` is true".to_owned());
    }
    let folder = config.directory.join(crate::dev::FOLDER);
    let mut development =
        Issuer::load(&folder).map_err(|e| e.to_string())?.ok_or("there is no development issuer yet")?;
    development.identify_as(&*issuer.issuer);
    let audience = issuer.audiences.first().ok_or("the issuer has no audience")?;
    let claims = development.claims_of(subject, audience).map_err(|e| e.to_string())?;
    let claims = claims.ok_or_else(|| format!("the development issuer knows no `{subject}`; see dev/people.toml"))?;
    development.mint(&claims).map(Into::into).map_err(|e| e.to_string())
}

/// The header of the keys that this one says it is one of.
fn key_header(key: &SecretString, config: &Config, listener: &Listener) -> Result<HeaderName, String> {
    let parts = text::read(key.expose_secret()).ok_or("--key: this is no API key, or it was copied wrongly")?;
    let alias = parts.alias;
    let keys = config.credentials.api_keys.iter().find(|keys| *keys.alias == *alias);
    let keys = keys.filter(|keys| listener.takes(&Credential::ApiKeys(keys.alias.clone())));
    let keys = keys.ok_or_else(|| format!("--key: listener `{}` takes no API keys of `{alias}`", listener.name))?;
    Ok(keys.header.clone())
}

/// What a reference means. What was written instead of one may be the secret, so it is not repeated.
fn referred(flag: &str, reference: &str) -> Result<SecretString, String> {
    if let Some(name) = reference.strip_prefix("env:") {
        let found = env::var(name).ok().filter(|value| !value.is_empty());
        return found.map(Into::into).ok_or_else(|| format!("{flag}: the environment variable `{name}` is not set"));
    }
    let (shown, read) = match (reference, reference.strip_prefix("file:")) {
        ("-", _) => ("standard input".to_owned(), whole(std::io::stdin().lock())),
        (_, Some(path)) => (format!("`{path}`"), File::open(path).and_then(whole)),
        _ => {
            return Err(format!(
                "{flag} takes a reference, `env:NAME`, `file:PATH` or `-`: others can read a command line"
            ));
        }
    };
    read.map(|text| text.trim().to_owned().into()).map_err(|error| format!("{flag}: {shown} can't be read: {error}"))
}

fn whole(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(SECRET_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn value(flag: &str, secret: &SecretString) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(secret.expose_secret());
    let mut value = value.map_err(|_| format!("{flag}: the secret has characters that no header has"))?;
    value.set_sensitive(true);
    Ok(value)
}
