//! Servers that break, lie, stall or flood.

use super::*;

async fn error_of(address: SocketAddr) -> InvokeError {
    backend(format!("http://{address}")).invoke(get("/")).await.unwrap_err()
}

fn is_broken(error: &InvokeError) -> bool {
    matches!(error, InvokeError::Broken(_) | InvokeError::BadAnswer(_)) && !error.had_no_effect()
}

#[tokio::test]
async fn answers_that_two_readers_could_take_differently_are_none() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokx"[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 099 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nx: y",
        b"",
    ] {
        let error = error_of(raw(answer).await).await;
        assert!(is_broken(&error), "{}: {error:?}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn a_huge_header_is_not_read() {
    let long = scripted(|mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        let _ = stream.write_all(&vec![b'a'; 2 << 20]).await;
        let _ = stream.write_all(b"\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let error = error_of(long).await;
    assert!(is_broken(&error), "{error:?}");
    let many = scripted(|mut stream, _| async move {
        read_head(&mut stream).await;
        let fields = "x: y\r\n".repeat(ANSWER_FIELDS_MAX + 1);
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes()).await;
    })
    .await;
    let error = error_of(many).await;
    assert!(is_broken(&error), "{error:?}");
}

#[tokio::test]
async fn informational_answers_are_passed_over_and_endless_ones_end_at_the_deadline() {
    let few = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    assert_eq!(text(&backend(format!("http://{}", raw(few).await)), get("/")).await, "ok");
    let endless = scripted(|mut stream, _| async move {
        read_head(&mut stream).await;
        while stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.is_ok() {}
    })
    .await;
    let mut outbound = get("/");
    outbound.context = context(Duration::from_millis(200));
    let error = backend(format!("http://{endless}")).invoke(outbound).await.unwrap_err();
    assert!(matches!(error, InvokeError::TimedOut), "{error:?}");
}

#[tokio::test]
async fn a_truncated_body_is_an_error_of_the_body() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhalf\r\n0\r\n\r\n",
    ] {
        let reply = backend(format!("http://{}", raw(answer).await)).invoke(get("/")).await.unwrap();
        assert!(body(reply).await.is_err(), "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn what_nobody_listens_to_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = error_of(address).await;
    assert!(matches!(error, InvokeError::Unreachable(_)) && error.had_no_effect(), "{error:?}");
    let error = backend("http://no-such-host.invalid").invoke(get("/")).await.unwrap_err();
    assert!(matches!(error, InvokeError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_tls_handshake_that_stalls_ends_at_the_connect_timeout() {
    let silent = scripted(|stream, _| async move {
        let _stream = stream;
        std::future::pending().await
    })
    .await;
    let mut config = config(format!("https://{silent}"));
    config.connect_timeout = "100ms".to_owned();
    let error = Http::new(&config, Path::new("/")).unwrap().invoke(get("/")).await.unwrap_err();
    assert!(matches!(error, InvokeError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_slow_head_times_out_and_its_connection_is_not_used_again() {
    let address = scripted(|mut stream, number| async move {
        read_head(&mut stream).await;
        if number > 0 {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecond").await;
        }
        // The first connection is answered late, when nobody may take the answer for another call's.
        while stream.read_u8().await.is_ok() {}
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst").await;
    })
    .await;
    let http = backend(format!("http://{address}"));
    let mut outbound = get("/");
    outbound.context = context(Duration::from_millis(100));
    assert!(matches!(http.invoke(outbound).await, Err(InvokeError::TimedOut)));
    assert_eq!(text(&http, get("/")).await, "second");
}

#[tokio::test]
async fn an_extra_answer_never_reaches_another_call() {
    let address = scripted(|mut stream, number| async move {
        loop {
            if read_head(&mut stream).await.is_empty() {
                return;
            }
            let good = format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nno-{number}");
            let poison = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
            let _ = stream.write_all(format!("{good}{poison}").as_bytes()).await;
        }
    })
    .await;
    let http = backend(format!("http://{address}"));
    let mut answers = 0;
    for _ in 0..50 {
        if let Ok(reply) = http.invoke(get("/")).await
            && let Ok(answer) = body(reply).await
        {
            assert!(answer.starts_with(b"no-"), "{answer:?}");
            answers += 1;
        }
    }
    assert!(answers > 0);
}

#[tokio::test]
async fn a_request_is_sent_once_whatever_happens_to_it() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let address = scripted(move |mut stream, _| {
        let record = record.clone();
        async move {
            // One good answer, so that the connection is pooled; then it breaks under a request.
            for _ in 0..2 {
                let head = read_head(&mut stream).await;
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                record.lock().unwrap().push(path.clone());
                if path == "/break" {
                    return;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let http = backend(format!("http://{address}"));
    assert_eq!(text(&http, get("/good")).await, "");
    let mut outbound = post("x");
    outbound.head.path = "/break".into();
    let error = http.invoke(outbound).await.unwrap_err();
    assert!(matches!(error, InvokeError::Broken(_)), "{error:?}");
    assert_eq!(text(&http, get("/good")).await, "");
    let breaks = seen.lock().unwrap().iter().filter(|path| *path == "/break").count();
    assert_eq!(breaks, 1);
}

#[tokio::test]
async fn a_request_body_that_breaks_is_the_callers_fault() {
    for http2 in [false, true] {
        let address = server(|request| async move {
            let _ = request.into_body().collect().await;
            Response::new(Wire::Empty)
        })
        .await;
        let mut config = config(format!("http://{address}"));
        config.http2 = http2;
        let http = Http::new(&config, Path::new("/")).unwrap();
        let frames = [Ok(Frame::data(Bytes::from("x"))), Err("cut".into())];
        let mut outbound = post("");
        outbound.payload = Payload::Stream(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync());
        let error = http.invoke(outbound).await.unwrap_err();
        assert!(
            matches!(&error, InvokeError::RequestBroken(cause) if cause.to_string() == "cut"),
            "{http2}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_backend_that_comes_back_is_used_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let http = backend(format!("http://{address}"));
    assert!(http.invoke(get("/")).await.is_err());
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nback").await.unwrap();
    });
    assert_eq!(text(&http, get("/")).await, "back");
}
