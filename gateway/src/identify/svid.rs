//! Client certificates as SPIFFE X509-SVIDs: read once per connection. A chain that verifies is not yet an identity.

use super::{Fault, spiffe};
use crate::tls;
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::{fmt, sync::Arc, time::Duration};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
};

/// Longest leaf that is read, in bytes.
const LEAF_BYTES_MAX: usize = 64 * 1024;

/// The certificate that a client showed on a connection, whose chain was verified in the handshake.
pub(crate) struct ClientCertificate {
    chain: Box<[CertificateDer<'static>]>,
    svid: Result<Svid, Fault>,
    server: Arc<tls::Server>,
    vouched: Arc<tls::Clients>,
}

/// What an SVID says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Svid {
    /// SPIFFE ID, verbatim.
    pub(crate) id: Arc<str>,
    /// Until when it counts.
    pub(crate) expires: Timestamp,
}

impl ClientCertificate {
    /// The certificate of a connection, if the client showed one. `vouched` verified its chain.
    pub(crate) fn of(
        connection: &rustls::ServerConnection,
        server: &Arc<tls::Server>,
        vouched: Option<&Arc<tls::Clients>>,
    ) -> Option<Arc<Self>> {
        let (chain, vouched) = (connection.peer_certificates()?, vouched?);
        let leaf = chain.first()?;
        let svid = read(leaf);
        let chain = chain.iter().map(|c| c.clone().into_owned()).collect();
        Some(Arc::new(Self { chain, svid, server: server.clone(), vouched: vouched.clone() }))
    }

    /// What it says, if it still counts: connections outlive certificates and the authorities that vouched.
    pub(crate) fn check(&self, now: Timestamp) -> Result<&Svid, Fault> {
        let svid = self.svid.as_ref().map_err(|fault| *fault)?;
        if svid.expires <= now {
            return Err(Fault::CertificateExpired);
        }
        match self.server.clients() {
            Some(in_force) if Arc::ptr_eq(&in_force, &self.vouched) => Ok(svid),
            Some(in_force) if self.vouched_by(&in_force, now) => Ok(svid),
            Some(_) | None => Err(Fault::CertificateAuthority),
        }
    }

    fn vouched_by(&self, clients: &tls::Clients, now: Timestamp) -> bool {
        let Some((leaf, intermediates)) = self.chain.split_first() else { return false };
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        clients.verifier().verify_client_cert(leaf, intermediates, now).is_ok()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("svid", &self.svid).finish_non_exhaustive()
    }
}

/// The rules for leaves of the X509-SVID standard.
fn read(leaf: &CertificateDer<'_>) -> Result<Svid, Fault> {
    let whole = X509Certificate::from_der(leaf).ok().filter(|_| leaf.len() <= LEAF_BYTES_MAX);
    let (rest, certificate) = whole.ok_or(Fault::CertificateForm)?;
    if !rest.is_empty() {
        return Err(Fault::CertificateForm);
    }
    let mut extensions = Extensions::default();
    for extension in certificate.extensions() {
        extensions.take(extension.parsed_extension())?;
    }
    let id = extensions.check()?;
    let expires = Timestamp::from_second(certificate.validity().not_after.timestamp());
    Ok(Svid { id, expires: expires.map_err(|_| Fault::CertificateForm)? })
}

/// What counts among a leaf's extensions; each comes once at most.
#[derive(Default)]
struct Extensions {
    names: Option<Vec<Arc<str>>>,
    authority: Option<bool>,
    usage: Option<u16>,
    client: Option<bool>,
}

impl Extensions {
    fn take(&mut self, extension: &ParsedExtension<'_>) -> Result<(), Fault> {
        let twice = match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                let mut uris = Vec::new();
                for name in &names.general_names {
                    match name {
                        GeneralName::URI(uri) => uris.push(Arc::from(*uri)),
                        GeneralName::Invalid(..) => return Err(Fault::CertificateForm),
                        _ => {}
                    }
                }
                self.names.replace(uris).is_some()
            }
            ParsedExtension::BasicConstraints(constraints) => self.authority.replace(constraints.ca).is_some(),
            ParsedExtension::KeyUsage(usage) => self.usage.replace(usage.flags).is_some(),
            ParsedExtension::ExtendedKeyUsage(usage) => self.client.replace(usage.client_auth).is_some(),
            ParsedExtension::ParseError { .. } => true,
            _ => false,
        };
        if twice { Err(Fault::CertificateForm) } else { Ok(()) }
    }

    fn check(self) -> Result<Arc<str>, Fault> {
        const DIGITAL_SIGNATURE: u16 = 1;
        const KEY_CERT_SIGN: u16 = 1 << 5;
        const CRL_SIGN: u16 = 1 << 6;
        let mut names = self.names.unwrap_or_default().into_iter();
        let (Some(id), None) = (names.next(), names.next()) else { return Err(Fault::CertificateName) };
        if spiffe::trust_domain(&id).is_none() {
            return Err(Fault::CertificateId);
        }
        if self.authority == Some(true) {
            return Err(Fault::CertificateLeaf);
        }
        let usage = self.usage.unwrap_or_default();
        if usage & DIGITAL_SIGNATURE == 0 || usage & (KEY_CERT_SIGN | CRL_SIGN) != 0 || self.client == Some(false) {
            return Err(Fault::CertificateUsage);
        }
        Ok(id)
    }
}
