//! Connections: made to the first target that can be reached, and only once.

use super::*;
use crate::{
    backend::remote::RemoteConfig,
    backend::tcp::TcpConfig,
    payload::{Answer, Io},
};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

fn of(urls: &[String]) -> Function {
    let mut function = function(&[], false);
    function.targets = urls
        .iter()
        .zip(0..)
        .map(|(url, index)| {
            let config = TcpConfig {
                url: url.clone(),
                ca: None,
                server_id: None,
                client_certificate: None,
                client_key: None,
                connect_timeout: "3s".to_owned(),
            };
            let backend = RemoteConfig::Tcp(Box::new(config)).build(Path::new("/")).unwrap();
            Target { backend, ..target(index, "http://unused") }
        })
        .collect();
    function.dispatch.attempts_max = urls.len();
    function
}

/// A caller's connection, and a call of it.
fn connecting() -> (DuplexStream, Outbound) {
    let (near, caller) = duplex(64);
    let promise = Box::pin(async move { Ok(Box::new(near) as Box<dyn Io>) });
    (caller, Outbound { payload: Payload::Duplex(promise), ..post("") })
}

/// One that takes connections; how, is said by what it does with them.
async fn listening<F: Future<Output = ()> + Send>(
    mut does: impl FnMut(tokio::net::TcpStream) -> F + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            does(stream).await;
        }
    });
    port
}

/// One whose certificate nobody vouches for.
async fn unverified() -> String {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], der)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let port = listening(move |stream| {
        let acceptor = acceptor.clone();
        async move { assert!(acceptor.accept(stream).await.is_err(), "it was trusted") }
    });
    format!("tls://localhost:{}", port.await)
}

#[tokio::test]
async fn what_can_t_be_connected_to_gives_way_and_the_caller_is_not_heard_before() {
    let port = listening(|mut stream| async move {
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.unwrap();
        stream.write_all(&said).await.unwrap();
    })
    .await;
    let gone = nobody().await.replace("http", "tcp");
    let function = of(&[gone, unverified().await, format!("tcp://127.0.0.1:{port}")]);
    let (mut caller, outbound) = connecting();
    caller.write_all(b"hello").await.unwrap();
    let (ran, seen) = call(&function, outbound).await;
    let ran = ran.unwrap();
    let away = "the backend can't be reached".to_owned();
    assert_eq!((ran.target.0, &seen.further[..]), (2, &[(1, away.clone()), (2, away)][..]));
    let Answer::Duplex { near, far } = ran.reply.into_body() else { panic!("no connection") };
    let (mut near, mut far) = (near.await.unwrap(), far.await.unwrap());
    tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
    let mut heard = [0; 5];
    caller.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
}

#[tokio::test]
async fn a_target_that_does_not_take_the_connection_in_time_gives_way_and_rests() {
    let silent = listening(|stream| async move {
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(stream)
        });
    })
    .await;
    let port = listening(|_| async {}).await;
    let mut function = of(&[format!("tls://localhost:{silent}"), format!("tcp://127.0.0.1:{port}")]);
    function.dispatch.attempt_timeout = Some(Duration::from_millis(50));
    function.dispatch.failures_max = 1;
    let (ran, seen) = call(&function, connecting().1).await;
    assert_eq!((ran.unwrap().target.0, &seen.further[..]), (1, &[(1, "no connection in time".to_owned())][..]));
    assert!(!function.targets[0].health.is_good(Instant::now()));
}

#[tokio::test]
async fn the_last_failure_counts_and_nobody_is_asked_twice() {
    let gone = [nobody().await, nobody().await].map(|url| url.replace("http", "tcp"));
    let (ran, seen) = call(&of(&gone), connecting().1).await;
    assert!(matches!(ran, Err(InvokeError::Unreachable(_))));
    assert_eq!((seen.further.len(), seen.ended.len()), (1, 2));
}
