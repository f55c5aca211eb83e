//! An operation of a SOAP service: JSON becomes its message, and its answer becomes JSON. Clients of SOAP are passed on.

mod answer;
mod config;
mod passed;
mod security;
mod template;

use super::{
    ConfigError,
    endpoint::{self, Carries},
    http::Http,
};
use crate::{
    bind::strict,
    event,
    invocation::{CallContext, Head, InvokeError, Invoking, Outbound},
    payload::Payload,
    soap::{Name, Version, action, envelope, wsdl::Operation},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use security::Security;
use serde_json::{Map, Value};
use std::{path::Path, sync::Arc};
use template::Template;

pub use config::{SoapConfig, SoapVersion};
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

/// The backend. Its connections and secrets are shared by clones.
#[derive(Clone, Debug)]
pub struct Soap {
    inner: Arc<Inner>,
    /// Callers send messages of the operation, not JSON.
    passing: bool,
}

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
        let inner = Inner { config: config.clone(), http, security, form };
        Ok(Self { inner: Arc::new(inner), passing: false })
    }

    /// The same for a function whose callers send messages with this element in the body (`Some(None)`: with none), or JSON.
    ///
    /// # Errors
    /// When such messages are not the operation's.
    pub fn taking(&self, messages: Option<Option<&Name>>) -> Result<Self, ConfigError> {
        match (&self.inner.form, messages) {
            (Form::Written(..), Some(_)) => {
                let message = "a template makes messages of JSON, and the route takes messages".to_owned();
                return Err(endpoint::bad("template", message));
            }
            (Form::Described(operation), Some(element)) if operation.element() != element => {
                let message = "the operation takes another element than the route".to_owned();
                return Err(endpoint::bad("operation", message));
            }
            (Form::Described(_) | Form::Written(..), _) => {}
        }
        Ok(Self { inner: self.inner.clone(), passing: messages.is_some() })
    }

    /// The path parameters that its texts use.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        let written = match &self.inner.form {
            Form::Described(_) => None,
            Form::Written(template, ..) => Some(template),
        };
        written.into_iter().flat_map(Template::parameters).chain(self.inner.http.parameters())
    }

    /// Sends the message and reads the answer.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { http, .. } = &*self.inner;
            let Outbound { head, payload, context } = outbound;
            let body = event::whole(payload, &context).await?;
            let message = self.message(&head, &body, &context)?;
            let outbound = self.outbound(head, message, context.clone())?;
            let reply = http.invoke(outbound).await?;
            answer::told(reply, &self.inner, self.passing, &context).await
        })
    }

    /// What is in the body of the message.
    fn content(&self, head: &Head, body: &Bytes) -> Result<String, InvokeError> {
        let json = |body: &Bytes| strict::read(body).map_err(|why| bad(format!("the body is not strict JSON: {why}")));
        match &self.inner.form {
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
        let query = query.filter(|(name, _)| self.inner.config.query.iter().any(|known| known == name));
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

    /// What is sent: the caller's own message, or one of its JSON.
    fn message(&self, head: &Head, body: &Bytes, context: &CallContext) -> Result<String, InvokeError> {
        let Inner { security, form, .. } = &*self.inner;
        let token = security.as_ref().map(|security| security.header(context, form.version())).transpose()?;
        if self.passing {
            return passed::message(body, form, token.as_deref());
        }
        let content = self.content(head, body)?;
        Ok(envelope::write(form.version(), token.as_deref().unwrap_or_default(), &content))
    }

    fn outbound(&self, mut head: Head, message: String, context: CallContext) -> Result<Outbound, InvokeError> {
        let form = &self.inner.form;
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
