//! The functions that `init` and `quickstart` write speak the Lambda Runtime API to the letter: a fake of it looks on.

use gateway::scaffold::{Ports, init, quickstart};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::Stdio,
    time::Duration,
};
use tokio::{net::TcpListener, process::Command, time::timeout};

/// Longer than a shell and curl need on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves one event, then is gone for good; what the function posted, and where.
async fn run(program: &Path, handler: &str, event: &str) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let mut child = Command::new(program)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a path"))
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("_HANDLER", handler)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the function starts");
    let (line, _, stream) = request(&listener).await;
    assert_eq!(line, "GET /2018-06-01/runtime/invocation/next HTTP/1.1");
    let head = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 0190-id\r\ncontent-type: application/json\r\n";
    answer(stream, &format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{event}", event.len()));
    let (line, body, stream) = request(&listener).await;
    answer(stream, "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    drop(listener);
    let status = timeout(PATIENCE, child.wait()).await.expect("it ends").expect("it is waited for");
    assert!(status.success(), "the function ends well when the gateway is gone");
    (line, body)
}

async fn request(listener: &TcpListener) -> (String, String, TcpStream) {
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect("the function asks").expect("a connection");
    let stream = stream.into_std().expect("a socket");
    stream.set_nonblocking(false).expect("a socket that waits");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket that gives up");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let (mut lines, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.parse().expect("a length");
        }
        lines.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    (lines[0].clone(), String::from_utf8(body).expect("text"), stream)
}

fn answer(mut stream: TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("the function reads");
}

fn event(body: &str) -> String {
    // What looks like a body elsewhere is none.
    let headers = json!({ "x-odd": "\"body\":\"{}\"" });
    json!({ "version": "2.0", "headers": headers, "body": body, "isBase64Encoded": false }).to_string()
}

fn body(answer: &str) -> Value {
    let answer: Value = serde_json::from_str(answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
    serde_json::from_str(answer["body"].as_str().expect("a body")).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

#[tokio::test]
async fn the_function_of_a_fresh_project() {
    let folder = tempfile::tempdir().expect("a folder");
    init(folder.path()).expect("a project");
    let program = folder.path().join("functions/hello/bootstrap");
    for name in ["Ada", "a \"b\" \\ c", "Zoë\n", "100%s"] {
        let (posted, answer) = run(&program, "", &event(&json!({ "name": name }).to_string())).await;
        assert_eq!(posted, "POST /2018-06-01/runtime/invocation/0190-id/response HTTP/1.1");
        assert_eq!(body(&answer)["greeting"], format!("hello, {name}"));
    }
    let (posted, error) = run(&program, "", "{}").await;
    assert_eq!(posted, "POST /2018-06-01/runtime/invocation/0190-id/error HTTP/1.1");
    assert!(error.contains("InvalidInput"), "{error}");
}

#[tokio::test]
async fn the_functions_of_the_quickstart() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports { listener: 0, issuer: 9400, admin: 0, legacy: 9500, inventory: 9501 };
    quickstart(folder.path(), ports).expect("a project");
    let program = folder.path().join("functions/shop/bootstrap");
    let order = r#"{"item":"tea \"fine\" 5%","quantity":2,"amount_cents":1900}"#;
    let (posted, answer) = run(&program, "orders.create", &event(order)).await;
    assert!(posted.ends_with("/response HTTP/1.1"), "{posted}");
    let (answered, ordered): (Value, Value) = (body(&answer), serde_json::from_str(order).expect("an order"));
    assert_eq!((&answered["id"], &answered["order"]), (&json!("0190-id"), &ordered));
    let (_, answer) = run(&program, "reports.revenue", "{}").await;
    assert_eq!(body(&answer)["currency"], "EUR");
    let (posted, _) = run(&program, "orders.create", "{}").await;
    assert!(posted.contains("/error "), "{posted}");
}
