//! Workload identity federation: another issuer's token for one of the security token service, that for a service account's.

use super::{Purpose, access, lease, subject};
use crate::{
    backend::endpoint::address,
    secret::{Reference, sensitive},
    token::{
        Lease, TokenError,
        endpoint::{Endpoint, token},
    },
};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How a service account's access token is asked for, and its ID token.
const FOR_ACCESS: &str = ":generateAccessToken";
const FOR_IDENTITY: &str = ":generateIdToken";

/// The configuration file, as `gcloud iam workload-identity-pools create-cred-config` writes it.
#[derive(Deserialize)]
pub(super) struct Federation {
    #[serde(rename = "type")]
    kind: String,
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: CredentialSource,
}

/// Where the other issuer's token is.
#[derive(Deserialize)]
struct CredentialSource {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: Option<String>,
}

impl Federation {
    pub(super) fn read(file: &Reference) -> Result<Self, TokenError> {
        let text = file.read_whole().map_err(TokenError::new)?;
        let parsed: Self = serde_json::from_str(text.expose_secret())
            .map_err(|error| TokenError::new(format!("`federation` is no configuration of federation: {error}")))?;
        Ok(parsed)
    }

    /// What can be known before a token is asked for.
    pub(super) fn check(&self, purpose: &Purpose) -> Result<(), TokenError> {
        if self.kind != "external_account" {
            return Err(TokenError::new(format!("`type` is `{}`, not `external_account`", self.kind)));
        }
        let source = &self.credential_source;
        if source.file.is_some() == source.url.is_some() {
            return Err(TokenError::new("`credential_source` is a `file` or a `url`; others are not supported"));
        }
        source.url.iter().try_for_each(|url| at(url).map(drop))?;
        at(&self.token_url)?;
        match purpose {
            Purpose::Identity(_) => self.identity().map(drop),
            Purpose::Access(_) => self.service_account_impersonation_url.iter().try_for_each(|url| at(url).map(drop)),
        }
    }

    /// An ID token needs a service account that stands for the workload.
    fn identity(&self) -> Result<Endpoint, TokenError> {
        let unnamed =
            || TokenError::new("`service_account_impersonation_url` is missing: ID tokens need a service account");
        let url = self.service_account_impersonation_url.as_deref().ok_or_else(unnamed)?;
        let account = url.strip_suffix(FOR_ACCESS).ok_or_else(unnamed)?;
        at(&format!("{account}{FOR_IDENTITY}"))
    }

    pub(super) async fn token(&self, purpose: &Purpose, base: &Path) -> Result<Lease<SecretString>, TokenError> {
        let theirs = self.subject_token(base).await?;
        let form = [
            ("grant_type", TOKEN_EXCHANGE),
            ("audience", &*self.audience),
            ("scope", SCOPE),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token_type", &*self.subject_token_type),
            ("subject_token", &*theirs),
        ];
        let workload = access(&at(&self.token_url)?.form(&form, HeaderMap::new()).await?)?;
        match (purpose, &self.service_account_impersonation_url) {
            (Purpose::Identity(audience), _) => {
                let wanted = json!({ "audience": &**audience, "includeEmail": true });
                lease(token(&self.identity()?.post(&wanted, &workload.value).await?, "token")?)
            }
            (Purpose::Access(scope), Some(account)) => {
                let answer = at(account)?.post(&json!({ "scope": [scope] }), &workload.value).await?;
                let end: Option<Timestamp> =
                    answer.get("expireTime").and_then(Value::as_str).and_then(|end| end.parse().ok());
                let end = end.ok_or_else(|| TokenError::new("the answer has no `expireTime`"))?;
                let lifetime = Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default();
                Ok(Lease { value: token(&answer, "accessToken")?, lifetime })
            }
            // The workload has rights of its own.
            (Purpose::Access(_), None) => Ok(workload),
        }
    }

    async fn subject_token(&self, base: &Path) -> Result<String, TokenError> {
        let CredentialSource { file, url, headers, format } = &self.credential_source;
        let text = match (file, url) {
            (Some(file), _) => subject(&base.join(file))?,
            (None, Some(url)) => {
                let mut fields = HeaderMap::new();
                for (name, value) in headers {
                    let odd = || TokenError::new(format!("the header `{name}` can't be sent"));
                    let name = HeaderName::try_from(name).map_err(|_| odd())?;
                    // It may prove who asks.
                    fields.insert(name, sensitive(value).ok_or_else(odd)?);
                }
                let answer = at(url)?.get_whole(&[], fields).await?;
                String::from_utf8_lossy(answer.body()).trim().to_owned()
            }
            (None, None) => return Err(TokenError::new("`credential_source` is a `file` or a `url`")),
        };
        match format {
            Some(format) if format.kind == "json" => {
                let field = format.subject_token_field_name.as_deref().unwrap_or("access_token");
                let document: Option<Value> = serde_json::from_str(&text).ok();
                let found = document.as_ref().and_then(|d| d.get(field)).and_then(Value::as_str).map(str::to_owned);
                found.ok_or_else(|| TokenError::new(format!("the subject's document has no `{field}`")))
            }
            _ => Ok(text),
        }
    }
}

fn at(url: &str) -> Result<Endpoint, TokenError> {
    let url = address("credentials", url).and_then(Endpoint::new);
    url.map_err(|problem| TokenError::new(problem.message))
}
