//! TLS towards callers: 1.3 and 1.2 (AEAD), X25519MLKEM768 preferred, certificates that can be replaced while serving.

use crate::config;
use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{fmt, path::Path, sync::Arc};

/// Why a certificate and its key, or the authorities of clients, can't serve.
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

/// What the handshakes of a listener use; replaced while serving.
#[derive(Debug)]
pub struct Server(ArcSwap<InForce>);

/// One state of it.
#[derive(Debug)]
pub(crate) struct InForce {
    /// For the acceptor. Its store of sessions goes with it, so that none outlives the authorities that vouched.
    pub(crate) config: Arc<ServerConfig>,
    /// Who vouches for clients.
    pub(crate) clients: Option<Arc<Clients>>,
    chain: Vec<CertificateDer<'static>>,
}

/// Who vouches for clients.
pub(crate) struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    roots: Vec<CertificateDer<'static>>,
    required: bool,
}

impl Server {
    /// Reads certificate, key and authorities.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(tls: &config::Tls) -> Result<Self, TlsError> {
        Ok(Self(ArcSwap::from_pointee(read(tls, None)?)))
    }

    /// Reads them again; what was in force stays if they do not serve. `true` if they changed.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn reload(&self, tls: &config::Tls) -> Result<bool, TlsError> {
        let old = self.0.load_full();
        let fresh = read(tls, old.clients.as_ref())?;
        let same_clients = match (&fresh.clients, &old.clients) {
            (Some(fresh), Some(old)) => Arc::ptr_eq(fresh, old),
            (fresh, old) => fresh.is_none() && old.is_none(),
        };
        if same_clients && fresh.chain == old.chain {
            return Ok(false);
        }
        self.0.store(Arc::new(fresh));
        Ok(true)
    }

    /// What the next handshake uses.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.0.load_full()
    }

    /// When the leaf ends.
    pub(crate) fn not_after(&self) -> Option<jiff::Timestamp> {
        config::not_after(self.0.load().chain.first()?)
    }

    /// Who vouches for clients now.
    pub(crate) fn clients(&self) -> Option<Arc<Clients>> {
        self.0.load().clients.clone()
    }
}

impl Clients {
    /// Checks chains.
    pub(crate) fn verifier(&self) -> &dyn ClientCertVerifier {
        &*self.verifier
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("roots", &self.roots.len()).field("required", &self.required).finish()
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

fn server(certified: CertifiedKey, verifier: Arc<dyn ClientCertVerifier>) -> Result<ServerConfig, rustls::Error> {
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // No early data: it can be replayed, and a replayed call has effects.
    config.max_early_data_size = 0;
    Ok(config)
}

fn read(tls: &config::Tls, old: Option<&Arc<Clients>>) -> Result<InForce, TlsError> {
    let chain = certificates(&tls.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&pem(&tls.key, "private key")?);
    let key = key.map_err(|e| file(&tls.key, "private key", e.to_string()))?;
    let mismatch = |source| TlsError::Mismatch { path: tls.certificate.display().to_string(), source };
    let certified = CertifiedKey::from_der(chain.clone(), key, &provider()).map_err(mismatch)?;
    let clients = tls.clients.as_ref().map(|auth| clients(auth, old)).transpose()?;
    let verifier = clients.as_ref().map_or_else(|| Arc::new(NoClientAuth) as _, |c| c.verifier.clone());
    let config = server(certified, verifier).map_err(mismatch)?;
    Ok(InForce { config: Arc::new(config), clients, chain })
}

/// The same object as before if nothing changed, so that connections need not be looked at again.
fn clients(auth: &config::ClientAuth, old: Option<&Arc<Clients>>) -> Result<Arc<Clients>, TlsError> {
    let roots = certificates(&auth.ca)?;
    if let Some(same) = old.filter(|old| old.roots == roots && old.required == auth.required) {
        return Ok(same.clone());
    }
    let unusable = |error: &dyn fmt::Display| file(&auth.ca, "certificate", error.to_string());
    let mut store = RootCertStore::empty();
    for root in &roots {
        store.add(root.clone()).map_err(|e| unusable(&e))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider());
    let builder = if auth.required { builder } else { builder.allow_unauthenticated() };
    let verifier = builder.build().map_err(|e| unusable(&e))?;
    Ok(Arc::new(Clients { verifier, roots, required: auth.required }))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(path, "certificate")?).collect();
    let chain = chain.map_err(|e| file(path, "certificate", e.to_string()))?;
    if chain.is_empty() { Err(file(path, "certificate", "there is none".to_owned())) } else { Ok(chain) }
}

fn pem(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|e| file(path, what, e.to_string()))
}

fn file(path: &Path, what: &'static str, reason: String) -> TlsError {
    TlsError::File { path: path.display().to_string(), what, reason }
}
