//! TLS towards a backend: who vouches for it, who it must be, and the certificate that this gateway shows.

use super::svid;
use crate::backend::ConfigError;
use rustls::{ClientConfig, RootCertStore, client::WebPkiServerVerifier, crypto::aws_lc_rs, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Longest file of certificates, in bytes. A distribution's whole set has about 200 KiB.
const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What a key's reference begins with.
const FILE: &str = "file:";

/// The keys of a target that say how its TLS is secured, as written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written<'a> {
    /// Authorities, instead of the system's.
    pub(crate) ca: Option<&'a Path>,
    /// The server's SPIFFE ID, instead of its name.
    pub(crate) server_id: Option<&'a str>,
    /// The chain that is shown.
    pub(crate) client_certificate: Option<&'a Path>,
    /// `file:` and the path of its key.
    pub(crate) client_key: Option<&'a str>,
}

/// The same with the files' contents, so that a change of them is a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    authorities: Option<Authorities>,
    server_id: Option<Arc<str>>,
    shown: Option<Shown>,
}

/// A chain and its key. The key's `Debug` shows nothing of it.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Trust {
    /// Reads the files.
    pub(crate) fn read(written: Written<'_>, tls: bool, base: &Path) -> Result<Self, ConfigError> {
        let Written { ca, server_id, client_certificate, client_key } = written;
        let clear = [
            ("ca", ca.is_some(), "has no certificate to verify"),
            ("server_id", server_id.is_some(), "has no certificate to verify"),
            ("client_certificate", client_certificate.is_some(), "shows no certificate"),
            ("client_key", client_key.is_some(), "shows no certificate"),
        ];
        if let Some((field, _, words)) = clear.into_iter().find(|(_, given, _)| *given && !tls) {
            return Err(ConfigError { field, message: format!("an `http://` url {words}") });
        }
        let authorities = ca.map(|ca| Authorities::read(base.join(ca))).transpose()?;
        if let Some(id) = server_id {
            let bad = |message| Err(ConfigError { field: "server_id", message });
            if !svid::is_id(id) {
                return bad(format!("`{id}` is no SPIFFE ID of a workload, such as `spiffe://prod.example/shop`"));
            }
            if authorities.is_none() {
                return bad("nobody vouches for SPIFFE IDs: name the trust domain's authorities in `ca`".to_owned());
            }
        }
        let shown = match (client_certificate, client_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(Shown::read(&base.join(certificate), key, base)?),
            (Some(_), None) => {
                let message = "a certificate is shown with its key: `file:…`".to_owned();
                return Err(ConfigError { field: "client_key", message });
            }
            (None, Some(_)) => {
                let message = "a key is shown with its certificate".to_owned();
                return Err(ConfigError { field: "client_certificate", message });
            }
        };
        Ok(Self { authorities, server_id: server_id.map(Into::into), shown })
    }

    /// What connections use.
    pub(crate) fn client(&self, tls: bool) -> Result<ClientConfig, ConfigError> {
        let roots = Arc::new(match &self.authorities {
            Some(authorities) => authorities.roots()?,
            None if tls => system_roots()?,
            None => RootCertStore::empty(),
        });
        // The provider prefers X25519MLKEM768, so a recorded session stays closed to a later quantum computer.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let unusable =
            |e: &dyn std::fmt::Display| ConfigError { field: "url", message: format!("TLS can't be set up: {e}") };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(|e| unusable(&e))?;
        let builder = match &self.server_id {
            None if roots.is_empty() => builder.with_root_certificates(roots),
            None => {
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
                builder.with_webpki_verifier(verifier.map_err(|e| unusable(&e))?)
            }
            Some(id) => {
                let verifier = svid::ByServerId::new(id.clone(), roots, provider);
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        match &self.shown {
            None => Ok(builder.with_no_client_auth()),
            Some(Shown { chain, key }) => builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(|e| {
                let message = format!("the certificate can't be shown with `client_key`: {e}");
                ConfigError { field: "client_certificate", message }
            }),
        }
    }
}

impl Shown {
    fn read(certificate: &Path, key: &str, base: &Path) -> Result<Self, ConfigError> {
        let field = "client_certificate";
        let pem = bytes(certificate, field)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|e| bad(certificate, field, &format!("is not PEM: {e}")))?;
        if chain.is_empty() {
            return Err(bad(certificate, field, "has no certificate"));
        }
        let field = "client_key";
        let path = key.strip_prefix(FILE).ok_or_else(|| {
            // What was written may be the key itself, so it is not repeated.
            ConfigError { field, message: "a private key is given by reference: `file:PATH`".to_owned() }
        })?;
        let path = base.join(path);
        let key = PrivateKeyDer::from_pem_slice(&bytes(&path, field)?);
        let key = key.map_err(|e| bad(&path, field, &format!("holds no private key: {e}")))?;
        Ok(Self { chain, key })
    }
}

/// A PEM file of certificate authorities, as it was read.
#[derive(Debug, PartialEq, Eq)]
struct Authorities {
    path: PathBuf,
    pem: Vec<u8>,
}

impl Authorities {
    fn read(path: PathBuf) -> Result<Self, ConfigError> {
        let pem = bytes(&path, "ca")?;
        Ok(Self { path, pem })
    }

    fn roots(&self) -> Result<RootCertStore, ConfigError> {
        let bad = |words: String| bad(&self.path, "ca", &words);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.pem) {
            let certificate = certificate.map_err(|error| bad(format!("is not PEM: {error}")))?;
            roots.add(certificate).map_err(|error| bad(format!("has a certificate that is no authority: {error}")))?;
        }
        if roots.is_empty() { Err(bad("has no certificate".to_owned())) } else { Ok(roots) }
    }
}

fn bytes(path: &Path, field: &'static str) -> Result<Vec<u8>, ConfigError> {
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes));
    opened.map_err(|error| bad(path, field, &format!("can't be read: {error}")))?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(bad(path, field, &format!("has more than {PEM_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn bad(path: &Path, field: &'static str, words: &str) -> ConfigError {
    ConfigError { field, message: format!("`{}` {words}", path.display()) }
}

fn system_roots() -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let message = "this system has no certificate authorities: name a PEM file of them".to_owned();
        return Err(ConfigError { field: "ca", message });
    }
    Ok(roots)
}
