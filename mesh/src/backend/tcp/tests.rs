//! Connections in clear text and over TLS, those that can't be made, and addresses that are none.

use super::*;
use crate::samples::{context, post};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{fs, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::TcpListener,
};

fn config(url: &str) -> TcpConfig {
    TcpConfig {
        url: url.to_owned(),
        ca: None,
        server_id: None,
        client_certificate: None,
        client_key: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

/// The far end of a call, once it is there.
async fn call(config: &TcpConfig, base: &Path) -> Result<Box<dyn Io>, InvokeError> {
    assert_eq!(config.problems(), []);
    let (near, _) = duplex(64);
    let mut outbound = post("");
    outbound.payload = Payload::Duplex(Box::pin(async move { Ok(Box::new(near) as Box<dyn Io>) }));
    let reply = Tcp::new(config, base).unwrap().invoke(outbound).await?;
    assert_eq!(reply.status(), StatusCode::SWITCHING_PROTOCOLS);
    let Answer::Duplex { far, .. } = reply.into_body() else { panic!("no connection") };
    Ok(far.await.unwrap())
}

async fn echoes(mut far: Box<dyn Io>) {
    far.write_all(b"\0\xffhello").await.unwrap();
    let mut read = [0; 7];
    far.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"\0\xffhello");
}

async fn echo(mut io: impl Io) {
    let mut bytes = [0; 64];
    while let Ok(read @ 1..) = io.read(&mut bytes).await {
        io.write_all(&bytes[..read]).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_carries_bytes_as_they_are() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { echo(listener.accept().await.unwrap().0).await });
    echoes(call(&config(&format!("tcp://{address}")), Path::new("")).await.unwrap()).await;
}

#[tokio::test]
async fn a_server_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], der)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // One of the clients does not trust it.
                if let Ok(stream) = acceptor.accept(stream).await {
                    echo(stream).await;
                }
            });
        }
    });
    let trusting = TcpConfig { ca: Some("ca.pem".into()), ..config(&format!("tls://localhost:{port}")) };
    echoes(call(&trusting, folder.path()).await.unwrap()).await;
    let other = TcpConfig { url: format!("tls://127.0.0.1:{port}"), ..trusting };
    let refused = call(&other, folder.path()).await.map(drop).unwrap_err();
    assert!(matches!(refused, InvokeError::Unreachable(_)), "another name: {refused:?}");
}

#[tokio::test]
async fn what_is_not_there_or_no_connection_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = config(&format!("tcp://{}", listener.local_addr().unwrap()));
    drop(listener);
    let away = call(&gone, Path::new("")).await.map(drop).unwrap_err();
    assert!(matches!(away, InvokeError::Unreachable(_)), "{away:?}");
    let request = Tcp::new(&gone, Path::new("")).unwrap().invoke(post("{}")).await.map(drop).unwrap_err();
    assert!(matches!(request, InvokeError::Unsupported(_)), "{request:?}");
    // A server that takes the connection and says nothing of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut outbound = post("");
    outbound.context = context(Duration::from_millis(50));
    outbound.payload = Payload::Duplex(Box::pin(std::future::pending()));
    let tls = config(&format!("tls://localhost:{port}"));
    let late = Tcp::new(&tls, Path::new("")).unwrap().invoke(outbound).await.map(drop).unwrap_err();
    assert!(matches!(late, InvokeError::NotConnected), "{late:?}");
}

#[test]
fn an_address_is_host_and_port() {
    for good in
        ["tcp://host.internal:5432", "tls://host.internal:1", "tcp://[::1]:80", "tcp://127.0.0.1:443", "tls://h:443/"]
    {
        assert_eq!(config(good).problems(), [], "{good}");
    }
    for bad in [
        "host:1",
        "http://host:1",
        "tcp://host",
        "tcp://host:0",
        "tcp://host:99999",
        "tcp://host:1/path",
        "tcp://host:1?x",
        "tcp://user@host:1",
        "tcp://:1",
        "",
    ] {
        let fields: Vec<_> = config(bad).problems().iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["url"], "{bad}");
    }
    let clear = TcpConfig { ca: Some("x".into()), ..config("tcp://host:1") };
    assert_eq!(clear.problems()[0].field, "ca");
    assert!(config("tcp://host:1").is_exposed() && !config("tls://host:1").is_exposed());
    assert!(!config("tcp://localhost:1").is_exposed() && !config("tcp://[::1]:1").is_exposed());
}
