//! The HTTP client of the commands: one request, one answer, bounded.

use crate::{address::UNIX, causes::causes};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use mesh::dial::Dial;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, client::WantsClientCert};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Largest answer that a command reads, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

const AUTHORITY: &str = "certificate authority";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file of certificates or keys can't be used.
    #[error("`{file}` holds no usable {what}: {reason}")]
    Unusable {
        /// What it should hold.
        what: &'static str,
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// Nobody answers.
    #[error("`{place}` can't be reached: {reason}")]
    Unreachable {
        /// Where.
        place: String,
        /// Why, with its causes.
        reason: String,
    },
    /// The answer broke off or was too large.
    #[error("the answer of `{0}` broke off or is too large")]
    Broken(Uri),
    /// No answer in time.
    #[error("`{0}` did not answer in time")]
    TimedOut(Uri),
}

/// The trailers of an answer, among its extensions.
#[derive(Clone, Debug)]
pub struct Trailers(pub HeaderMap);

/// The Unix socket that a request goes to, among its extensions; the host of its URI is a name only.
#[derive(Clone, Debug)]
pub struct Through(pub PathBuf);

/// Whom the client trusts, and who it is.
#[derive(Debug, Default)]
pub struct Trust {
    /// PEM file of authorities instead of the system's.
    pub authorities: Option<PathBuf>,
    /// The certificate that it shows.
    pub identity: Option<Identity>,
}

/// A client certificate.
#[derive(Debug)]
pub struct Identity {
    /// PEM file, leaf first.
    pub certificate: PathBuf,
    /// PEM file of its key; may be the same.
    pub key: PathBuf,
}

/// Sends a request, over HTTP/2 alone if that is its version.
///
/// # Errors
/// [`ClientError`].
pub async fn send(
    request: Request<Full<Bytes>>,
    trust: &Trust,
    timeout: Duration,
) -> Result<Response<Bytes>, ClientError> {
    let uri = request.uri().clone();
    let builder = ClientConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| unreachable(&uri, None, &e))?;
    let builder = builder.with_root_certificates(roots(trust.authorities.as_deref())?);
    let config = match &trust.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => shown(builder, identity)?,
    };
    let through = request.extensions().get::<Through>().map(|Through(path)| path.clone());
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(Dial::new(through.as_deref()));
    let http2 = request.version() == Version::HTTP_2;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(http2).build(connector);
    let exchange = async {
        let response = client.request(request).await;
        let response = response.map_err(|e| unreachable(&uri, through.as_deref(), &e))?;
        let (parts, body) = response.into_parts();
        let whole = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let whole = whole.map_err(|_| ClientError::Broken(uri.clone()))?;
        let trailers = whole.trailers().cloned().map(Trailers);
        let mut response = Response::from_parts(parts, whole.to_bytes());
        if let Some(trailers) = trailers {
            response.extensions_mut().insert(trailers);
        }
        Ok(response)
    };
    tokio::time::timeout(timeout, exchange).await.map_err(|_| ClientError::TimedOut(uri.clone()))?
}

fn unreachable(uri: &Uri, through: Option<&Path>, error: &(dyn std::error::Error + 'static)) -> ClientError {
    let place = through.map_or_else(|| uri.to_string(), |path| format!("{UNIX}{}", path.display()));
    ClientError::Unreachable { place, reason: causes(error) }
}

fn roots(authorities: Option<&Path>) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = authorities else {
        // Certificates of the system that can't be read vouch for nobody; the others still do.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    for certificate in certificates(path, AUTHORITY)? {
        roots.add(certificate).map_err(|e| unusable(path, AUTHORITY, &e))?;
    }
    Ok(roots)
}

fn shown(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    identity: &Identity,
) -> Result<ClientConfig, ClientError> {
    const KEY: &str = "private key";
    let chain = certificates(&identity.certificate, "client certificate")?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(|e| unusable(&identity.key, KEY, &e))?;
    builder.with_client_auth_cert(chain, key).map_err(|e| unusable(&identity.key, KEY, &e))
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|e| unusable(path, what, &e))?;
    if found.is_empty() { Err(unusable(path, what, &"there is none")) } else { Ok(found) }
}

fn unusable(path: &Path, what: &'static str, reason: &dyn fmt::Display) -> ClientError {
    ClientError::Unusable { what, file: path.display().to_string(), reason: reason.to_string() }
}
