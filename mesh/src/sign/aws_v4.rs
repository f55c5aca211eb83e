//! AWS Signature Version 4, in headers. The body is signed with the rest, so it is known whole.

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use http::Request;
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use std::time::SystemTime;

/// Who signs.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The access key's id; it stands in every signature, so it is no secret.
    pub(crate) id: String,
    /// The access key's secret.
    pub(crate) secret: SecretString,
    /// The token of temporary credentials.
    pub(crate) token: Option<SecretString>,
}

/// Where a signature counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// Region.
    pub(crate) region: &'a str,
    /// Service.
    pub(crate) service: &'a str,
    /// When.
    pub(crate) at: SystemTime,
}

/// What services differ in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Dots and empty segments are taken out of the path before it is signed.
    pub(crate) normalize: bool,
    /// The path, which is percent-encoded, is encoded once more in what is signed.
    pub(crate) encode_again: bool,
    /// The session token is signed with the rest, not only added.
    pub(crate) sign_token: bool,
    /// The body's hash is a header too.
    pub(crate) hash_header: bool,
}

/// A request that can't be signed: a header is not text, or the URI is not one.
#[derive(Debug, thiserror::Error)]
#[error("the request can't be signed: {0}")]
pub(crate) struct SignError(String);

/// The form that all services but storage take.
impl Default for Form {
    fn default() -> Self {
        Self { normalize: true, encode_again: true, sign_token: true, hash_header: true }
    }
}

/// Adds `authorization`, `x-amz-date` and what else belongs to a signature.
pub(crate) fn sign_request(
    request: &mut Request<Full<bytes::Bytes>>,
    body: &[u8],
    keys: &Keys,
    scope: Scope<'_>,
    form: Form,
) -> Result<(), SignError> {
    let failed = |error: &dyn std::error::Error| SignError(error.to_string());
    let token = keys.token.as_ref().map(|token| token.expose_secret().to_owned());
    let secret = keys.secret.expose_secret();
    let identity = Credentials::new(keys.id.as_str(), secret, token, None, "latchwork").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(scope.at)
        .settings(form.settings())
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let mut headers = Vec::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| SignError(format!("`{name}` is not UTF-8")))?;
        headers.push((name.as_str(), text));
    }
    let method = request.method().as_str();
    let uri = request.uri().to_string();
    let signable = SignableRequest::new(method, uri, headers.into_iter(), SignableBody::Bytes(body));
    let signed = sign(signable.map_err(|error| failed(&error))?, &params).map_err(|error| failed(&error))?;
    signed.into_parts().0.apply_to_request_http1x(request);
    Ok(())
}

impl Form {
    fn settings(self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        settings.uri_path_normalization_mode = UriPathNormalizationMode::from(self.normalize);
        settings.percent_encoding_mode =
            if self.encode_again { PercentEncodingMode::Double } else { PercentEncodingMode::Single };
        settings.session_token_mode =
            if self.sign_token { SessionTokenMode::Include } else { SessionTokenMode::Exclude };
        settings.payload_checksum_kind =
            if self.hash_header { PayloadChecksumKind::XAmzSha256 } else { PayloadChecksumKind::NoHeader };
        settings
    }
}

#[cfg(test)]
mod tests;
