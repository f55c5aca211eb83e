//! Tokens of Entra ID: by client credentials, or for the identity of the machine.

use crate::{
    backend::{ConfigError, endpoint},
    secret::{Reference, Secret},
    token::{
        Kept, Lease, TokenError,
        endpoint::{Endpoint, expires_in, one, token},
    },
};
use http::{HeaderMap, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::{env, path::Path, sync::Arc};
use url::Url;

/// Where tokens of the public cloud come from.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// The machine's own metadata service: in clear text, and never routed.
const METADATA: &str = "http://169.254.169.254";

/// Its path and version.
const METADATA_PATH: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01";

/// What says that a token proves a client.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// `entra = { … }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntraConfig {
    /// The tenant: a GUID or a domain.
    pub tenant: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret by reference: `"env:NAME"` or `"file:PATH"`.
    pub client_secret: Option<String>,
    /// A token of another issuer that proves the client instead of a secret (workload identity), by reference; its file is
    /// read again each time.
    pub federated_token: Option<String>,
    /// What the token is for, such as `"api://shop/.default"`.
    pub scope: String,
    /// Another place to ask for tokens than that of the public cloud: the whole URL.
    pub token_endpoint: Option<String>,
}

/// `managed_identity = { … }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManagedIdentityConfig {
    /// What the token is for, such as `"api://shop"`.
    pub resource: String,
    /// Which identity of the machine, by its client id, if there are several.
    pub client_id: Option<String>,
    /// Another address of the metadata service than the machine's own, or that of `IDENTITY_ENDPOINT`.
    pub endpoint: Option<String>,
}

impl EntraConfig {
    pub(super) fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        let tenant = &self.tenant;
        let sound = (1..=253).contains(&tenant.len())
            && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
        if !sound {
            problems.push(endpoint::bad("tenant", format!("`{}` is no tenant", endpoint::shown(tenant))));
        }
        if self.client_id.is_empty() {
            problems.push(endpoint::bad("client_id", "the client's id is empty".to_owned()));
        }
        if self.scope.is_empty() || self.scope.contains(' ') {
            problems.push(endpoint::bad("scope", "one scope, such as `api://shop/.default`".to_owned()));
        }
        let references = [("client_secret", &self.client_secret), ("federated_token", &self.federated_token)];
        for (field, written) in references {
            let read = written.as_deref().map(|text| Reference::parse(field, text, Path::new("")));
            problems.extend(read.and_then(Result::err).map(|message| endpoint::bad(field, message)));
        }
        if self.client_secret.is_some() == self.federated_token.is_some() {
            let message = "a client is proved by `client_secret` or by `federated_token`".to_owned();
            problems.push(endpoint::bad("client_secret", message));
        }
        let place = self.token_endpoint.as_deref().map(|text| endpoint::address("token_endpoint", text));
        problems.extend(place.and_then(Result::err));
        problems
    }

    /// The token, fetched when it is needed.
    pub(super) fn token(&self, base: &Path) -> Result<Kept<SecretString>, ConfigError> {
        let place = match &self.token_endpoint {
            Some(place) => place.clone(),
            None => format!("{AUTHORITY}/{}/oauth2/v2.0/token", self.tenant),
        };
        let at = Endpoint::new(endpoint::address("token_endpoint", &place)?)?;
        let secret = self.client_secret.as_deref().map(|text| Secret::new("client_secret", text, base)).transpose();
        let secret = secret.map_err(|message| endpoint::bad("client_secret", message))?;
        let federated = self.federated_token.as_deref().map(|text| Reference::parse("federated_token", text, base));
        let federated = federated.transpose().map_err(|message| endpoint::bad("federated_token", message))?;
        let client = Arc::new(Client { config: self.clone(), at, secret, federated });
        Ok(Kept::new(move || {
            let client = client.clone();
            Box::pin(async move { client.fetch().await })
        }))
    }
}

#[derive(Debug)]
struct Client {
    config: EntraConfig,
    at: Endpoint,
    secret: Option<Secret>,
    federated: Option<Reference>,
}

impl Client {
    async fn fetch(&self) -> Result<Lease<SecretString>, TokenError> {
        let EntraConfig { client_id, scope, .. } = &self.config;
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", client_id), ("scope", scope)];
        let secret = self.secret.as_ref().map(Secret::value);
        if let Some(secret) = &secret {
            form.push(("client_secret", secret.expose_secret()));
        }
        let assertion = self.federated.as_ref().map(Reference::read).transpose().map_err(TokenError::new)?;
        if let Some(assertion) = &assertion {
            form.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)]);
        }
        let answer = self.at.form(&form, HeaderMap::new()).await?;
        Ok(Lease { value: token(&answer, "access_token")?, lifetime: expires_in(&answer) })
    }
}

impl ManagedIdentityConfig {
    pub(super) fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        if self.resource.is_empty() {
            problems.push(endpoint::bad("resource", "what the token is for, such as `api://shop`".to_owned()));
        }
        let place = self.endpoint.as_deref().map(|text| endpoint::endpoint("endpoint", text));
        problems.extend(place.and_then(Result::err));
        problems
    }

    /// The token, fetched when it is needed.
    pub(super) fn token(&self) -> Result<Kept<SecretString>, ConfigError> {
        let (place, headers) = self.place(&|name| env::var(name).ok().filter(|value| !value.is_empty()))?;
        let at = Endpoint::new(place)?;
        let config = self.clone();
        Ok(Kept::new(move || {
            let (at, headers, config) = (at.clone(), headers.clone(), config.clone());
            Box::pin(async move {
                let mut query = vec![("resource", &*config.resource)];
                query.extend(config.client_id.as_deref().map(|id| ("client_id", id)));
                let answer = at.get(&query, headers).await?;
                Ok(Lease { value: token(&answer, "access_token")?, lifetime: expires_in(&answer) })
            })
        }))
    }

    /// The platform's own endpoint where it says so in the environment, else the machine's metadata service.
    pub(super) fn place(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<(Url, HeaderMap), ConfigError> {
        let bad = |message: &str| endpoint::bad("endpoint", message.to_owned());
        let platform = (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER"));
        let (text, headers) = match (&self.endpoint, platform) {
            (Some(written), _) => (format!("{written}{METADATA_PATH}"), one("metadata", "true")),
            (None, (Some(place), Some(header))) => {
                let value = crate::secret::sensitive(&header).ok_or_else(|| bad("`IDENTITY_HEADER` is no header"))?;
                let headers = HeaderMap::from_iter([(HeaderName::from_static("x-identity-header"), value)]);
                (format!("{place}?api-version=2019-08-01"), headers)
            }
            (None, (Some(_), None)) => return Err(bad("`IDENTITY_ENDPOINT` is set without `IDENTITY_HEADER`")),
            (None, (None, _)) => (format!("{METADATA}{METADATA_PATH}"), one("metadata", "true")),
        };
        Ok((Url::parse(&text).map_err(|_| bad("the address of the metadata service is no URL"))?, headers))
    }
}
