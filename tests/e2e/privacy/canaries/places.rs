//! The places: requests with a secret each, and a service that answers with secrets.

use super::basic;
use aws_lc_rs::rand;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tests::client::Request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// Longest piece of a line that is shown around what was found.
const AROUND: usize = 80;

/// Every secret, by the place where it was put.
#[derive(Debug, Default)]
pub struct Secrets {
    all: Vec<(String, String)>,
    control: String,
}

impl Secrets {
    /// A secret for a place.
    pub fn put(&mut self, what: &str) -> String {
        let secret = format!("cnry{}", random());
        self.take(what, &secret);
        secret
    }

    /// A secret that somebody else made.
    pub fn take(&mut self, what: &str, secret: &str) {
        assert!(secret.len() > 12, "{what}: `{secret}` may be found by chance");
        self.all.push((what.to_owned(), secret.to_owned()));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// What is recorded as it is.
    pub fn control(&self) -> String {
        self.control.clone()
    }

    /// Where secrets are found, in words.
    pub fn found(&self, searched: &[(String, String)]) -> Vec<String> {
        let mut found = Vec::new();
        for (what, secret) in &self.all {
            for (place, text) in searched {
                if let Some(at) = text.find(secret.as_str()) {
                    let before: String = text[..at].chars().rev().take(AROUND).collect();
                    let before: String = before.chars().rev().collect();
                    found.push(format!("{what} is in {place}: …{before}<{secret}>"));
                }
            }
        }
        found
    }

    /// A good order with more members.
    fn order(&mut self, more: Value) -> Value {
        if self.control.is_empty() {
            self.control = format!("plain{}", random());
        }
        let mut order = json!({ "note": self.control, "iban": "DE1", "drop": "x", "address": { "street": "y" } });
        let members = order.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        order
    }

    /// Requests, each with a secret in one place.
    pub fn requests(&mut self, key: &str) -> Vec<(String, Request)> {
        let mut requests = vec![("an API key".to_owned(), Request::get("/path/1").header("x-api-key", key))];
        let stock = || Request::get("/hostile/ok");
        for (name, form) in [
            ("authorization", "Bearer {}"),
            ("authorization", "Basic {basic}"),
            ("authorization", "Digest username=\"u\", response=\"{}\""),
            ("authorization", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature={}"),
            ("authorization", "{}"),
            ("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.{}"),
            ("proxy-authorization", "Basic {basic}"),
            ("cookie", "session={}"),
            ("x-api-key", "{}"),
            ("x-api-key", "lw_partners_000000_{}"),
            ("x-amz-security-token", "{}"),
            ("x-functions-key", "{}"),
            ("x-goog-iap-jwt-assertion", "{}"),
            ("x-csrf-token", "{}"),
            ("x-forwarded-client-cert", "Hash={}"),
            ("forwarded", "for=192.0.2.1;secret={}"),
            ("latchwork-caller", "{}"),
            ("traceparent", "00-{}-1"),
            ("tracestate", "vendor={}"),
            ("referer", "https://user:{}@example.com/"),
            ("user-agent", "tool token={}"),
            ("origin", "https://{}.example.com"),
            ("accept", "text/{}"),
            ("x-hub-signature-256", "sha256={}"),
            ("webhook-signature", "v1,{}"),
            ("idempotency-key", "{}"),
        ] {
            let what = format!("{name}: {form}");
            let secret = self.put(&what);
            if form.contains("{basic}") {
                self.take(&what, &basic(&secret));
            }
            let value = form.replace("{basic}", &basic(&secret)).replace("{}", &secret);
            requests.push((what, stock().header(name, &value)));
        }
        for (what, path) in [
            ("a token in the query", "/hostile/ok?access_token={}"),
            ("a signature in the query", "/hostile/ok?X-Amz-Signature={}&X-Amz-Credential=a"),
            ("a code in the query", "/hostile/ok?state=1&code={}"),
            ("a query parameter that is dropped", "/path/1?q={}"),
            ("a path parameter that is hashed", "/path/{}"),
        ] {
            let secret = self.put(what);
            requests.push((what.to_owned(), Request::get(&path.replace("{}", &secret))));
        }
        requests.extend(self.bodies());
        requests.extend(self.answers());
        requests
    }

    fn bodies(&mut self) -> Vec<(String, Request)> {
        let mut requests = Vec::new();
        let plain = self.order(json!({}));
        requests.push(("nothing".to_owned(), Request::json("/orders", &plain)));
        for (what, place) in [
            ("a password in the body", "/password"),
            ("a PIN in the body", "/pin"),
            ("a field that is hashed", "/iban"),
            ("a field that is encrypted", "/address/street"),
            ("a field that is dropped", "/drop"),
            ("a field that policy does not look at", "/more"),
            ("a nested secret in the body", "/nested/client_secret"),
            ("a list of tokens in the body", "/tokens/0"),
        ] {
            let secret = self.put(what);
            let mut order = self.order(json!({
                "password": "", "pin": "", "more": "", "nested": { "client_secret": "" }, "tokens": [""], "rate": 1,
            }));
            *order.pointer_mut(place).expect("it is there") = secret.into();
            requests.push((what.to_owned(), Request::json("/orders", &order)));
        }
        let number = 9_000_000_000_000_000 + u64::from(u32::from_str_radix(&random()[..8], 16).expect("hexadecimal"));
        self.take("a number that a policy fails on", &number.to_string());
        let order = self.order(json!({ "rate": number }));
        requests.push(("a number that a policy fails on".to_owned(), Request::json("/orders", &order)));
        for (what, body) in [
            ("a body that is not JSON", "{\"password\":\"{}\", "),
            ("a body that is of another shape", "{\"note\":{\"token\":\"{}\"}}"),
            (
                "a field of another type",
                "{\"note\":\"\",\"iban\":[\"{}\"],\"address\":{\"street\":\"\"},\"drop\":\"\"}",
            ),
            ("a member that is given twice", "{\"note\":\"a\",\"{}\":1,\"{}\":2}"),
        ] {
            let secret = self.put(what);
            let request = Request::post("/orders", body.replace("{}", &secret));
            requests.push((what.to_owned(), request.header("content-type", "application/json")));
        }
        let (kind, hook, message, metadata) = (
            self.put("a content type"),
            self.put("the signature of a webhook"),
            self.put("a message of gRPC"),
            self.put("metadata of gRPC"),
        );
        let order = self.order(json!({}));
        requests.push((
            "a content type".into(),
            Request::post("/orders", "{}").header("content-type", &format!("x/{kind}")),
        ));
        requests.push((
            "a webhook".into(),
            Request::json("/hook", &order).header("x-hub-signature-256", &format!("sha256={hook}")),
        ));
        let framed = [&[0, 0, 0, 0, 36][..], message.as_bytes()].concat();
        let call = Request::post("/shop.v1.Orders/Create", framed).header("te", "trailers");
        let call =
            call.header("content-type", "application/grpc").header("authorization", &format!("Bearer {metadata}"));
        requests.push(("gRPC".into(), call.clone()));
        let metadata = self.put("binary metadata of gRPC");
        let mut anonymous = call.header("x-secret-bin", &metadata);
        anonymous.headers.remove("authorization");
        requests.push(("gRPC".into(), anonymous));
        requests
    }

    /// Requests to which the service answers with secrets, and those that it signs or runs.
    fn answers(&mut self) -> Vec<(String, Request)> {
        let words = ["ok", "error", "challenge", "cookie", "moved", "garbage", "twice", "reason", "cut"];
        let mut requests: Vec<(String, Request)> =
            words.map(|word| (word.to_owned(), Request::get(&format!("/hostile/{word}")))).into();
        let (signed, run) = (self.put("a body that is signed"), self.put("a body for a process"));
        requests.push(("signed".into(), Request::json("/signed", &json!({ "password": signed }))));
        requests.push(("a process".into(), Request::json("/run", &json!({ "password": run }))));
        requests
    }

    /// Requests that no client makes.
    pub fn raw_requests(&mut self) -> Vec<String> {
        let forms = [
            (
                "user information in the target",
                "GET http://user:{}@localhost/path/1 HTTP/1.1\r\nhost: localhost\r\n\r\n",
            ),
            ("a header without a colon", "GET /path/1 HTTP/1.1\r\nhost: localhost\r\ncookie session={}\r\n\r\n"),
            ("an unknown method", "SECRET{} /path/1 HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            ("a folded header", "GET /path/1 HTTP/1.1\r\nhost: localhost\r\ncookie: a\r\n session={}\r\n\r\n"),
            (
                "two lengths",
                "POST /orders HTTP/1.1\r\nhost: localhost\r\ncookie: {}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            ),
        ];
        forms.map(|(what, form)| form.replace("{}", &self.put(what))).into()
    }

    /// Requests to the administrative interface.
    pub fn administrative(&mut self) -> Vec<Request> {
        let (token, body, member) = (
            self.put("an administrator's token"),
            self.put("a bundle that is none"),
            self.put("a member that is not known"),
        );
        let change = |path: &str, body: String| {
            Request::post(&format!("/latchwork/v1/{path}"), body).header("latchwork-admin", "1")
        };
        vec![
            Request::get("/latchwork/v1/ready").header("authorization", &format!("Bearer {token}")),
            change("bundle", format!("{{\"password\":\"{body}\"}}")),
            change("emergency", json!({ "function": "shop.hostile", "reason": "x", "password": member }).to_string()),
        ]
    }
}

/// A service whose answers have secrets in every part.
pub async fn hostile(secrets: &mut Secrets) -> (String, JoinHandle<()>) {
    let mut answer = |what: &str, form: &str| form.replace("{}", &secrets.put(&format!("a service's {what}")));
    let answers: BTreeMap<&'static str, String> = [
        ("error", answer("error", "HTTP/1.1 500 Oops\r\ncontent-length: 36\r\n\r\n{}")),
        (
            "challenge",
            answer(
                "challenge",
                "HTTP/1.1 401 No\r\nwww-authenticate: Bearer error=\"{}\"\r\ncontent-length: 0\r\n\r\n",
            ),
        ),
        ("cookie", answer("cookie", "HTTP/1.1 200 OK\r\nset-cookie: session={}\r\ncontent-length: 0\r\n\r\n")),
        (
            "moved",
            answer(
                "location",
                "HTTP/1.1 302 Found\r\nlocation: https://user:{}@example.com/\r\ncontent-length: 0\r\n\r\n",
            ),
        ),
        ("garbage", answer("garbage", "password={} is not HTTP\r\n\r\n")),
        (
            "twice",
            answer("lengths", "HTTP/1.1 200 OK\r\nset-cookie: {}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"),
        ),
        ("reason", answer("reason phrase", "HTTP/1.1 503 token={}\r\ncontent-length: 0\r\n\r\n")),
        ("cut", answer("half of an answer", "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"token\":\"{}\"")),
        (
            "invocations",
            answer(
                "failure",
                "HTTP/1.1 400 Bad\r\nx-amzn-errortype: X\r\ncontent-length: 49\r\n\r\n{\"secret\":\"{}\"}",
            ),
        ),
    ]
    .into();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
    let server = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                let mut heard = Vec::new();
                let mut buffer = [0; 4096];
                while !heard.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
                    match socket.read(&mut buffer).await {
                        Ok(read) if read > 0 => heard.extend_from_slice(&buffer[..read]),
                        _ => return,
                    }
                }
                let line = String::from_utf8_lossy(&heard).lines().next().unwrap_or_default().to_owned();
                let word = answers.keys().find(|word| line.contains(&format!("/{word}")));
                let plain = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                let answer = word.and_then(|word| answers.get(word)).map_or(plain, String::as_str);
                // The gateway may have gone; then there is nobody to tell.
                drop(socket.write_all(answer.as_bytes()).await);
                drop(socket.shutdown().await);
            });
        }
    });
    (url, server)
}

fn random() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("there is randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
