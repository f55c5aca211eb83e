//! Servers that are known by SPIFFE ID: the one URI of their certificate is who they are, whatever name they are called by.

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
};

/// Longest SPIFFE ID, in bytes.
const ID_BYTES_MAX: usize = 2048;

/// Verifies a server's chain, and that its leaf is the X509-SVID of one workload.
#[derive(Debug)]
pub(super) struct ByServerId {
    id: Arc<str>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ByServerId {
    /// Only the workload `id`, vouched for by `roots`.
    pub(super) fn new(id: Arc<str>, roots: Arc<RootCertStore>, provider: Arc<CryptoProvider>) -> Self {
        Self { id, roots, provider }
    }
}

impl ServerCertVerifier for ByServerId {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        match id(leaf) {
            Some(id) if *id == *self.id => Ok(ServerCertVerified::assertion()),
            Some(id) => Err(Error::General(format!("the server is `{id}`, not `{}`", self.id))),
            None => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The workload of a leaf: exactly one URI, no authority, a key for signatures and nothing above it (X509-SVID §2–§4).
fn id(leaf: &CertificateDer<'_>) -> Option<String> {
    let (rest, certificate) = X509Certificate::from_der(leaf).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let (mut uris, mut signs) = (Vec::new(), false);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                uris.extend(names.general_names.iter().filter_map(|name| match name {
                    GeneralName::URI(uri) => Some(*uri),
                    _ => None,
                }));
            }
            ParsedExtension::BasicConstraints(constraints) if constraints.ca => return None,
            ParsedExtension::KeyUsage(usage) => {
                signs = usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign();
            }
            _ => {}
        }
    }
    match *uris {
        [uri] if signs && is_id(uri) => Some(uri.to_owned()),
        _ => None,
    }
}

/// Whether a text is the SPIFFE ID of a workload, by the letter of the standard.
pub(super) fn is_id(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("spiffe://").filter(|_| text.len() <= ID_BYTES_MAX) else { return false };
    let Some((domain, path)) = rest.split_once('/') else { return false };
    let mark = |b: u8| matches!(b, b'.' | b'-' | b'_');
    let in_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || mark(b);
    let in_segment = |b: u8| b.is_ascii_alphanumeric() || mark(b);
    let sound = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_segment);
    (1..=255).contains(&domain.len()) && domain.bytes().all(in_domain) && path.split('/').all(sound)
}
