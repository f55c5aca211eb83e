//! Tokens of the development issuer, by hand and over OAuth, as the gateway sees them.

use super::rig::{self, AUDIENCE, accepted, bearer};
use crate::{
    dev::{self, issuer::Claims},
    identify::{Identify, Lookup},
};
use jiff::Timestamp;

#[tokio::test]
async fn a_token_made_by_hand_is_verified_once_and_then_known() {
    let folder = tempfile::tempdir().unwrap();
    let server = dev::Issuer::load_or_create(folder.path()).unwrap().bind().unwrap();
    let minter = server.issuer();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async { drop(stopped.await) }));

    let identify = Identify::new(&[rig::issuer(minter.identifier())], None).unwrap();
    let mut claims = Claims::new("alice", AUDIENCE);
    claims.groups = vec!["buyers".into()];
    let (headers, now) = (bearer(&minter.mint(&claims).unwrap()), Timestamp::now());
    assert!(matches!(identify.look_up(&accepted(), &headers, now), Lookup::Wait(_)));
    let identity = rig::identify(&identify, &accepted(), &headers, now).await.unwrap();
    assert_eq!(&*identity.principal.id, "corp/alice");
    assert_eq!(*identity.principal.groups, ["corp/buyers".into()]);
    assert!(matches!(identify.look_up(&accepted(), &headers, now), Lookup::Known(known) if known == identity));

    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_issuer_behind_tls_is_believed_only_with_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let authority = dev::Authority::load_or_create(folder.path(), Timestamp::now()).unwrap();
    let identifier = tls_issuer(&authority).await;
    let claims = rig::claims(&identifier);
    let token = super::keys::P256.token(&rig::header(&super::keys::P256), &claims);

    let mut trusting = rig::issuer(&identifier);
    trusting.ca = Some(authority.certificate.clone());
    let gateway = Identify::new(&[trusting], None).unwrap();
    rig::identify(&gateway, &accepted(), &bearer(&token), rig::now()).await.unwrap();

    let stranger = tempfile::tempdir().unwrap();
    let stranger = dev::Authority::load_or_create(stranger.path(), Timestamp::now()).unwrap();
    let mut misled = rig::issuer(&identifier);
    misled.ca = Some(stranger.certificate);
    let gateway = Identify::new(&[misled], None).unwrap();
    assert!(rig::identify(&gateway, &accepted(), &bearer(&token), rig::now()).await.is_err());
    let problem = gateway.stats()[0].problem.clone().unwrap();
    assert!(problem.contains("certificate"), "{problem}");
}

/// A server of keys behind TLS; its identifier.
async fn tls_issuer(authority: &dev::Authority) -> String {
    use hyper_util::rt::TokioIo;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let chain = CertificateDer::pem_file_iter(&authority.server_certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&authority.server_key).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let identifier = format!("https://{}", listener.local_addr().unwrap());
    let own = identifier.clone();
    tokio::spawn(async move {
        loop {
            let Ok(stream) = acceptor.accept(listener.accept().await.unwrap().0).await else { continue };
            let own = own.clone();
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let text = match request.uri().path() {
                    "/jwks" => super::keys::set(&[&super::keys::P256]),
                    _ => format!(r#"{{"issuer":"{own}","jwks_uri":"{own}/jwks"}}"#),
                };
                async move { Ok::<_, std::convert::Infallible>(http::Response::new(text)) }
            });
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        }
    });
    identifier
}
