//! SOAP 1.1 and 1.2: envelopes, what WSDL and XSD say of an operation, and JSON that is mapped to its messages and back.

pub mod action;
mod described;
pub mod envelope;
pub mod fault;
mod inward;
mod outward;
mod schema;
#[cfg(test)]
mod tests;
pub(crate) mod types;
pub mod wsdl;
pub(crate) mod xml;

use std::{fmt, sync::Arc};

/// Attributes of instances: `xsi:nil`.
pub(crate) const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// The two versions that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// SOAP 1.1: `text/xml`, and the action in `SOAPAction`.
    V11,
    /// SOAP 1.2: `application/soap+xml`, and the action in its parameter.
    V12,
}

/// The name of an element: namespace and local part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// Namespace; empty when there is none.
    pub namespace: Arc<str>,
    /// Local part.
    pub local: Arc<str>,
}

impl Version {
    /// The namespace of its envelopes.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Self::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    /// The version of an envelope's namespace.
    fn of(namespace: &str) -> Option<Self> {
        [Self::V11, Self::V12].into_iter().find(|version| version.namespace() == namespace)
    }

    /// The media type of its messages.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::V11 => "text/xml",
            Self::V12 => "application/soap+xml",
        }
    }
}

impl Name {
    /// A name of its parts.
    #[must_use]
    pub fn new(namespace: &str, local: &str) -> Self {
        Self { namespace: namespace.into(), local: local.into() }
    }

    /// Reads `{namespace}local`, or `local` alone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, local) = match text.strip_prefix('{') {
            Some(rest) => rest.split_once('}')?,
            None => ("", text),
        };
        let sound = !local.is_empty() && !local.contains(|c: char| c.is_whitespace() || "{}<>&:\"'/".contains(c));
        let known = !text.starts_with('{') || !namespace.is_empty();
        (sound && known && !namespace.contains(char::is_whitespace)).then(|| Self::new(namespace, local))
    }

    fn of(node: roxmltree::Node<'_, '_>) -> Self {
        Self::new(node.tag_name().namespace().unwrap_or_default(), node.tag_name().name())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => f.write_str(&self.local),
            namespace => write!(f, "{{{namespace}}}{}", self.local),
        }
    }
}
