//! Keys of the machine that the gateway runs on, from its metadata service: by session (IMDSv2), never without.

use super::container::lease;
use crate::{
    secret::sensitive,
    sign::aws_v4::Keys,
    token::{
        Lease, TokenError,
        endpoint::{Endpoint, one},
    },
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use std::str;
use url::Url;

/// Where the service is.
const ADDRESS: &str = "http://169.254.169.254";

/// Where sessions begin.
const SESSION_PATH: &str = "/latest/api/token";

/// Where the machine's role is named, and below it the role's keys.
const ROLE_PATH: &str = "/latest/meta-data/iam/security-credentials/";

/// How long a session lasts, in seconds: it is for one fetch.
const SESSION_TTL: (&str, &str) = ("x-aws-ec2-metadata-token-ttl-seconds", "60");

const SESSION: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// Longest name of a role, in bytes.
const ROLE_BYTES_MAX: usize = 128;

/// The metadata service.
#[derive(Debug)]
pub(super) struct Instance {
    address: Url,
    endpoint: Endpoint,
}

impl Instance {
    /// At the machine's own address, or another.
    pub(super) fn new(address: Option<&str>) -> Result<Self, String> {
        let address = Url::parse(address.unwrap_or(ADDRESS)).map_err(|_| "the metadata service's address is no URL")?;
        let endpoint = Endpoint::new(address.clone()).map_err(|problem| problem.to_string())?;
        Ok(Self { address, endpoint })
    }

    /// Keys for a while.
    pub(super) async fn fetch(&self) -> Result<Lease<Keys>, TokenError> {
        let session = self.at(SESSION_PATH)?.send(Method::PUT, Bytes::new(), one(SESSION_TTL.0, SESSION_TTL.1)).await?;
        let session = text(session.body())?;
        let session = sensitive(session).ok_or_else(|| TokenError::new("the session can't stand in a header"))?;
        let role = self.ask(ROLE_PATH, &session).await?;
        let role = text(&role)?.lines().next().unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-');
        if role.is_empty() || role.len() > ROLE_BYTES_MAX || !role.bytes().all(plain) {
            return Err(TokenError::new("the machine has no role"));
        }
        let keys = self.ask(&format!("{ROLE_PATH}{role}"), &session).await?;
        // The cause could repeat parts of the keys.
        let keys: Value = serde_json::from_slice(&keys).map_err(|_| TokenError::new("what answers is no JSON"))?;
        match keys.get("Code").and_then(Value::as_str) {
            Some("Success") | None => lease(&keys),
            Some(code) => Err(TokenError::new(format!("the role's keys: {}", crate::backend::exchange::plain(code)))),
        }
    }

    async fn ask(&self, path: &str, session: &HeaderValue) -> Result<Bytes, TokenError> {
        let headers = HeaderMap::from_iter([(SESSION, session.clone())]);
        Ok(self.at(path)?.send(Method::GET, Bytes::new(), headers).await?.into_body())
    }

    fn at(&self, path: &str) -> Result<Endpoint, TokenError> {
        let url = self.address.join(path).map_err(|_| TokenError::new("the address of the keys is no URL"))?;
        Ok(self.endpoint.at(url))
    }
}

fn text(body: &[u8]) -> Result<&str, TokenError> {
    str::from_utf8(body).map(str::trim).map_err(|_| TokenError::new("what answers is no text"))
}
