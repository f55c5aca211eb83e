//! `soap = { … }`: which operation a target is, where it is, and whom it knows.

use super::{Form, Soap, Template, UsernameToken};
use crate::{
    backend::{
        Backend, ConfigError, duration,
        endpoint::{self, Carries},
        http::{HttpConfig, template::Template as Url},
        remote::Remote,
    },
    soap::{
        Version, action,
        wsdl::{Operation, Wanted},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// `soap = { … }` in a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SoapConfig {
    /// WSDL 1.1 file that describes the service; files that it names are read beside it, and nothing is fetched.
    pub wsdl: Option<PathBuf>,
    /// The operation, as the WSDL names it.
    pub operation: Option<String>,
    /// The service, where the WSDL has several with that operation.
    pub service: Option<String>,
    /// The port, where the service has several with that operation.
    pub port: Option<String>,
    /// The version; with a WSDL only needed where ports differ in nothing else. With a template default `"1.1"`.
    pub version: Option<SoapVersion>,
    /// What is in the body, instead of a WSDL: XML in which `{name}` stands for a path parameter, `{header.name}` for a
    /// header, and `{body.name}` for a member of the body.
    pub template: Option<String>,
    /// The action of the template's message.
    pub action: Option<String>,
    /// Elements of answers to a template that are arrays in JSON, however often they come.
    #[serde(default)]
    pub arrays: Vec<String>,
    /// Query parameters that are members of the input, as path parameters of such names are.
    #[serde(default)]
    pub query: Vec<String>,
    /// Where, instead of what the WSDL says: `http://` or `https://`, host, optional port and path.
    pub url: Option<String>,
    /// A user and password in the message's header (WS-Security).
    pub username_token: Option<UsernameToken>,
    /// PEM file of the authorities that may vouch for the server, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Who the server must be: the SPIFFE ID of its certificate, instead of its name; needs `ca`.
    pub server_id: Option<String>,
    /// PEM file of the certificate that this gateway shows: the chain, leaf first.
    pub client_certificate: Option<PathBuf>,
    /// Its private key by reference: `"file:PATH"` of a PEM file.
    pub client_key: Option<String>,
    /// The user that the gateway is to the service (HTTP Basic); needs `password`.
    pub user: Option<String>,
    /// The user's password by reference: `"env:NAME"` or `"file:PATH"`, read again when it changes.
    pub password: Option<String>,
    /// A bearer token by reference, instead of a user.
    pub bearer: Option<String>,
    /// Headers whose values are secrets, by reference.
    #[serde(default)]
    pub secret_headers: BTreeMap<String, String>,
    /// Longest time to connect, TLS included, such as `"3s"`.
    #[serde(default = "crate::backend::connect_timeout")]
    pub connect_timeout: String,
}

/// A version of SOAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
pub enum SoapVersion {
    /// SOAP 1.1.
    #[serde(rename = "1.1")]
    V11,
    /// SOAP 1.2.
    #[serde(rename = "1.2")]
    V12,
}

impl From<SoapVersion> for Version {
    fn from(version: SoapVersion) -> Self {
        match version {
            SoapVersion::V11 => Self::V11,
            SoapVersion::V12 => Self::V12,
        }
    }
}

impl Remote for SoapConfig {
    fn kind(&self) -> &'static str {
        "soap"
    }

    fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        let mut bad = |field, message: &str| problems.push(endpoint::bad(field, message.to_owned()));
        match (&self.wsdl, &self.template) {
            (Some(_), None) => {
                if self.operation.is_none() {
                    bad("operation", "a WSDL has operations: which one this is");
                }
                let unused = [("action", self.action.is_some()), ("arrays", !self.arrays.is_empty())];
                for (field, _) in unused.into_iter().filter(|(_, given)| *given) {
                    bad(field, "the WSDL says it");
                }
            }
            (None, Some(_)) => {
                if self.url.is_none() {
                    bad("url", "a template does not say where the service is");
                }
                let unused = [
                    ("operation", self.operation.is_some()),
                    ("service", self.service.is_some()),
                    ("port", self.port.is_some()),
                    ("query", !self.query.is_empty()),
                ];
                for (field, _) in unused.into_iter().filter(|(_, given)| *given) {
                    bad(field, "it is for a WSDL, and this is a template");
                }
            }
            (Some(_), Some(_)) => bad("template", "a message is described by a WSDL or written, not both"),
            (None, None) => bad("wsdl", "what is sent: a `wsdl` and its `operation`, or a `template`"),
        }
        if self.action.as_deref().is_some_and(|action| !action::is_action(action)) {
            bad("action", "it is no URI");
        }
        problems.extend(self.template.as_deref().and_then(|text| Template::parse(text).err()));
        if let Some(url) = &self.url {
            let carries = Carries::of(self.proves());
            problems.extend(endpoint::template_of("url", url, carries).err());
            problems.extend(Url::parse(url).err().filter(|_| problems.is_empty()));
            problems.extend(endpoint::unverifiable(self.ca.as_deref(), url, "url"));
        }
        problems.extend(self.username_token.as_ref().and_then(|token| token.problem().err()));
        problems.extend(duration("connect_timeout", &self.connect_timeout).err());
        problems
    }

    fn parameters(&self) -> Vec<String> {
        let written = self.template.as_deref().and_then(|text| Template::parse(text).ok());
        let mut names: Vec<String> = written.iter().flat_map(Template::parameters).map(str::to_owned).collect();
        let url = self.url.as_deref().and_then(|url| Url::parse(url).ok());
        names.extend(url.iter().flat_map(Url::parameters).map(str::to_owned));
        names
    }

    fn is_exposed(&self) -> bool {
        self.url.as_deref().is_some_and(endpoint::is_exposed)
    }

    fn files(&self) -> Vec<&Path> {
        let key = self.client_key.as_deref().and_then(|key| key.strip_prefix("file:")).map(Path::new);
        [self.wsdl.as_deref(), self.client_certificate.as_deref(), key].into_iter().flatten().collect()
    }

    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        Soap::new(self, base).map(Backend::Soap)
    }

    fn made(&self, backend: &Backend, base: &Path) -> bool {
        let Backend::Soap(Soap { inner: made, .. }) = backend else { return false };
        let same = |form: Form| {
            let http = form.url(self).map(|url| self.http(&url));
            made.form == form && http.is_ok_and(|http| made.http.same_config(&http, base))
        };
        made.config == *self && self.form(base).is_ok_and(same)
    }
}

impl SoapConfig {
    /// Whether something goes along that proves the gateway.
    pub(super) fn proves(&self) -> bool {
        let given = [&self.password, &self.bearer].into_iter().any(Option::is_some);
        given || self.username_token.is_some() || !self.secret_headers.is_empty()
    }

    pub(super) fn form(&self, base: &Path) -> Result<Form, ConfigError> {
        let version = self.version.map(Version::from);
        if let Some(text) = &self.template {
            let action = self.action.as_deref().unwrap_or_default().into();
            return Ok(Form::Written(Template::parse(text)?, version.unwrap_or(Version::V11), action));
        }
        let Some(wsdl) = &self.wsdl else {
            return Err(endpoint::bad("wsdl", "there is neither a WSDL nor a template".to_owned()));
        };
        let wanted = Wanted {
            operation: self.operation.as_deref(),
            action: None,
            service: self.service.as_deref(),
            port: self.port.as_deref(),
            version,
        };
        let operation = Operation::load(&base.join(wsdl), &wanted);
        let operation = operation.map_err(|why| endpoint::bad("wsdl", format!("`{}`: {why}", wsdl.display())))?;
        Ok(Form::Described(Box::new(operation)))
    }

    pub(super) fn http(&self, url: &str) -> HttpConfig {
        HttpConfig {
            server_id: self.server_id.clone(),
            client_certificate: self.client_certificate.clone(),
            client_key: self.client_key.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
            bearer: self.bearer.clone(),
            secret_headers: self.secret_headers.clone(),
            ..HttpConfig::plain(url, self.ca.as_deref(), &self.connect_timeout)
        }
    }
}
