//! Roles that are assumed: with keys, or with a token of another issuer.

use super::{Variable, container::lifetime, of};
use crate::{
    backend::exchange::plain,
    secret::{Reference, sound},
    sign::aws_v4::{Form, Keys, Scope, sign_request},
    token::{Lease, TokenError, endpoint::Endpoint},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use roxmltree::Document;
use secrecy::SecretString;
use std::{str, time::SystemTime};
use url::{Url, form_urlencoded::Serializer};

/// The service that is signed for.
const SERVICE: &str = "sts";

/// The version of the interface.
const VERSION: &str = "2011-06-15";

/// What sessions are called that nobody has named.
const SESSION_NAME: &str = "latchwork";

/// Where roles are assumed.
#[derive(Debug)]
pub(super) struct Sts {
    region: String,
    endpoint: Endpoint,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session_name: String,
    pub(super) external_id: Option<String>,
    /// How long a session lasts; the provider's default when absent.
    pub(super) seconds: Option<u64>,
}

/// A token, and the role that it is exchanged for.
#[derive(Debug)]
pub(super) struct WebIdentity {
    /// Read again each time: the file changes.
    pub(super) token: Reference,
    pub(super) role: Role,
}

impl Role {
    /// Without anything special.
    pub(super) fn new(arn: &str, session_name: Option<&str>) -> Self {
        let session_name = session_name.unwrap_or(SESSION_NAME).to_owned();
        Self { arn: arn.to_owned(), session_name, external_id: None, seconds: None }
    }
}

impl WebIdentity {
    /// As the environment says.
    pub(super) fn by(variable: Variable<'_>) -> Result<Self, String> {
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        let needed = |name: &str| text(name).ok_or_else(|| format!("`{name}` is not in the environment"));
        let token = Reference::File(needed("AWS_WEB_IDENTITY_TOKEN_FILE")?.into());
        let (arn, session_name) = (needed("AWS_ROLE_ARN")?, text("AWS_ROLE_SESSION_NAME"));
        super::written::check_role(&arn).map_err(|problem| format!("`AWS_ROLE_ARN`: {problem}"))?;
        super::written::check_session(session_name.as_deref())?;
        Ok(Self { token, role: Role::new(&arn, session_name.as_deref()) })
    }
}

impl Sts {
    /// At the region's own address, or another.
    pub(super) fn new(region: &str, endpoint: Option<&str>) -> Result<Self, String> {
        let domain = super::super::place::domain(region);
        let address = endpoint.map_or_else(|| format!("https://sts.{region}.{domain}"), str::to_owned);
        let url = Url::parse(&address).map_err(|_| format!("`{address}` is no URL"))?;
        let endpoint = Endpoint::new(url).map_err(|problem| problem.to_string())?;
        Ok(Self { region: region.to_owned(), endpoint })
    }

    /// A session of a role, for whoever has these keys.
    pub(super) async fn assume(&self, role: &Role, keys: &Keys) -> Result<Lease<Keys>, TokenError> {
        let named = of(format!("role `{}`", role.arn));
        let seconds = role.seconds.map(|seconds| seconds.to_string());
        let mut form = Vec::from(role.form("AssumeRole"));
        form.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
        form.extend(seconds.as_deref().map(|seconds| ("DurationSeconds", seconds)));
        self.ask(&form, Some(keys)).await.map_err(named)
    }

    /// A session of a role, for whoever has the token.
    pub(super) async fn exchange(&self, identity: &WebIdentity) -> Result<Lease<Keys>, TokenError> {
        let WebIdentity { token, role } = identity;
        let named = of(format!("role `{}` by web identity", role.arn));
        let token = token.read().map_err(TokenError::new).map_err(&named)?;
        let mut form = Vec::from(role.form("AssumeRoleWithWebIdentity"));
        form.push(("WebIdentityToken", &token));
        self.ask(&form, None).await.map_err(named)
    }

    async fn ask(&self, form: &[(&str, &str)], keys: Option<&Keys>) -> Result<Lease<Keys>, TokenError> {
        let body = Bytes::from(Serializer::new(String::new()).extend_pairs(form).finish());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
        // Asked for JSON, it would answer in a form that is not documented.
        headers.insert(ACCEPT, HeaderValue::from_static("text/xml"));
        let mut request = self.endpoint.request(Method::POST, body.clone(), headers)?;
        if let Some(keys) = keys {
            let scope = Scope { region: &self.region, service: SERVICE, at: SystemTime::now() };
            sign_request(&mut request, &body, keys, scope, Form::default())
                .map_err(|error| TokenError::new(error.to_string()))?;
        }
        lease(&self.endpoint.ask(request).await?)
    }
}

impl Role {
    fn form<'a>(&'a self, action: &'a str) -> [(&'a str, &'a str); 4] {
        let (arn, session) = (self.arn.as_str(), self.session_name.as_str());
        [("Action", action), ("Version", VERSION), ("RoleArn", arn), ("RoleSessionName", session)]
    }
}

/// The session's keys, or the name of the error; its message may name accounts.
fn lease(answer: &Response<Bytes>) -> Result<Lease<Keys>, TokenError> {
    let status = answer.status();
    let text = str::from_utf8(answer.body()).unwrap_or_default();
    // The cause could repeat parts of the keys.
    let document = Document::parse(text).map_err(|_| TokenError::new(format!("{} that is no XML", status.as_u16())))?;
    let member = |name: &str| {
        let found = document.descendants().find(|node| node.tag_name().name() == name);
        found.and_then(|node| node.text()).and_then(sound)
    };
    if status != StatusCode::OK {
        let code = plain(&member("Code").unwrap_or_default());
        return Err(TokenError::new(format!("{} {code}", status.as_u16()).trim_end()));
    }
    let needed = |name: &str| member(name).ok_or_else(|| TokenError::new(format!("the answer has no `{name}`")));
    let lifetime = lifetime(&needed("Expiration")?)?;
    let value = Keys {
        id: needed("AccessKeyId")?,
        secret: needed("SecretAccessKey")?.into(),
        token: Some(SecretString::from(needed("SessionToken")?)),
    };
    Ok(Lease { value, lifetime })
}
