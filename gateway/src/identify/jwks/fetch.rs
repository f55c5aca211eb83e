//! Gets an issuer's keys over HTTP: bounded in time and size, redirects not followed.

use super::{
    document::{self, DocumentError},
    key::Key,
    source::{self, Source, Start},
};
use crate::causes::causes;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use url::Url;

/// Longest time for a fetch, discovery included.
const FETCH_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest document, in bytes.
const DOCUMENT_BYTES_MAX: usize = 512 * 1024;

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// Not answered in time.
    #[error("no answer within {}s", FETCH_TIME_MAX.as_secs())]
    Late,
    /// The connection or the answer's body failed.
    #[error("can't get `{url}`: {cause}")]
    Transport {
        /// Of what.
        url: Url,
        /// The innermost causes, joined.
        cause: String,
    },
    /// Another status than 200.
    #[error("`{url}` answered {status}; redirects are not followed")]
    Status {
        /// What was fetched.
        url: Url,
        /// The status.
        status: StatusCode,
    },
    /// The address in the discovery document is not allowed.
    #[error("the discovery document names an address that can't be used: {0}")]
    Address(String),
    /// The document is not what it should be.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// Gets keys from one source.
pub(crate) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    alias: Arc<str>,
    issuer: Arc<str>,
    start: Start,
    loopback: bool,
    /// The address that the last discovery named.
    discovered: Mutex<Option<Url>>,
}

impl Fetcher {
    /// Prepares the client.
    pub(crate) fn new(source: &Source) -> Result<Self, String> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots(source)?)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(FETCH_TIME_MAX));
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        // A connection that idles between two fetches would mostly be dead by the second.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https.wrap_connector(tcp));
        Ok(Self {
            client,
            alias: source.alias.clone(),
            issuer: source.issuer.clone(),
            start: source.start.clone(),
            loopback: source.loopback,
            discovered: Mutex::default(),
        })
    }

    /// The keys. With `discover`, the discovery document is read again even if it was read before.
    pub(crate) async fn fetch(&self, discover: bool) -> Result<Vec<Key>, FetchError> {
        let fetch = async {
            let url = self.address(discover).await?;
            Ok(document::parse(&self.alias, &self.get(&url).await?)?)
        };
        tokio::time::timeout(FETCH_TIME_MAX, fetch).await.unwrap_or(Err(FetchError::Late))
    }

    async fn address(&self, discover: bool) -> Result<Url, FetchError> {
        let url = match &self.start {
            Start::Keys(url) => return Ok(url.clone()),
            Start::Discovery(url) => url,
        };
        let known = self.discovered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|_| !discover) {
            return Ok(known);
        }
        let named = document::jwks_uri(&self.get(url).await?, &self.issuer)?;
        let named = source::parse(&named).map_err(FetchError::Address)?;
        source::check(&named, self.loopback).map_err(FetchError::Address)?;
        *self.discovered.lock().unwrap_or_else(PoisonError::into_inner) = Some(named.clone());
        Ok(named)
    }

    async fn get(&self, url: &Url) -> Result<Bytes, FetchError> {
        let transport =
            |cause: &(dyn Error + 'static)| FetchError::Transport { url: url.clone(), cause: causes(cause) };
        let request = Request::get(url.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "latchwork")
            .body(Empty::new())
            .map_err(|e| transport(&e))?;
        let response = self.client.request(request).await.map_err(|e| transport(&e))?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { url: url.clone(), status: response.status() });
        }
        let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX).collect().await;
        Ok(body.map_err(|e| transport(&*e))?.to_bytes())
    }
}

fn roots(source: &Source) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match &source.authorities {
        Some(authorities) => {
            for authority in authorities {
                roots.add(authority.clone()).map_err(|e| format!("an authority can't be used: {e}"))?;
            }
        }
        // An issuer on this machine mostly speaks clear text; if it does not, its authority is configured.
        None if source.loopback => {}
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err("the system has no authorities; configure `ca`".to_owned());
            }
        }
    }
    Ok(roots)
}
