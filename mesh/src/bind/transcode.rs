//! Calls of a method of gRPC as requests of HTTP, and back, by the rules of google.api.http.

mod annotation;
mod field;
pub mod request;
mod sent;
pub mod status;
pub mod template;
#[cfg(test)]
mod tests;
mod told;

pub use annotation::Rule;
pub(crate) use sent::Sent;
pub use told::Told;

use super::protobuf::Method;
use bytes::Bytes;
use field::FieldPath;
use http::Method as Verb;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as Field};
use std::fmt;
use template::Template;

/// Methods of HTTP that a rule may name.
const METHODS: [Verb; 5] = [Verb::GET, Verb::POST, Verb::PUT, Verb::PATCH, Verb::DELETE];

/// One way in which a method of gRPC is called by HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    rule: Rule,
    template: Template,
    /// The field of each of the template's variables.
    variables: Vec<FieldPath>,
    body: Body,
    /// The field of the answer that is sent, if it is not the whole.
    answer: Option<FieldDescriptor>,
    method: Method,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    None,
    All,
    Field(FieldDescriptor),
}

impl Binding {
    /// Checks a rule against the messages of its method.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn new(method: &Method, rule: Rule) -> Result<Self, String> {
        if method.takes_stream() {
            return Err("it takes a stream of messages, which a request of HTTP is not".to_owned());
        }
        if let Some(verb) = rule.method.as_ref().filter(|verb| !METHODS.contains(verb)) {
            return Err(format!("`{verb}` is no method here: GET, POST, PUT, PATCH, DELETE, or any"));
        }
        let template = Template::parse(&rule.path).map_err(|error| format!("`{}`: {error}", rule.path))?;
        let (input, output) = (method.descriptor().input(), method.descriptor().output());
        let variable = |variable: &template::Variable| {
            let named = variable.field.join(".");
            let field = FieldPath::find(&input, variable.field.iter().map(String::as_str));
            let field = field.map_err(|why| format!("`{{{named}}}`: {why} in `{}`", input.full_name()))?;
            match field.is_text() && !field.is_list() {
                true => Ok(field),
                false => Err(format!("`{{{named}}}` is a message, list or map, and no part of a path")),
            }
        };
        let variables: Vec<FieldPath> = template.variables().iter().map(variable).collect::<Result<_, _>>()?;
        let body = match rule.body.as_deref() {
            None => Body::None,
            Some("*") => Body::All,
            Some(name) => Body::Field(outermost(&input, name, "body")?),
        };
        if matches!((&body, &rule.method), (Body::All | Body::Field(_), Some(verb)) if *verb == Verb::GET) {
            return Err("a GET request has no body".to_owned());
        }
        if let Body::Field(field) = &body
            && variables.iter().any(|variable| variable.leaf() == Some(field))
        {
            return Err(format!("`{}` is in the path and the body", field.name()));
        }
        let answer = rule.response_body.as_deref().map(|name| outermost(&output, name, "response_body")).transpose()?;
        Ok(Self { rule, template, variables, body, answer, method: method.clone() })
    }

    /// The rule of a method that has none: all of its message is the body.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn plain(method: &Method) -> Result<Self, String> {
        let body = Some("*".to_owned());
        Self::new(method, Rule { method: Some(Verb::POST), path: method.path(), body, response_body: None })
    }

    /// The names of the fields that its paths hold.
    pub fn parameters(&self) -> impl Iterator<Item = String> {
        self.template.variables().iter().map(|variable| variable.field.join("."))
    }

    /// The method of HTTP; `None` is any that a rule may name.
    #[must_use]
    pub fn verb(&self) -> Option<&Verb> {
        self.rule.method.as_ref()
    }

    /// Whether a request of this method of HTTP can be one of it.
    #[must_use]
    pub fn takes(&self, verb: &Verb) -> bool {
        let own = |verb: &Verb| self.rule.method.as_ref().map_or_else(|| METHODS.contains(verb), |own| own == verb);
        // A HEAD is a GET without its body. That of a stream has a length only at its end.
        own(verb) || *verb == Verb::HEAD && own(&Verb::GET) && !self.method.answers_stream()
    }

    /// Its paths.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The method of gRPC.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }
}

impl fmt::Display for Binding {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(verb) = &self.rule.method {
            write!(f, "{verb} ")?;
        }
        f.write_str(&self.rule.path)
    }
}

fn outermost(message: &MessageDescriptor, name: &str, key: &str) -> Result<FieldDescriptor, String> {
    let field = message.get_field_by_name(name);
    field.ok_or_else(|| format!("`{key}`: `{}` has no field `{name}`", message.full_name()))
}

/// Whether a message is bytes and their media type, which HTTP has as they are.
fn is_http_body(message: &MessageDescriptor) -> bool {
    message.full_name() == "google.api.HttpBody"
}

/// Such a message.
fn raw(message: MessageDescriptor, content_type: &str, data: &Bytes) -> Option<DynamicMessage> {
    let mut body = DynamicMessage::new(message.clone());
    for (number, value) in [(1, Field::String(content_type.to_owned())), (2, Field::Bytes(data.clone()))] {
        body.try_set_field(&message.get_field(number)?, value).ok()?;
    }
    Some(body)
}

/// The message of a field that holds one such.
fn http_body(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !field.is_list() && !field.is_map() && is_http_body(&message) => Some(message),
        _ => None,
    }
}
