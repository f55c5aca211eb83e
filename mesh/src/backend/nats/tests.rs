//! What a NATS target may say, and what comes back means. Against a real server: `tests/e2e/nats.rs`.

use super::*;
use crate::{
    payload::{Answer, Reply},
    samples::{body, post},
};
use async_nats::Message;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

fn config() -> NatsConfig {
    NatsConfig {
        url: "tls://a.example:4222, tls://b.example".into(),
        subject: "orders.{id}".into(),
        call: NatsCall::Publish,
        stream: None,
        message_id: None,
        headers: BTreeMap::new(),
        token: None,
        user: None,
        password: None,
        nkey: None,
        credentials: None,
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

fn headers(name: &str, text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), text.to_owned())])
}

#[test]
fn targets_are_checked() {
    let token = Some("env:TOKEN".to_owned());
    for good in [
        config(),
        NatsConfig { stream: Some("ORDERS".into()), message_id: Some("{header.idempotency-key}".into()), ..config() },
        NatsConfig { url: "nats://nats.example".into(), ..config() },
        NatsConfig { url: "nats://127.0.0.1:4222".into(), token: token.clone(), ..config() },
        NatsConfig { user: Some("a".into()), password: token.clone(), ca: Some("ca.pem".into()), ..config() },
        NatsConfig { headers: headers("X-Tenant", "{header.x-tenant}"), call: NatsCall::Request, ..config() },
    ] {
        assert_eq!(good.problems(), [], "{good:?}");
    }
    for (field, wrong) in [
        ("url", NatsConfig { url: "https://nats.example".into(), ..config() }),
        ("url", NatsConfig { url: "tls://user:pass@nats.example".into(), ..config() }),
        ("url", NatsConfig { url: "nats://nats.example".into(), token: token.clone(), ..config() }),
        ("ca", NatsConfig { url: "nats://nats.example".into(), ca: Some("ca.pem".into()), ..config() }),
        ("subject", NatsConfig { subject: "orders.*".into(), ..config() }),
        ("subject", NatsConfig { subject: "$JS.API.{id}".into(), ..config() }),
        ("subject", NatsConfig { subject: "orders.{id".into(), ..config() }),
        ("stream", NatsConfig { stream: Some("a.b".into()), ..config() }),
        ("stream", NatsConfig { stream: Some("A".into()), call: NatsCall::Request, ..config() }),
        ("message_id", NatsConfig { message_id: Some("{id}".into()), call: NatsCall::Request, ..config() }),
        ("headers", NatsConfig { headers: headers("Nats-Msg-Id", "mine"), ..config() }),
        ("headers", NatsConfig { headers: headers("latchwork-caller", "mine"), ..config() }),
        ("headers", NatsConfig { headers: headers("a b", "mine"), ..config() }),
        ("nkey", NatsConfig { token: token.clone(), nkey: Some("env:SEED".into()), ..config() }),
        (
            "nkey",
            NatsConfig { nkey: Some("SUAIO3FHUX5PNV2LQIIP7TZ3N4L7TX3W53MQGEIVYFIGA635OZCKEYHFLM".into()), ..config() },
        ),
        ("user", NatsConfig { user: Some("a".into()), ..config() }),
        ("password", NatsConfig { password: token.clone(), ..config() }),
        ("connect_timeout", NatsConfig { connect_timeout: "soon".into(), ..config() }),
    ] {
        let problems = wrong.problems();
        assert_eq!(problems.iter().map(|problem| problem.field).collect::<Vec<_>>(), [field], "{wrong:?}");
        assert!(!problems[0].to_string().contains("SUAIO") || problems[0].may_be_secret());
    }
    let exposed = NatsConfig { url: "nats://nats.example".into(), ..config() };
    assert!(exposed.is_exposed() && !config().is_exposed());
    let names = NatsConfig { message_id: Some("{order}".into()), headers: headers("x", "{tenant}"), ..config() };
    assert_eq!(names.parameters(), ["id", "order", "tenant"]);
}

fn message(payload: &str, said: &[(&str, &str)]) -> Message {
    let mut headers = HeaderMap::new();
    for (name, value) in said {
        headers.append(HeaderName::from_str(name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    Message {
        subject: "_INBOX.a".into(),
        reply: None,
        payload: payload.to_owned().into(),
        headers: Some(headers),
        status: None,
        description: None,
        length: payload.len(),
    }
}

#[tokio::test]
async fn acknowledgements_are_told_from_refusals() {
    let of = |payload: &str| answer::acknowledged(&message(payload, &[]));
    let reply = of(r#"{"stream":"ORDERS","seq":7,"duplicate":true}"#).unwrap();
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["content-type"]),
        (202, &"application/json".parse().unwrap())
    );
    assert_eq!(body(reply).await.unwrap(), r#"{"stream":"ORDERS","sequence":7,"duplicate":true}"#);
    let error = |code: u16, number: u64| {
        let text = format!(r#"{{"error":{{"code":{code},"err_code":{number},"description":"inside words"}}}}"#);
        of(&text).unwrap_err()
    };
    for (code, number) in [(503, 10077), (500, 10023), (500, 10047), (503, 10008)] {
        assert!(matches!(error(code, number), InvokeError::Throttled { retry_after: None }), "{number}");
    }
    assert!(matches!(error(400, 10054), InvokeError::RequestTooLarge { .. }));
    assert!(matches!(error(400, 10060), InvokeError::Refused(_)));
    for text in ["", "OK", "[]", r#"{"stream":"ORDERS"}"#] {
        assert!(matches!(of(text), Err(InvokeError::BadAnswer(_))), "{text}");
    }
}

#[tokio::test]
async fn answers_of_functions_pass_and_their_failures_do_not() {
    let said =
        [("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2"), ("Latchwork-Caller", "me"), ("Connection", "x")];
    let reply: Reply = answer::answered(message("hello", &said), 10).unwrap();
    let mut names: Vec<_> =
        reply.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    names.sort_unstable();
    assert_eq!(
        (reply.status().as_u16(), names),
        (200, vec![("content-type", "text/plain"), ("x-a", "1"), ("x-a", "2")])
    );
    assert_eq!(body(reply).await.unwrap(), "hello");
    assert!(matches!(answer::answered(message("", &[]), 10).unwrap().into_body(), Answer::Empty));
    let failed =
        answer::answered(message("", &[("Nats-Service-Error-Code", "500"), ("Nats-Service-Error", "why")]), 10);
    assert!(matches!(failed, Err(InvokeError::FunctionFailed(code)) if code == "500"));
    let large = answer::answered(message("hello, you", &[]), 9);
    assert!(matches!(large, Err(InvokeError::AnswerTooLarge { bytes_max: 9 })));
}

/// Takes a client, acknowledges what it publishes, and gives back the one message: headers by name, and no inbox.
async fn published(stream: TcpStream) -> (String, BufReader<TcpStream>) {
    let mut io = BufReader::new(stream);
    let info = r#"INFO {"server_id":"a","server_name":"a","version":"2.10.0","go":"","host":"h","port":1,"headers":true,"max_payload":1048576,"proto":1,"client_id":1}"#;
    io.write_all(format!("{info}\r\n").as_bytes()).await.unwrap();
    let mut subscription = String::new();
    loop {
        let mut line = String::new();
        assert!(io.read_line(&mut line).await.unwrap() > 0, "the client has gone");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["PING"] => io.write_all(b"PONG\r\n").await.unwrap(),
            ["SUB", _, id] => subscription = id.to_owned(),
            ["HPUB", subject, inbox, head, all] => {
                let mut bytes = vec![0; all.parse::<usize>().unwrap() + 2];
                io.read_exact(&mut bytes).await.unwrap();
                let said = r#"{"stream":"ORDERS","seq":1}"#;
                let said = format!("MSG {inbox} {subscription} {}\r\n{said}\r\n", said.len());
                io.write_all(said.as_bytes()).await.unwrap();
                let text = String::from_utf8(bytes).unwrap();
                let (head_text, payload) = text.split_once("\r\n\r\n").unwrap();
                let mut lines: Vec<&str> = head_text.split("\r\n").collect();
                lines[1..].sort_unstable();
                let lines = lines.join("\n");
                return (format!("HPUB {subject} INBOX {head} {all}\n{lines}\n\n{}", payload.trim_end()), io);
            }
            _ => assert_eq!(words[0], "CONNECT", "{line}"),
        }
    }
}

#[tokio::test]
async fn what_goes_over_the_wire_is_known_to_the_byte() {
    for (call, file) in [(NatsCall::Publish, "nats/publish.golden"), (NatsCall::Request, "nats/request.golden")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { published(listener.accept().await.unwrap().0).await });
        let stream = (call == NatsCall::Publish).then(|| "ORDERS".to_owned());
        let config = NatsConfig { url, call, stream, headers: headers("X-Tenant", "acme {id}"), ..config() };
        let mut outbound = post(r#"{"sku":"tea"}"#);
        outbound.context.call_id = uuid::Uuid::nil();
        outbound.head.headers.insert("content-type", "application/json".parse().unwrap());
        Nats::new(&config, Path::new("")).unwrap().invoke(outbound).await.unwrap();
        let (text, _connection) = server.await.unwrap();
        crate::double::golden(file, &text);
    }
}

#[tokio::test]
async fn nobody_there_and_somebody_silent_have_seen_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [closed, silent.local_addr().unwrap()] {
        let config = NatsConfig { url: format!("nats://{address}"), connect_timeout: "100ms".into(), ..config() };
        let backend = Nats::new(&config, Path::new("")).unwrap();
        for _ in 0..2 {
            let error = backend.invoke(post("x")).await.unwrap_err();
            assert!(matches!(error, InvokeError::Unreachable(_)) && error.had_no_effect(), "{error}");
        }
    }
    let config = NatsConfig { subject: "orders.{header.x-a}".into(), ..config() };
    let mut outbound = post("x");
    outbound.head.headers.insert("x-a", http::HeaderValue::from_static("a.>"));
    let error = Nats::new(&config, Path::new("")).unwrap().invoke(outbound).await.unwrap_err();
    assert!(matches!(error, InvokeError::Unsupported(_)), "a caller does not widen a subject: {error}");
}
