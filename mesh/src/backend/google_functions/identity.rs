//! ID tokens: by a service account's key, from the machine's metadata server, or by workload identity federation.

mod federation;

use crate::{
    backend::{ConfigError, endpoint},
    secret::{Reference, read_file},
    token::{
        Kept, Lease, TokenError,
        endpoint::{Endpoint, one, token},
        jwt,
    },
};
use federation::Federation;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use std::{env, path::Path, str, sync::Arc};
use url::Url;

/// Where the machine's metadata server is; `GCE_METADATA_HOST` says otherwise.
const METADATA: &str = "metadata.google.internal";

/// Where it has ID tokens.
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/identity";

/// What the metadata server is asked with, and answers with.
const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");

/// What assertions are made out to, wherever they are sent.
const ASSERTION_AUDIENCE: &str = "https://oauth2.googleapis.com/token";

/// What an assertion is exchanged by.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long an assertion counts, in seconds: the most that is taken.
const ASSERTION_SECONDS: u64 = 3600;

/// `credentials = …`: exactly one of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GoogleCredentials {
    /// The key file of a service account, by reference: `"file:PATH"` or `"env:NAME"`. Read again for each token.
    ServiceAccount(String),
    /// The identity of the machine that the gateway runs on: `""`, or another address of its metadata server.
    Metadata(String),
    /// The configuration file of workload identity federation, by reference: `"file:PATH"`.
    Federation(String),
}

/// A service account's key file.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key_id: Option<String>,
    #[serde(deserialize_with = "secret")]
    private_key: SecretString,
    token_uri: String,
}

impl GoogleCredentials {
    pub(super) fn problems(&self) -> Vec<ConfigError> {
        let message = match self {
            Self::ServiceAccount(text) => Reference::parse("service_account", text, Path::new("")).err(),
            Self::Federation(text) => Reference::parse("federation", text, Path::new("")).err(),
            Self::Metadata(text) if text.is_empty() => None,
            Self::Metadata(text) => endpoint::endpoint("metadata", text).err().map(|problem| problem.message),
        };
        message.map(|message| endpoint::bad("credentials", message)).into_iter().collect()
    }

    /// The token made out to `audience`, fetched when it is needed.
    pub(super) fn token(&self, audience: &str, base: &Path) -> Result<Kept<SecretString>, ConfigError> {
        let bad = |error: TokenError| endpoint::bad("credentials", error.to_string());
        let reference = |text: &str| {
            Reference::parse("credentials", text, base).map_err(|message| endpoint::bad("credentials", message))
        };
        let audience: Arc<str> = audience.into();
        match self {
            Self::ServiceAccount(text) => {
                let file = reference(text)?;
                KeyFile::read(&file).and_then(|key| key.endpoint()).map_err(bad)?;
                Ok(Kept::new(move || {
                    let (file, audience) = (file.clone(), audience.clone());
                    Box::pin(async move { KeyFile::read(&file)?.token(&audience).await })
                }))
            }
            Self::Metadata(written) => {
                let at = Endpoint::new(metadata(written, env::var("GCE_METADATA_HOST").ok())?)?;
                Ok(Kept::new(move || {
                    let (at, audience) = (at.clone(), audience.clone());
                    Box::pin(async move { of_the_machine(&at, &audience).await })
                }))
            }
            Self::Federation(text) => {
                let file = reference(text)?;
                Federation::read(&file).and_then(|federation| federation.check()).map_err(bad)?;
                let base: Arc<Path> = base.into();
                Ok(Kept::new(move || {
                    let (file, audience, base) = (file.clone(), audience.clone(), base.clone());
                    Box::pin(async move { Federation::read(&file)?.token(&audience, &base).await })
                }))
            }
        }
    }
}

impl KeyFile {
    fn read(file: &Reference) -> Result<Self, TokenError> {
        let text = file.read_whole().map_err(TokenError::new)?;
        // The cause could repeat parts of the key.
        let parsed = serde_json::from_str(text.expose_secret());
        parsed.map_err(|_| TokenError::new("`service_account` is no key file of a service account"))
    }

    fn endpoint(&self) -> Result<Endpoint, TokenError> {
        let url = endpoint::address("token_uri", &self.token_uri);
        url.and_then(Endpoint::new).map_err(|problem| TokenError::new(problem.to_string()))
    }

    async fn token(&self, audience: &str) -> Result<Lease<SecretString>, TokenError> {
        let now = jwt::since_epoch().as_secs();
        let claims = json!({
            "iss": self.client_email, "aud": ASSERTION_AUDIENCE, "target_audience": audience,
            "iat": now, "exp": now + ASSERTION_SECONDS,
        });
        let assertion = jwt::signed(&claims, &self.private_key, self.private_key_id.as_deref())?;
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion.expose_secret())];
        lease(token(&self.endpoint()?.form(&form, HeaderMap::new()).await?, "id_token")?)
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// A token lasts as long as it says of itself.
fn lease(token: SecretString) -> Result<Lease<SecretString>, TokenError> {
    let lifetime = jwt::lifetime(token.expose_secret())?;
    Ok(Lease { value: token, lifetime })
}

fn metadata(written: &str, host: Option<String>) -> Result<Url, ConfigError> {
    let text = match (written, host.as_deref()) {
        ("", None | Some("")) => format!("http://{METADATA}{METADATA_PATH}"),
        ("", Some(host)) => format!("http://{host}{METADATA_PATH}"),
        (written, _) => format!("{}{METADATA_PATH}", endpoint::endpoint("credentials", written)?),
    };
    Url::parse(&text).map_err(|_| endpoint::bad("credentials", "the metadata server's address is no URL".to_owned()))
}

async fn of_the_machine(at: &Endpoint, audience: &str) -> Result<Lease<SecretString>, TokenError> {
    let answer = at.get_whole(&[("audience", audience), ("format", "full")], one(FLAVOR.0, FLAVOR.1)).await?;
    // Whoever else answers at that address does not know to say so.
    if answer.headers().get(FLAVOR.0).is_none_or(|value| value != FLAVOR.1) {
        return Err(TokenError::new("what answers is no metadata server"));
    }
    let text = str::from_utf8(answer.body()).map_err(|_| TokenError::new("the metadata server's token is no text"))?;
    lease(token(&json!({ "id_token": text.trim() }), "id_token")?)
}

/// A file's first token, as those who put it there write it.
fn subject(path: &Path) -> Result<String, TokenError> {
    read_file(path).map(|text| text.trim().to_owned()).map_err(TokenError::new)
}
