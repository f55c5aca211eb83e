//! The Runtime API as runtimes use it, and as they should not.

use super::*;
use crate::{event::EventForm, samples::PATIENCE};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

async fn api() -> (SocketAddr, mpsc::Receiver<Ask>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, asks) = mpsc::channel(4);
    tokio::spawn(RuntimeApi { asks: sender, answer_bytes_max: 10 }.serve(listener));
    (address, asks)
}

/// Sends one request and reads to the end of the connection.
async fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Answers the next ask with this verdict and gives what was asked.
async fn judge(asks: &mut mpsc::Receiver<Ask>, given: Verdict) -> (String, Outcome) {
    let Some(Ask::Answer { call_id, outcome, verdict }) = asks.recv().await else { panic!("not an answer") };
    verdict.send(given).unwrap();
    (call_id, outcome)
}

#[tokio::test]
async fn next_hands_out_a_call_with_its_headers() {
    let (address, mut asks) = api().await;
    let get = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let hand = async {
        let Some(Ask::Next(next)) = asks.recv().await else { panic!("not a next") };
        let headers =
            vec![("lambda-runtime-aws-request-id", "id-1".to_owned()), ("lambda-runtime-trace-id", "bad\n".to_owned())];
        next.send(Handed::Call(Call { headers, event: Bytes::from("{}") })).unwrap();
    };
    let (answer, ()) = tokio::join!(send(address, get), hand);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("lambda-runtime-aws-request-id: id-1"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{}") && !answer.contains("trace-id"), "{answer}");
    let refuse = async {
        let Some(Ask::Next(next)) = asks.recv().await else { panic!("not a next") };
        next.send(Handed::NotYet).unwrap();
    };
    let (answer, ()) = tokio::join!(send(address, get), refuse);
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("InvalidStateTransition"), "{answer}");
}

#[tokio::test]
async fn answers_are_judged() {
    let (address, mut asks) = api().await;
    for (verdict, status) in [(Verdict::Accepted, "202"), (Verdict::UnknownId, "400"), (Verdict::NotRunning, "403")] {
        let request = post("invocation/id-1/response", "content-type: text/x\r\n", "hi");
        let (answer, (id, outcome)) = tokio::join!(send(address, &request), judge(&mut asks, verdict));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let Outcome::Answered(answered) = outcome else { panic!("{outcome:?}") };
        assert_eq!((id.as_str(), &answered.body[..]), ("id-1", &b"hi"[..]));
    }
    let request = post("invocation/id-1/response", "", "more than ten");
    let (answer, (_, outcome)) = tokio::join!(send(address, &request), judge(&mut asks, Verdict::Accepted));
    assert!(answer.starts_with("HTTP/1.1 413") && matches!(outcome, Outcome::TooLarge), "{answer}");
}

#[tokio::test]
async fn a_streamed_answer_may_fail_behind_its_body() {
    let (address, mut asks) = api().await;
    let head = "POST /2018-06-01/runtime/invocation/i/response HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        lambda-runtime-function-response-mode: streaming\r\ntransfer-encoding: chunked\r\n\
        trailer: lambda-runtime-function-error-type\r\n\r\n2\r\nab\r\n3\r\ncde\r\n";
    // A runtime that puts trailers into the body, and an answer that only looks like it.
    let line = "Lambda-Runtime-Function-Error-Type: Odd\r\n";
    let line = format!("{:x}\r\n{line}\r\n", line.len());
    for (rest, said) in [
        ("0\r\n\r\n".to_owned(), Some("abcde".to_owned())),
        ("0\r\nlambda-runtime-function-error-type: Odd\r\n\r\n".to_owned(), None),
        (format!("{line}0\r\n\r\n"), None),
        (format!("{line}1\r\nf\r\n0\r\n\r\n"), Some("abcdeLambda-Runtime-Function-Error-Type: Odd\r\nf".to_owned())),
    ] {
        let request = format!("{head}{rest}");
        let read = async {
            let (_, Outcome::Streaming(pieces)) = judge(&mut asks, Verdict::Accepted).await else {
                panic!("it is whole")
            };
            let reply = pieces.reply(EventForm::Body, Instant::now() + PATIENCE, 100).await.unwrap();
            let read = crate::samples::body(reply).await;
            assert!(matches!(asks.recv().await, Some(Ask::Streamed)));
            read
        };
        let (answer, read) = tokio::join!(send(address, &request), read);
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        assert_eq!(read.ok().map(|body| String::from_utf8_lossy(&body).into_owned()), said, "{rest}");
    }
    let request = format!("{head}0\r\n\r\n");
    let (answer, _) = tokio::join!(send(address, &request), judge(&mut asks, Verdict::UnknownId));
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn error_reports_become_words() {
    let (address, mut asks) = api().await;
    let long = format!(r#"{{"errorType":"Long","errorMessage":"{}"}}"#, "x".repeat(5_000));
    for (headers, body, words) in [
        ("", r#"{"errorType":"Odd","errorMessage":"no luck"}"#, "Odd: no luck"),
        ("lambda-runtime-function-error-type: Head\r\n", r#"{"errorMessage":"x"}"#, "Head: x"),
        ("lambda-runtime-function-error-type: Head\r\n", "not json", "Head"),
        ("", "", "Unknown"),
        ("", &long, &format!("Long: {}", "x".repeat(ERROR_CHARS_MAX - 6))),
    ] {
        let request = post("invocation/i/error", headers, body);
        let (answer, (_, outcome)) = tokio::join!(send(address, &request), judge(&mut asks, Verdict::Accepted));
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        assert!(matches!(&outcome, Outcome::Failed(told) if told == words), "{outcome:?}");
    }
    let request = post("init/error", "", r#"{"errorType":"Init"}"#);
    let (answer, ask) = tokio::join!(send(address, &request), asks.recv());
    assert!(answer.starts_with("HTTP/1.1 202") && matches!(ask, Some(Ask::InitError(words)) if words == "Init"));
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let (address, _asks) = api().await;
    for (path, status) in
        [("invocation/next", "405"), ("invocation/i/other", "404"), ("invocation", "404"), ("", "404")]
    {
        let answer = send(address, &post(path, "", "")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
    let answer =
        send(address, "GET /2020-01-01/extension/register HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}
