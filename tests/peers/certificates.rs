//! An authority and a server's certificate for loopback, made for one test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
};
use tokio_rustls::TlsAcceptor;

/// As PEM.
#[derive(Debug)]
pub struct Certificates {
    /// The authority.
    pub ca: String,
    /// The certificate of `localhost` and 127.0.0.1.
    pub server: String,
    key: String,
}

impl Certificates {
    /// Makes them.
    pub fn new() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Another name than the server's: some clients take equal ones for a certificate that vouches for itself.
        authority.distinguished_name.push(rcgen::DnType::CommonName, "the authority of a test");
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let mut server = CertificateParams::new(vec!["localhost".to_owned()]).expect("a host name");
        server.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let server = server.signed_by(&key, &authority).expect("a certificate");
        Self { ca: authority.pem(), server: server.pem(), key: key.serialize_pem() }
    }

    /// Writes `ca.pem`, `server.pem` and `server.key`, the key for its owner only.
    pub fn write(&self, folder: &Path) {
        for (name, text) in [("ca.pem", &self.ca), ("server.pem", &self.server), ("server.key", &self.key)] {
            fs::write(folder.join(name), text).expect("the folder is ours");
        }
        let owner_only = fs::Permissions::from_mode(0o600);
        fs::set_permissions(folder.join("server.key"), owner_only).expect("the key is ours");
    }

    /// The server's end of TLS.
    pub fn acceptor(&self) -> TlsAcceptor {
        let chain = vec![CertificateDer::from_pem_slice(self.server.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = versions.expect("TLS 1.2 and 1.3 are built in").with_no_client_auth();
        TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).expect("the key fits the certificate")))
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
