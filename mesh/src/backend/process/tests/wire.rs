//! What instances are told, to the byte, by a program that writes down what it hears; `grpc` is told what a `grpc` target is.

use super::*;
use crate::{backend::fn_protocol::FnIntent, double::golden};

/// Says `{}` to everything, whatever its protocol.
const WITNESS: &str = r#"
import os, socket, threading

def message(connection):
    heard = b""
    while b"\r\n\r\n" not in heard:
        more = connection.recv(65536)
        if not more: return None
        heard += more
    head, _, body = heard.partition(b"\r\n\r\n")
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    length = sum(int(value) for name, _, value in lines if name.lower() == b"content-length")
    while len(body) < length: body += connection.recv(65536)
    with open("heard.part", "ab") as file: file.write(head + b"\r\n\r\n" + body + b"\n---\n")
    return dict((name.lower(), value.strip()) for name, _, value in lines)

def serve(connection):
    while message(connection) is not None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")

def ask():
    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    connection, path = socket.create_connection((host, int(port))), b"/2018-06-01/runtime/invocation/"
    connection.sendall(b"GET " + path + b"next HTTP/1.1\r\nhost: h\r\n\r\n")
    call = message(connection)[b"lambda-runtime-aws-request-id"]
    connection.sendall(b"POST " + path + call + b"/response HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}")
    connection.recv(65536)
    connection.sendall(b"GET " + path + b"next HTTP/1.1\r\nhost: h\r\n\r\n")
    connection.recv(65536)

if "AWS_LAMBDA_RUNTIME_API" in os.environ: ask()
elif "FN_LISTENER" in os.environ:
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.environ["FN_LISTENER"].removeprefix("unix:"))
else: server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
server.listen()
while True: threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"#;

#[tokio::test]
async fn what_instances_are_told_is_known_to_the_byte() {
    for (protocol, file) in [
        (Protocol::Lambda, "process/lambda.golden"),
        (Protocol::Http, "process/http.golden"),
        (Protocol::Fn, "process/fn.golden"),
        (Protocol::OpenWhisk, "process/openwhisk.golden"),
    ] {
        let mut world = World::new(WITNESS);
        fs::write(world.directory.path().join("action.py"), "def main(told):\n    return told\n").unwrap();
        world.config = ProcessConfig {
            protocol,
            event: (protocol == Protocol::Lambda).then_some(EventForm::Body),
            code: (protocol == Protocol::OpenWhisk).then(|| "action.py".into()),
            intent: (protocol == Protocol::Fn).then_some(FnIntent::HttpRequest),
            start_timeout: "20s".to_owned(),
            ..ProcessConfig::of(["python3", "bootstrap"].map(str::to_owned).to_vec())
        };
        let process = world.process();
        let mut outbound = post("{\"sku\":\"tea\"}");
        outbound.context.call_id = Uuid::nil();
        outbound.head.headers.insert("content-type", "application/json".parse().unwrap());
        assert_eq!(body(process.invoke(outbound).await.unwrap()).await.unwrap(), "{}", "{file}");
        golden(file, &heard(&world.file("heard.part")));
        world.host.shutdown().await;
    }
}

/// What was heard, headers by name, without what differs by run.
fn heard(text: &str) -> String {
    let messages = text.strip_suffix("\n---\n").unwrap().split("\n---\n");
    let texts = messages.map(|message| {
        let (head, body) = message.split_once("\r\n\r\n").unwrap();
        let mut lines: Vec<String> = head.split("\r\n").map(line).collect();
        lines[1..].sort_unstable();
        format!("{}\n\n{}", lines.join("\n"), without_deadline(body))
    });
    texts.collect::<Vec<_>>().join("\n---\n")
}

fn line(line: &str) -> String {
    let Some((name, value)) = line.split_once(": ") else { return line.to_owned() };
    let value = match name {
        "host" if value.starts_with("127.0.0.1:") => "HOST",
        "date" | "fn-deadline" | "latchwork-deadline" | "lambda-runtime-deadline-ms" => "TIME",
        _ => value,
    };
    format!("{name}: {value}")
}

/// Activations have it in their body.
fn without_deadline(body: &str) -> String {
    let Some((before, rest)) = body.split_once("\"deadline\":\"") else { return body.to_owned() };
    let (_, after) = rest.split_once('"').unwrap();
    format!("{before}\"deadline\":\"TIME\"{after}")
}
