//! An operation of a SOAP service: JSON becomes its message, and its answer becomes JSON.

mod answer;
mod security;
mod template;

use super::{
    Backend, ConfigError, duration,
    endpoint::{self, Carries},
    http::{Http, HttpConfig, template::Template as Url},
    remote::Remote,
};
use crate::{
    bind::strict,
    event,
    invocation::{CallContext, Head, InvokeError, Invoking, Outbound},
    payload::Payload,
    soap::{
        Version, action, envelope,
        wsdl::{Operation, Wanted},
    },
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use security::Security;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use template::Template;

pub use security::UsernameToken;

/// Headers of the caller that speak of its JSON, not of the message.
const OF_THE_CALLER: [header::HeaderName; 12] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::ORIGIN,
    header::RANGE,
];

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
    #[serde(default = "super::connect_timeout")]
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

/// The backend. Its connections and secrets are shared by clones.
#[derive(Clone, Debug)]
pub struct Soap(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: SoapConfig,
    http: Http,
    security: Option<Security>,
    form: Form,
}

/// Where messages come from.
#[derive(Debug, PartialEq)]
enum Form {
    Described(Box<Operation>),
    Written(Template, Version, Arc<str>),
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
        let Backend::Soap(Soap(made)) = backend else { return false };
        let same = |form: Form| {
            let http = form.url(self).map(|url| self.http(&url));
            made.form == form && http.is_ok_and(|http| made.http.same_config(&http, base))
        };
        made.config == *self && self.form(base).is_ok_and(same)
    }
}

impl SoapConfig {
    /// Whether something goes along that proves the gateway.
    fn proves(&self) -> bool {
        let given = [&self.password, &self.bearer].into_iter().any(Option::is_some);
        given || self.username_token.is_some() || !self.secret_headers.is_empty()
    }

    fn form(&self, base: &Path) -> Result<Form, ConfigError> {
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

    fn http(&self, url: &str) -> HttpConfig {
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

impl Form {
    /// Where messages go.
    fn url(&self, config: &SoapConfig) -> Result<String, ConfigError> {
        let said = match self {
            Self::Described(operation) => operation.location.as_deref(),
            Self::Written(..) => None,
        };
        let url = config.url.as_deref().or(said);
        url.map(str::to_owned).ok_or_else(|| endpoint::bad("url", "the WSDL does not say where it is".to_owned()))
    }

    fn version(&self) -> Version {
        match self {
            Self::Described(operation) => operation.version,
            Self::Written(_, version, _) => *version,
        }
    }

    fn action(&self) -> &str {
        match self {
            Self::Described(operation) => &operation.action,
            Self::Written(_, _, action) => action,
        }
    }
}

impl Soap {
    /// Reads description, secrets and authorities; connects to nothing.
    pub(super) fn new(config: &SoapConfig, base: &Path) -> Result<Self, ConfigError> {
        let form = config.form(base)?;
        let url = form.url(config)?;
        endpoint::template_of("url", &url, Carries::of(config.proves()))?;
        let http = Http::new(&config.http(&url), base)?;
        let security = config.username_token.as_ref().map(|token| Security::new(token, base)).transpose()?;
        Ok(Self(Arc::new(Inner { config: config.clone(), http, security, form })))
    }

    /// The path parameters that its texts use.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        let written = match &self.0.form {
            Form::Described(_) => None,
            Form::Written(template, ..) => Some(template),
        };
        written.into_iter().flat_map(Template::parameters).chain(self.0.http.parameters())
    }

    /// Sends the message and reads the answer.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { http, form, .. } = &*self.0;
            let Outbound { head, payload, context } = outbound;
            let body = event::whole(payload, &context).await?;
            let content = self.content(&head, &body)?;
            let outbound = self.message(head, &content, context.clone())?;
            let reply = http.invoke(outbound).await?;
            answer::told(reply, form, &self.0.config.arrays, &context).await
        })
    }

    /// What is in the body of the message.
    fn content(&self, head: &Head, body: &Bytes) -> Result<String, InvokeError> {
        let json = |body: &Bytes| strict::read(body).map_err(|why| bad(format!("the body is not strict JSON: {why}")));
        match &self.0.form {
            Form::Written(template, ..) => {
                let body = (template.reads_body() || !body.is_empty()).then(|| json(body)).transpose()?;
                template.fill(head, body.as_ref())
            }
            Form::Described(operation) => {
                let input = if body.is_empty() { Value::Object(Map::new()) } else { json(body)? };
                operation.write(&self.whole(operation, head, input)?).map_err(bad)
            }
        }
    }

    /// The input with what path and query say of it. What is said twice is said by nobody.
    fn whole(&self, operation: &Operation, head: &Head, mut input: Value) -> Result<Value, InvokeError> {
        let said = head.query.as_deref().unwrap_or_default();
        let query = url::form_urlencoded::parse(said.as_bytes());
        let query = query.filter(|(name, _)| self.0.config.query.iter().any(|known| known == name));
        let query = query.map(|(name, value)| (name.into_owned(), value.into_owned()));
        let path = head.parameters.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        for (name, value) in path.filter(|(name, _)| operation.has_member(name)).chain(query) {
            let Some(members) = input.as_object_mut() else {
                return Err(bad("the input is no object, and the path says a member of it".to_owned()));
            };
            if members.insert(name.clone(), Value::String(value)).is_some() {
                return Err(bad(format!("`/{}` is given twice", endpoint::shown(&name))));
            }
        }
        Ok(input)
    }

    fn message(&self, mut head: Head, content: &str, context: CallContext) -> Result<Outbound, InvokeError> {
        let form = &self.0.form;
        let security =
            self.0.security.as_ref().map(|security| security.header(&context, form.version())).transpose()?;
        let message = envelope::write(form.version(), security.as_deref().unwrap_or_default(), content);
        let headers: &mut HeaderMap = &mut head.headers;
        for name in &OF_THE_CALLER {
            headers.remove(name);
        }
        headers.insert(header::ACCEPT, HeaderValue::from_static(form.version().media_type()));
        action::announce(headers, form.version(), form.action()).map_err(InvokeError::Unsupported)?;
        head.method = Method::POST;
        // A URL without a path is the service's root, and the caller's query is not the service's.
        head.path = "/".into();
        head.query = None;
        Ok(Outbound { head, payload: Payload::Buffered(message.into()), context })
    }
}

/// Input that the operation does not take.
fn bad(why: String) -> InvokeError {
    InvokeError::BadInput(why)
}

#[cfg(test)]
mod tests;
