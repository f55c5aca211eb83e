//! ID and access tokens: by a service account's key, from the machine's metadata server, or by workload identity federation.

mod federation;

use crate::{
    backend::{ConfigError, endpoint},
    secret::{Reference, read_file},
    token::{
        Kept, Lease, TokenError,
        endpoint::{Endpoint, expires_in, one, token},
        jwt,
    },
};
use federation::Federation;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use std::{env, path::Path, str, sync::Arc};
use url::Url;

/// Where the machine's metadata server is; `GCE_METADATA_HOST` says otherwise.
const METADATA: &str = "metadata.google.internal";

/// Where it has tokens: of the two kinds, below this.
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default";

/// What the metadata server is asked with, and answers with.
const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");

/// What assertions are made out to, wherever they are sent.
const ASSERTION_AUDIENCE: &str = "https://oauth2.googleapis.com/token";

/// What an assertion is exchanged by.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long an assertion counts, in seconds: the most that is taken.
const ASSERTION_SECONDS: u64 = 3600;

/// What a token is for.
#[derive(Clone, Debug)]
pub(in crate::backend) enum Purpose {
    /// To be shown to a function that it is made out to.
    Identity(Arc<str>),
    /// To use the provider's interfaces of this scope.
    Access(&'static str),
}

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
    pub(in crate::backend) fn problems(&self) -> Vec<ConfigError> {
        let message = match self {
            Self::ServiceAccount(text) => Reference::parse("service_account", text, Path::new("")).err(),
            Self::Federation(text) => Reference::parse("federation", text, Path::new("")).err(),
            Self::Metadata(text) if text.is_empty() => None,
            Self::Metadata(text) => endpoint::endpoint("metadata", text).err().map(|problem| problem.message),
        };
        message.map(|message| endpoint::bad("credentials", message)).into_iter().collect()
    }

    /// The token, fetched when it is needed.
    pub(in crate::backend) fn token(&self, purpose: &Purpose, base: &Path) -> Result<Kept<SecretString>, ConfigError> {
        let bad = |error: TokenError| endpoint::bad("credentials", error.to_string());
        let reference = |text: &str| {
            Reference::parse("credentials", text, base).map_err(|message| endpoint::bad("credentials", message))
        };
        let purpose = purpose.clone();
        match self {
            Self::ServiceAccount(text) => {
                let file = reference(text)?;
                KeyFile::read(&file).and_then(|key| key.endpoint()).map_err(bad)?;
                Ok(Kept::new(move || {
                    let (file, purpose) = (file.clone(), purpose.clone());
                    Box::pin(async move { KeyFile::read(&file)?.token(&purpose).await })
                }))
            }
            Self::Metadata(written) => {
                let at = Endpoint::new(metadata(written, env::var("GCE_METADATA_HOST").ok(), &purpose)?)?;
                Ok(Kept::new(move || {
                    let (at, purpose) = (at.clone(), purpose.clone());
                    Box::pin(async move { of_the_machine(&at, &purpose).await })
                }))
            }
            Self::Federation(text) => {
                let file = reference(text)?;
                Federation::read(&file).and_then(|federation| federation.check(&purpose)).map_err(bad)?;
                let base: Arc<Path> = base.into();
                Ok(Kept::new(move || {
                    let (file, purpose, base) = (file.clone(), purpose.clone(), base.clone());
                    Box::pin(async move { Federation::read(&file)?.token(&purpose, &base).await })
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

    async fn token(&self, purpose: &Purpose) -> Result<Lease<SecretString>, TokenError> {
        let now = jwt::since_epoch().as_secs();
        let mut claims = json!({
            "iss": self.client_email, "aud": ASSERTION_AUDIENCE, "iat": now, "exp": now + ASSERTION_SECONDS,
        });
        let (claim, wanted) = match purpose {
            Purpose::Identity(audience) => ("target_audience", &**audience),
            Purpose::Access(scope) => ("scope", *scope),
        };
        claims.as_object_mut().map(|claims| claims.insert(claim.to_owned(), wanted.into()));
        let assertion = jwt::signed(&claims, &self.private_key, self.private_key_id.as_deref())?;
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion.expose_secret())];
        let answer = self.endpoint()?.form(&form, HeaderMap::new()).await?;
        match purpose {
            Purpose::Identity(_) => lease(token(&answer, "id_token")?),
            Purpose::Access(_) => access(&answer),
        }
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

/// An access token lasts as long as its issuer says beside it.
fn access(answer: &Value) -> Result<Lease<SecretString>, TokenError> {
    Ok(Lease { value: token(answer, "access_token")?, lifetime: expires_in(answer) })
}

fn metadata(written: &str, host: Option<String>, purpose: &Purpose) -> Result<Url, ConfigError> {
    let kind = match purpose {
        Purpose::Identity(_) => "identity",
        Purpose::Access(_) => "token",
    };
    let text = match (written, host.as_deref()) {
        ("", None | Some("")) => format!("http://{METADATA}{METADATA_PATH}/{kind}"),
        ("", Some(host)) => format!("http://{host}{METADATA_PATH}/{kind}"),
        (written, _) => format!("{}{METADATA_PATH}/{kind}", endpoint::endpoint("credentials", written)?),
    };
    Url::parse(&text).map_err(|_| endpoint::bad("credentials", "the metadata server's address is no URL".to_owned()))
}

async fn of_the_machine(at: &Endpoint, purpose: &Purpose) -> Result<Lease<SecretString>, TokenError> {
    let asked = match purpose {
        Purpose::Identity(audience) => vec![("audience", &**audience), ("format", "full")],
        Purpose::Access(scope) => vec![("scopes", *scope)],
    };
    let answer = at.get_whole(&asked, one(FLAVOR.0, FLAVOR.1)).await?;
    // Whoever else answers at that address does not know to say so.
    if answer.headers().get(FLAVOR.0).is_none_or(|value| value != FLAVOR.1) {
        return Err(TokenError::new("what answers is no metadata server"));
    }
    if let Purpose::Access(_) = purpose {
        // The cause could repeat parts of the token.
        let said = serde_json::from_slice(answer.body());
        return access(&said.map_err(|_| TokenError::new("the metadata server's token is no JSON"))?);
    }
    let text = str::from_utf8(answer.body()).map_err(|_| TokenError::new("the metadata server's token is no text"))?;
    lease(token(&json!({ "id_token": text.trim() }), "id_token")?)
}

/// A file's first token, as those who put it there write it.
fn subject(path: &Path) -> Result<String, TokenError> {
    read_file(path).map(|text| text.trim().to_owned()).map_err(TokenError::new)
}
