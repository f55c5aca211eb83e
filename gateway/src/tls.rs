//! TLS towards callers: 1.3 and 1.2 (AEAD), X25519MLKEM768 preferred, certificates that can be replaced while serving.

use crate::config;
use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{path::Path, sync::Arc};

/// Why a certificate and its key can't serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or holds no PEM of that kind.
    #[error("`{path}` holds no usable {what}: {reason}")]
    File {
        /// The file.
        path: String,
        /// `certificate` or `private key`.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// Key and certificate do not belong together, or the key's kind is not supported.
    #[error("certificate `{path}` and its key do not fit: {source}")]
    Mismatch {
        /// The certificate's file.
        path: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// The certificate in force on a listener.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(tls: &config::Tls) -> Result<Self, TlsError> {
        Ok(Self(ArcSwap::from_pointee(read(tls)?)))
    }

    /// Reads them again; what was in force stays if they do not serve. `true` if they changed.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn reload(&self, tls: &config::Tls) -> Result<bool, TlsError> {
        let fresh = read(tls)?;
        let changed = fresh.cert != self.0.load().cert;
        self.0.store(Arc::new(fresh));
        Ok(changed)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The one provider of the process: aws-lc-rs with the post-quantum exchange first.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    match CryptoProvider::get_default() {
        Some(provider) => provider.clone(),
        None => {
            // Another thread may have been faster; then its provider is the same one.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            Arc::new(rustls::crypto::aws_lc_rs::default_provider())
        }
    }
}

/// What a listener's handshakes use.
///
/// # Errors
/// When the provider supports none of the versions: never with the one above.
pub fn server(certificate: Arc<Certificate>) -> Result<ServerConfig, rustls::Error> {
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions)?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // No early data: it can be replayed, and a replayed call has effects.
    config.max_early_data_size = 0;
    Ok(config)
}

fn read(tls: &config::Tls) -> Result<CertifiedKey, TlsError> {
    let file = |path: &Path, what, reason: String| TlsError::File { path: path.display().to_string(), what, reason };
    let pem = |path: &Path, what| std::fs::read(path).map_err(|e| file(path, what, e.to_string()));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(&tls.certificate, "certificate")?).collect();
    let chain = chain.map_err(|e| file(&tls.certificate, "certificate", e.to_string()))?;
    if chain.is_empty() {
        return Err(file(&tls.certificate, "certificate", "there is none".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem(&tls.key, "private key")?);
    let key = key.map_err(|e| file(&tls.key, "private key", e.to_string()))?;
    let path = || tls.certificate.display().to_string();
    let certified = CertifiedKey::from_der(chain, key, &provider());
    certified.map_err(|source| TlsError::Mismatch { path: path(), source })
}
