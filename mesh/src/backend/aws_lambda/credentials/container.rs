//! Keys of the container that the gateway runs in, from an endpoint beside it (ECS tasks, EKS pod identity).

use super::Variable;
use crate::{
    secret::{Reference, sensitive},
    sign::aws_v4::Keys,
    token::{Lease, TokenError, endpoint::Endpoint},
};
use http::{HeaderMap, header::AUTHORIZATION};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use std::{net::IpAddr, time::Duration};
use url::{Host, Url};

/// Where relative addresses are.
const HOST: &str = "http://169.254.170.2";

/// Who may be asked in clear text besides this machine: those beside the container.
const HOSTS: [IpAddr; 3] = [
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// The endpoint, and what proves this container to it.
#[derive(Debug)]
pub(super) struct Container {
    endpoint: Endpoint,
    /// Read again each time: the file changes.
    token: Option<Reference>,
}

impl Container {
    /// As the environment says.
    pub(super) fn by(variable: Variable<'_>) -> Result<Self, String> {
        let text = |name: &str| {
            let read = |value: std::ffi::OsString| value.into_string().map_err(|_| format!("`{name}` is no text"));
            variable(name).map(read).transpose()
        };
        let url = match (text(RELATIVE)?, text(FULL)?) {
            (Some(_), Some(_)) => return Err(format!("both `{RELATIVE}` and `{FULL}` are set")),
            (None, None) => return Err(format!("neither `{RELATIVE}` nor `{FULL}` is in the environment")),
            (Some(path), None) if path.starts_with('/') => parse(RELATIVE, &format!("{HOST}{path}"))?,
            (Some(_), None) => return Err(format!("`{RELATIVE}` is no path")),
            (None, Some(full)) => parse(FULL, &full)?,
        };
        let token = match (text(TOKEN_FILE)?, text(TOKEN)?) {
            (Some(file), _) => Some(Reference::File(file.into())),
            (None, Some(_)) => Some(Reference::Variable(TOKEN.to_owned())),
            (None, None) => None,
        };
        let endpoint = Endpoint::new(url).map_err(|problem| problem.to_string())?;
        Ok(Self { endpoint, token })
    }

    /// Keys for a while.
    pub(super) async fn fetch(&self) -> Result<Lease<Keys>, TokenError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let value = token.read().map_err(TokenError::new)?;
            let value = sensitive(&value).ok_or_else(|| TokenError::new("its token can't stand in a header"))?;
            headers.insert(AUTHORIZATION, value);
        }
        lease(&self.endpoint.get(&[], headers).await?)
    }
}

/// The address, if it may be asked: over TLS anybody, in clear text those on or beside this machine.
fn parse(name: &str, text: &str) -> Result<Url, String> {
    // The address may hold what only this container is to know.
    let url = Url::parse(text).map_err(|_| format!("`{name}` is no URL"))?;
    let near = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback() || HOSTS.contains(&IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => address.is_loopback() || HOSTS.contains(&IpAddr::V6(address)),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if near => Ok(url),
        _ => Err(format!("`{name}` is asked over `https://`, or in clear text beside the container only")),
    }
}

/// Keys as both the container's endpoint and the machine's metadata service write them.
pub(super) fn lease(answer: &Value) -> Result<Lease<Keys>, TokenError> {
    let text = |name: &str| {
        let value = answer.get(name).and_then(Value::as_str).and_then(crate::secret::sound);
        value.ok_or_else(|| TokenError::new(format!("the answer has no `{name}`")))
    };
    let lifetime = lifetime(&text("Expiration")?)?;
    let token = text("Token")?;
    let value = Keys {
        id: text("AccessKeyId")?,
        secret: text("SecretAccessKey")?.into(),
        token: Some(SecretString::from(token)),
    };
    Ok(Lease { value, lifetime })
}

/// How long until then; no time at all if it has passed.
pub(super) fn lifetime(end: &str) -> Result<Duration, TokenError> {
    let end: Timestamp = end.parse().map_err(|_| TokenError::new("`Expiration` is no time"))?;
    Ok(Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default())
}
