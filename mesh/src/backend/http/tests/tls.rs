//! Certificates are verified, always.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs, version};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use std::fs;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, uuid::Uuid::now_v7().to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn file(&self, directory: &TempDir) {
        fs::write(directory.path().join("ca.pem"), self.issuer.pem()).unwrap();
    }

    /// A TLS server whose certificate has this name; it answers with the protocol that was agreed.
    async fn server(&self, name: &str, alpn: &'static [&'static [u8]]) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        scripted(move |stream, _| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let (_, session) = stream.get_ref();
                let group = format!("{:?}", session.negotiated_key_exchange_group().unwrap().name());
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let text = format!("{:?} {group}", request.version());
                    async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text)))) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await
    }
}

fn tls(url: String, directory: &TempDir, http2: bool) -> Http {
    let config = HttpConfig { ca: Some("ca.pem".into()), http2, ..config(url) };
    Http::new(&config, directory.path()).unwrap()
}

async fn refused(http: Http, words: &str) {
    let error = http.invoke(get("/")).await.unwrap_err();
    assert!(error.had_no_effect(), "{error:?}");
    assert!(format!("{error:?}").contains(words), "{error:?}");
}

#[tokio::test]
async fn the_right_authority_and_name_are_let_through_with_post_quantum_keys() {
    let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
    authority.file(&directory);
    for (http2, version) in [(false, "HTTP/1.1"), (true, "HTTP/2.0")] {
        let address = authority.server("localhost", &[b"h2", b"http/1.1"]).await;
        let http = tls(format!("https://localhost:{}", address.port()), &directory, http2);
        assert_eq!(text(&http, get("/")).await, format!("{version} X25519MLKEM768"));
    }
}

#[tokio::test]
async fn another_authority_or_name_is_refused() {
    let (authority, other, directory) = (Authority::new(), Authority::new(), TempDir::new().unwrap());
    authority.file(&directory);
    let address = other.server("localhost", &[]).await;
    refused(tls(format!("https://localhost:{}", address.port()), &directory, false), "UnknownIssuer").await;
    let address = authority.server("elsewhere.example", &[]).await;
    refused(tls(format!("https://localhost:{}", address.port()), &directory, false), "NotValidForName").await;
    // Nor do the system's authorities vouch for it.
    let address = authority.server("localhost", &[]).await;
    if let Ok(http) = Http::new(&config(format!("https://localhost:{}", address.port())), directory.path()) {
        refused(http, "UnknownIssuer").await;
    }
}

#[tokio::test]
async fn a_server_without_http2_is_told_apart() {
    let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
    authority.file(&directory);
    let address = authority.server("localhost", &[]).await;
    refused(tls(format!("https://localhost:{}", address.port()), &directory, true), "did not agree to HTTP/2").await;
    let address = raw(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    refused(tls(format!("https://{address}"), &directory, false), "").await;
}

#[test]
fn another_file_of_authorities_is_another_backend() {
    let directory = TempDir::new().unwrap();
    Authority::new().file(&directory);
    let config = HttpConfig { ca: Some("ca.pem".into()), ..config("https://b") };
    let http = Http::new(&config, directory.path()).unwrap();
    assert!(http.same_config(&config, directory.path()));
    assert!(!http.same_config(&HttpConfig { http2: true, ..config.clone() }, directory.path()));
    Authority::new().file(&directory);
    assert!(!http.same_config(&config, directory.path()));
}

#[test]
fn bad_authorities_name_the_file() {
    let directory = TempDir::new().unwrap();
    let with = |ca: &str, url: &str| {
        let config = HttpConfig { ca: Some(ca.into()), ..config(url) };
        Http::new(&config, directory.path()).unwrap_err()
    };
    fs::write(directory.path().join("empty.pem"), "").unwrap();
    fs::write(directory.path().join("odd.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    for (ca, words) in
        [("absent.pem", "can't be read"), ("empty.pem", "has no certificate"), ("odd.pem", "no authority")]
    {
        let error = with(ca, "https://b");
        assert!(error.field == "ca" && error.message.contains(words) && error.message.contains(ca), "{error}");
    }
    assert_eq!(with("empty.pem", "http://b").field, "ca");
    let bad_time = HttpConfig { connect_timeout: "0s".to_owned(), ..config("http://b") };
    assert_eq!(Http::new(&bad_time, directory.path()).unwrap_err().field, "connect_timeout");
}
