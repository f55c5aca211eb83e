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

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
        SanType,
    };

    const ID: &str = "spiffe://prod.example/shop";

    fn leaf(ids: &[&str]) -> CertificateParams {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.subject_alt_names.extend(ids.iter().map(|id| SanType::URI((*id).try_into().unwrap())));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params
    }

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn only_the_svid_of_that_workload_is_the_server() {
        let (ours, others) = (authority(), authority());
        let mut roots = RootCertStore::empty();
        roots.add(ours.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = ByServerId::new(ID.into(), Arc::new(roots), provider);
        let with = |change: fn(&mut CertificateParams)| {
            let mut params = leaf(&[ID]);
            change(&mut params);
            params
        };
        let cases = [
            ("the right one", leaf(&[ID]), &ours, true),
            ("of another authority", leaf(&[ID]), &others, false),
            ("another workload", leaf(&["spiffe://prod.example/shop2"]), &ours, false),
            ("another domain", leaf(&["spiffe://prod.example.net/shop"]), &ours, false),
            ("no URI", leaf(&[]), &ours, false),
            ("two URIs", leaf(&[ID, "spiffe://prod.example/other"]), &ours, false),
            ("two URIs, no ID", leaf(&[ID, "https://prod.example/"]), &ours, false),
            ("an ID in capitals", leaf(&["SPIFFE://prod.example/shop"]), &ours, false),
            ("an authority", with(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), &ours, false),
            ("no usage", with(|p| p.key_usages.clear()), &ours, false),
            ("signs certificates", with(|p| p.key_usages.push(KeyUsagePurpose::KeyCertSign)), &ours, false),
            (
                "for clients only",
                with(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
                &ours,
                false,
            ),
            ("over", with(|p| p.not_after = rcgen::date_time_ymd(2001, 1, 1)), &ours, false),
        ];
        let name = ServerName::try_from("elsewhere.example").unwrap();
        for (what, params, issuer, good) in cases {
            let made = params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap();
            let verified = verifier.verify_server_cert(made.der(), &[], &name, &[], UnixTime::now());
            assert_eq!(verified.is_ok(), good, "{what}: {verified:?}");
        }
    }
}
