//! The HTTP backend against servers that behave, and servers that don't.

mod credentials;
mod faults;
mod tls;

use super::*;
use crate::{
    double::Double,
    samples::{body, context, get, post},
};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::server::conn::auto;
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{Mutex, atomic::AtomicUsize},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn config(url: impl Into<String>) -> HttpConfig {
    HttpConfig::plain(&url.into(), None, "3s")
}

fn backend(url: impl Into<String>) -> Http {
    Http::new(&config(url), Path::new("/")).unwrap()
}

/// A server that speaks HTTP/1.1 and HTTP/2 and answers with `answer`.
async fn server<F, A>(answer: F) -> SocketAddr
where
    F: Fn(http::Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Wire>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// Answers with what it was asked: request line, headers and body.
async fn echo(request: http::Request<Incoming>) -> Response<Wire> {
    let (head, body) = request.into_parts();
    let mut text = format!("{} {} {:?}\n", head.method, head.uri, head.version);
    for (name, value) in &head.headers {
        text += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    }
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    text += &String::from_utf8_lossy(&collected.to_bytes());
    text += &trailers.map_or(String::new(), |trailers| format!("{trailers:?}"));
    Response::new(Wire::Full(Bytes::from(text)))
}

async fn text(http: &Http, outbound: Outbound) -> String {
    let reply = http.invoke(outbound).await.unwrap();
    String::from_utf8(body(reply).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_backend_gets_the_call_and_whose_it_is() {
    let address = server(echo).await;
    let mut outbound = post("hello");
    for (name, value) in [
        ("connection", "x-secret, close"),
        ("x-secret", "1"),
        ("te", "trailers"),
        ("keep-alive", "timeout=9"),
        ("host", "spoofed"),
        ("content-length", "99"),
        ("expect", "100-continue"),
        ("latchwork-caller", "corp/root"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-kept", "yes"),
    ] {
        outbound.head.headers.append(name, HeaderValue::from_static(value));
    }
    outbound.context.principal = "corp/ada lövelace%".into();
    outbound.head.query = Some("a=1&a=2".into());
    let call_id = outbound.context.call_id;
    let seen = text(&backend(format!("http://{address}")), outbound).await;
    let mut lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines.remove(0), "POST /orders/7?a=1&a=2 HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "content-length: 5",
            "hello",
            &format!("host: {address}"),
            "latchwork-call-id: ID",
            "latchwork-caller-kind: User",
            "latchwork-caller: corp/ada%20l%C3%B6velace%25",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-host: api.example.com",
            "x-forwarded-proto: https",
            "x-kept: yes",
        ]
        .map(|line| line.replace("ID", &call_id.to_string()))
    );
}

#[tokio::test]
async fn what_goes_over_the_wire_is_known_to_the_byte() {
    for (http2, file) in [(false, "http/request.golden"), (true, "http/http2.golden")] {
        let double = Double::same(200, &[], "").await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "sesame").unwrap();
        let secret = || "file:secret".to_owned();
        let config = HttpConfig {
            user: Some("gateway".into()),
            password: Some(secret()),
            secret_headers: [("x-api-key".to_owned(), secret())].into(),
            http2,
            ..config(format!("{}/things/{{id}}?kind=tea", double.url()))
        };
        let mut outbound = post("{\"count\":1}");
        outbound.head.query = Some("page=1".into());
        outbound.head.headers.insert("content-type", HeaderValue::from_static("application/json"));
        Http::new(&config, folder.path()).unwrap().invoke(outbound).await.unwrap();
        double.golden(file, &[]);
    }
}

#[tokio::test]
async fn a_body_that_is_empty_says_so() {
    let http = backend(format!("http://{}", server(echo).await));
    let mut empty = post("");
    empty.payload = Payload::Empty;
    assert!(text(&http, empty).await.contains("content-length: 0\n"));
    assert!(text(&http, post("")).await.contains("content-length: 0\n"));
    assert!(!text(&http, get("/")).await.contains("content-length"));
    let mut connect = get("/");
    connect.head.method = Method::CONNECT;
    assert!(matches!(http.invoke(connect).await, Err(InvokeError::Unsupported(_))));
}

#[tokio::test]
async fn hop_by_hop_headers_of_an_answer_stay_behind() {
    let address = raw(b"HTTP/1.1 200 Fancy Reason\r\nconnection: x-inner\r\nx-inner: 1\r\nkeep-alive: timeout=5\r\n\
        x-kept: 2\r\ncontent-length: 2\r\n\r\nok")
    .await;
    let reply = backend(format!("http://{address}")).invoke(get("/")).await.unwrap();
    let names: Vec<&str> = reply.headers().keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["x-kept", "content-length"]);
    assert!(reply.extensions().is_empty());
    assert_eq!(body(reply).await.unwrap(), "ok");
}

#[tokio::test]
async fn http2_passes_trailers_both_ways() {
    let address = server(|request| async move {
        assert_eq!(request.headers()["te"], "trailers");
        let seen = request.into_body().collect().await.unwrap().trailers().cloned().unwrap();
        let frames = [Ok(Frame::data(Bytes::from("x"))), Ok(Frame::trailers(seen))];
        Response::new(Wire::Stream(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()))
    })
    .await;
    let mut config = config(format!("http://{address}"));
    config.http2 = true;
    let http = Http::new(&config, Path::new("/")).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Ok(Frame::data(Bytes::from("y"))), Ok(Frame::trailers(trailers.clone()))];
    let mut outbound = post("");
    outbound.payload = Payload::Stream(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync());
    let Answer::Stream(body) = http.invoke(outbound).await.unwrap().into_body() else { panic!("not a stream") };
    let collected = body.collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    let mut duplex = get("/");
    duplex.payload = Payload::Duplex(Box::pin(async { Err("never".into()) }));
    assert!(matches!(http.invoke(duplex).await, Err(InvokeError::Unsupported(_))));
}

#[tokio::test]
async fn an_upgrade_joins_both_ends() {
    let address = server(|mut request| async move {
        assert_eq!(
            (&request.headers()["upgrade"], &request.headers()["connection"]),
            (&"echo".parse().unwrap(), &"upgrade".parse().unwrap())
        );
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(TokioIo::new(upgrade.await.unwrap()));
            tokio::io::copy(&mut read, &mut write).await
        });
        let response = Response::builder().status(101).header("upgrade", "echo").header("connection", "upgrade");
        response.body(Wire::Empty).unwrap()
    })
    .await;
    let (near, mut caller) = tokio::io::duplex(64);
    let mut outbound = get("/");
    outbound.head.headers.insert(UPGRADE, HeaderValue::from_static("echo"));
    outbound.payload = Payload::Duplex(Box::pin(async { Ok(Box::new(near) as Box<dyn Io>) }));
    let reply = backend(format!("http://{address}")).invoke(outbound).await.unwrap();
    assert_eq!((reply.status().as_u16(), &reply.headers()["upgrade"]), (101, &HeaderValue::from_static("echo")));
    let Answer::Duplex { near, far } = reply.into_body() else { panic!("not an upgrade") };
    let (mut near, mut far) = (near.await.unwrap(), far.await.unwrap());
    tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
    caller.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    caller.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}

#[tokio::test]
async fn bodies_stream_while_they_are_made() {
    let address = server(|request| async move {
        Response::new(Wire::Stream(request.into_body().map_err(Into::into).boxed_unsync()))
    })
    .await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let body = StreamBody::new(futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let mut outbound = post("");
    outbound.payload = Payload::Stream(body.boxed_unsync());
    let http = backend(format!("http://{address}"));
    let Answer::Stream(mut answer) = http.invoke(outbound).await.unwrap().into_body() else { panic!("not a stream") };
    for piece in ["one", "two"] {
        sender.send(Ok(Frame::data(Bytes::from(piece)))).await.unwrap();
        assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
    }
    drop(sender);
    assert!(answer.frame().await.is_none());
}

/// A server that reads a request's head and answers with these bytes, then closes. Returns its address.
async fn raw(answer: &'static [u8]) -> SocketAddr {
    scripted(move |mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(answer).await;
    })
    .await
}

/// A server that gives each connection, with its number, to `serve`.
async fn scripted<F, S>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream, usize) -> S + Send + Sync + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = AtomicUsize::new(0);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
        }
    });
    address
}

/// Reads to the empty line.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}
