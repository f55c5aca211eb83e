//! What a 401 says in `WWW-Authenticate` (RFC 9110, 11.6.1): one challenge for each kind of credential that counts.

use http::{HeaderName, HeaderValue};

/// A scheme of credentials. Only `Bearer` is a registered one; the others are named so that people can read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A token (RFC 6750).
    Bearer,
    /// A client certificate in the TLS handshake.
    Certificate,
    /// An API key in a header of its own.
    ApiKey,
    /// A signature over the body, in headers of its own.
    Webhook,
}

/// A scheme that counts where the call came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The scheme.
    pub scheme: Scheme,
    /// The header that holds the credential, where that is not `Authorization`.
    pub header: Option<HeaderName>,
}

/// Which credentials count, and what is wrong with the one that was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// `error`; absent when no credential was sent.
    pub error: Option<&'static str>,
    /// `error_description`: fixed words, never the credential's.
    pub description: Option<&'static str>,
    /// The scheme that the error is about; `None` when it is about several.
    pub scheme: Option<Scheme>,
    /// What counts; none is said as `Bearer`.
    pub offers: Vec<Offer>,
}

impl Scheme {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Certificate => "ClientCertificate",
            Self::ApiKey => "ApiKey",
            Self::Webhook => "Webhook",
        }
    }

    /// `error` of a bad credential.
    #[must_use]
    pub const fn error(self) -> &'static str {
        match self {
            Self::Bearer => "invalid_token",
            Self::Certificate => "invalid_certificate",
            Self::ApiKey => "invalid_key",
            Self::Webhook => "invalid_signature",
        }
    }
}

impl Challenge {
    /// The field's values, one for each scheme: a list in one field is more than many clients can read.
    #[must_use]
    pub fn headers(&self) -> Vec<HeaderValue> {
        let bearer = [Offer { scheme: Scheme::Bearer, header: None }];
        let offers = if self.offers.is_empty() { &bearer } else { self.offers.as_slice() };
        let about = self.scheme.filter(|scheme| offers.iter().any(|offer| offer.scheme == *scheme));
        let own = self.scheme.filter(|_| about.is_none()).map(|scheme| Offer { scheme, header: None });
        let about = self.scheme.or(offers.first().map(|offer| offer.scheme));
        let mut left = (self.error, self.description);
        let all = own.iter().chain(offers);
        all.map(|offer| {
            value(offer, if Some(offer.scheme) == about { std::mem::take(&mut left) } else { (None, None) })
        })
        .collect()
    }
}

/// Quoted strings hold fixed words and names of headers only, so nothing needs escaping.
fn value(offer: &Offer, (error, description): (Option<&str>, Option<&str>)) -> HeaderValue {
    let mut value = format!("{} realm=\"latchwork\"", offer.scheme.name());
    let header = offer.header.as_ref().map(HeaderName::as_str);
    for (name, text) in [("header", header), ("error", error), ("error_description", description)] {
        if let Some(text) = text {
            value.push_str(&format!(", {name}=\"{text}\""));
        }
    }
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("Bearer"))
}
