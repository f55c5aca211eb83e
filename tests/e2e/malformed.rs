//! Requests that no client would send: each gets its own status, nothing panics, and the next caller is served.

use serde_json::json;
use std::time::Duration;
use tests::{
    client::{Client, Request},
    latchwork::{self, Running},
    origin::Origin,
    project::Project,
    raw::Raw,
};

/// What must come back.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// This status.
    Status(u16),
    /// One of these.
    Either(u16, u16),
    /// This status or no answer, but in any case the end of the connection.
    Closed(u16),
}

use Expected::{Closed, Either, Status};

/// Request heads after `POST /orders HTTP/1.1\r\nHost: localhost\r\n`, with the body, and what must come back.
const FIELDS: [(&str, &str, Expected); 30] = [
    ("space before the colon", "Content-Length : 2\r\n\r\n{}", Status(400)),
    ("a folded line", "X-A: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("a leading space", " X-A: a\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("no colon", "X-A\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("an empty name", ": a\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("a name in brackets", "X(A): a\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("NUL in a value", "X-A: a\0b\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("a bare CR in a value", "X-A: a\rb\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("DEL in a value", "X-A: a\x7fb\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("a second host", "Host: other\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("a negative length", "Content-Length: -1\r\n\r\n{}", Status(400)),
    ("a length with a sign", "Content-Length: +2\r\n\r\n{}", Status(400)),
    ("a length in hexadecimal", "Content-Length: 0x2\r\n\r\n{}", Status(400)),
    ("a length that is a list of two", "Content-Length: 2, 3\r\n\r\n{}", Status(400)),
    ("a length beyond 64 bits", "Content-Length: 99999999999999999999999\r\n\r\n{}", Status(400)),
    ("two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", Status(400)),
    ("an empty length", "Content-Length: \r\n\r\n{}", Status(400)),
    ("a coding that is not chunked", "Transfer-Encoding: gzip\r\n\r\n{}", Status(400)),
    ("chunked, but not last", "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", Status(400)),
    ("chunked in quotes", "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Status(400)),
    ("chunked with a vertical tab", "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", Status(400)),
    ("a chunk size that is none", "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", Closed(400)),
    ("a chunk size with a sign", "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n", Closed(400)),
    (
        "a chunk size beyond 64 bits",
        "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        Closed(400),
    ),
    ("a chunk without its end", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n", Closed(400)),
    (
        "two credentials",
        "Authorization: Bearer a\r\nAuthorization: Bearer b\r\nContent-Length: 2\r\n\r\n{}",
        Either(400, 401),
    ),
    (
        "two content types",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
        Status(400),
    ),
    ("connection names the host", "Connection: host\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("connection names a credential", "Connection: authorization\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
    ("connection names an identity", "Connection: latchwork-caller\r\nContent-Length: 2\r\n\r\n{}", Status(400)),
];

/// Whole request lines, sent with `Host: localhost`.
const LINES: [(&str, &str, Expected); 26] = [
    ("no method", " /orders HTTP/1.1", Status(400)),
    ("no version", "POST /orders", Status(400)),
    ("two spaces", "POST  /orders HTTP/1.1", Status(400)),
    ("a version that is none", "POST /orders HTTP/9.9", Status(400)),
    ("a version in lower case", "POST /orders http/1.1", Status(400)),
    ("a method in brackets", "PO(ST /orders HTTP/1.1", Status(400)),
    ("a space in the target", "GET /a b HTTP/1.1", Status(400)),
    ("NUL in the target", "GET /a\0b HTTP/1.1", Status(400)),
    ("NUL in the target, encoded", "GET /a%00b HTTP/1.1", Status(400)),
    ("an encoded slash", "GET /stock%2F7 HTTP/1.1", Status(400)),
    ("a backslash", "GET /stock\\7 HTTP/1.1", Status(400)),
    ("an encoded backslash", "GET /stock/%5c7 HTTP/1.1", Status(400)),
    ("a dot segment", "GET /stock/../stock/7 HTTP/1.1", Status(400)),
    ("an encoded dot segment", "GET /stock/%2e%2e/stock/7 HTTP/1.1", Status(400)),
    ("a parameter in a segment", "GET /stock;a=b/7 HTTP/1.1", Status(400)),
    ("half an escape", "GET /stock/%4 HTTP/1.1", Status(400)),
    ("an escape that is none", "GET /stock/%zz HTTP/1.1", Status(400)),
    ("bytes that are no UTF-8", "GET /stock/%ff%fe HTTP/1.1", Status(400)),
    ("an overlong slash", "GET /stock/%c0%af HTTP/1.1", Status(400)),
    ("another authority than the host", "GET http://other/stock/7 HTTP/1.1", Status(400)),
    ("user information", "GET http://root@localhost/stock/7 HTTP/1.1", Status(400)),
    ("an asterisk", "OPTIONS * HTTP/1.1", Either(400, 404)),
    ("a tunnel", "CONNECT localhost:22 HTTP/1.1", Either(400, 501)),
    ("TRACE", "TRACE /stock/7 HTTP/1.1", Status(501)),
    ("an unknown method", "BREW /stock/7 HTTP/1.1", Status(501)),
    ("no function there", "GET /no/such HTTP/1.1", Status(404)),
];

#[tokio::test]
async fn malformed_requests_have_a_status_each() {
    let (origin, gateway, _project) = start().await;
    let client = gateway.client();
    for (what, rest, expected) in FIELDS {
        let request = format!("POST /orders HTTP/1.1\r\nHost: localhost\r\n{rest}");
        check(&client, what, request.as_bytes(), expected).await;
    }
    for (what, line, expected) in LINES {
        check(&client, what, format!("{line}\r\nHost: localhost\r\n\r\n").as_bytes(), expected).await;
    }
    let many = "X-A: a\r\n".repeat(101);
    let long = format!("X-A: {}\r\n", "a".repeat(80_000));
    let huge = "a".repeat(80_000);
    for (what, request, expected) in [
        ("no host", "GET /stock/7 HTTP/1.1\r\n\r\n".to_owned(), Status(400)),
        ("an empty host", "GET /stock/7 HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), Either(400, 421)),
        ("a host with user information", "GET /stock/7 HTTP/1.1\r\nHost: root@localhost\r\n\r\n".to_owned(), Status(400)),
        ("a host that is none", "GET /stock/7 HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), Status(400)),
        ("too many fields", format!("GET /stock/7 HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"), Either(400, 431)),
        ("a field that is too long", format!("GET /stock/7 HTTP/1.1\r\nHost: localhost\r\n{long}\r\n"), Status(431)),
        ("a target that is too long", format!("GET /{huge} HTTP/1.1\r\nHost: localhost\r\n\r\n"), Either(414, 431)),
        ("chunked in HTTP/1.0", "POST /orders HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), Status(400)),
        ("both framings", "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), Either(400, 415)),
        ("bytes that are no HTTP", "\u{16}\u{3}\u{1} not http at all\r\n\r\n".to_owned(), Closed(400)),
        ("an HTTP/2 preface where HTTP/1.1 was agreed", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), Closed(400)),
    ] {
        check(&client, what, request.as_bytes(), expected).await;
    }
    still_serves(&gateway).await;
    assert_eq!(origin.seen().len(), 1, "a malformed request reached the service: {:?}", origin.seen());
    gateway.stop().await;
}

#[tokio::test]
async fn inputs_that_two_readers_could_take_differently_are_refused() {
    let (origin, gateway, _project) = start().await;
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let json = "application/json";
    let cases: [(&str, Vec<u8>, &str, u16); 22] = [
        ("nothing", b"".to_vec(), json, 400),
        ("half an object", b"{\"quantity\":1".to_vec(), json, 400),
        ("something after the object", b"{\"quantity\":1} {}".to_vec(), json, 400),
        ("a member twice", b"{\"quantity\":1,\"quantity\":2}".to_vec(), json, 400),
        ("a member twice, once escaped", b"{\"quantity\":1,\"quantit\\u0079\":2}".to_vec(), json, 400),
        ("a byte order mark", b"\xef\xbb\xbf{\"quantity\":1}".to_vec(), json, 400),
        ("half a surrogate pair", b"{\"quantity\":1,\"note\":\"\\ud800\"}".to_vec(), json, 400),
        ("bytes that are no UTF-8", b"{\"quantity\":1,\"note\":\"\xff\"}".to_vec(), json, 400),
        ("UTF-16", b"{\0}\0".to_vec(), json, 400),
        ("a comment", b"{\"quantity\":1} // yes".to_vec(), json, 400),
        ("NaN", b"{\"quantity\":NaN}".to_vec(), json, 400),
        ("a number beyond 64 bits", b"{\"quantity\":99999999999999999999}".to_vec(), json, 400),
        ("a fraction where a whole number is due", b"{\"quantity\":1.5}".to_vec(), json, 400),
        ("a number that only rounds to a whole one", b"{\"quantity\":1.00000000000000000001}".to_vec(), json, 400),
        ("text where a number is due", b"{\"quantity\":\"1\"}".to_vec(), json, 400),
        ("an unknown member", b"{\"quantity\":1,\"price\":0}".to_vec(), json, 400),
        ("no required member", b"{}".to_vec(), json, 400),
        ("a list", b"[1]".to_vec(), json, 400),
        ("five hundred lists", deep.into_bytes(), json, 400),
        ("another content type", b"{\"quantity\":1}".to_vec(), "text/plain", 415),
        ("another charset", b"{\"quantity\":1}".to_vec(), "application/json; charset=utf-16", 415),
        ("too large", vec![b' '; 2_000_000], json, 413),
    ];
    for (what, body, media, status) in cases {
        for client in [gateway.client(), gateway.client().http2()] {
            let answer = client.send(Request::post("/orders", body.clone()).header("content-type", media)).await;
            assert_eq!(answer.status, status, "{what}: {}", answer.text());
            assert_eq!(answer.json()["status"], status, "{what}");
        }
    }
    let encoded = Request::json("/orders", &json!({ "quantity": 1 })).header("content-encoding", "gzip");
    assert_eq!(gateway.client().send(encoded).await.status, 415, "an encoding that was not agreed");
    let untyped = Request::post("/orders", "{\"quantity\":1}");
    assert_eq!(gateway.client().send(untyped).await.status, 415, "no content type");
    still_serves(&gateway).await;
    assert_eq!(origin.seen().len(), 1, "a refused input reached the service");
    gateway.stop().await;
}

#[tokio::test]
async fn slow_and_silent_callers_are_let_go() {
    let (origin, gateway, _project) = start().await;
    for (what, sent) in [
        ("silence", ""),
        ("half a request line", "POST /ord"),
        ("half a head", "POST /orders HTTP/1.1\r\nHost: local"),
        (
            "half a body",
            "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{",
        ),
    ] {
        let mut raw = Raw::connect(&gateway.client()).await.unwrap();
        raw.send(sent.as_bytes()).await;
        let heard = raw.hear(|_| false).await;
        assert!(heard.closed, "{what}: the connection was kept");
        assert!(matches!(heard.status(), None | Some(408)), "{what}: {}", heard.text());
    }
    still_serves(&gateway).await;
    assert_eq!(origin.seen().len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_smuggled_behind_another_is_not_answered() {
    let (origin, gateway, _project) = start().await;
    let smuggled = "GET /stock/7 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let head = "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    for framing in [
        format!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Content-Length: 0\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len()),
    ] {
        let mut raw = Raw::connect(&gateway.client()).await.unwrap();
        raw.send(format!("{head}{framing}").as_bytes()).await;
        let heard = raw.hear(|_| false).await;
        assert_eq!((heard.answers(), heard.closed), (1, true), "{framing:?}: {}", heard.text());
    }
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
    gateway.stop().await;
}

async fn check(client: &Client, what: &str, request: &[u8], expected: Expected) {
    let heard = Raw::exchange(client, request).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    let status = heard.status();
    let right = match expected {
        Status(only) => status == Some(only),
        Either(one, other) => status == Some(one) || status == Some(other),
        Closed(only) => heard.closed && (status.is_none() || status == Some(only)) || status == Some(only),
    };
    assert!(right, "{what}: {status:?} is not {expected:?}: {}", heard.text());
}

async fn still_serves(gateway: &Running) {
    let answer = gateway.client().send(Request::json("/orders", &json!({ "quantity": 1 }))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// `POST /orders` takes JSON with a `quantity`; `GET /stock/{sku}` takes nothing. Everybody may call both.
async fn start() -> (Origin, Running, Project) {
    let origin = Origin::start().await;
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object", "additionalProperties": false, "required": ["quantity"],
        "properties": { "quantity": { "type": "integer", "minimum": 0 }, "note": { "type": "string", "maxLength": 100 } },
    });
    let project = Project::new()
        .anonymous()
        .schema("order.json", &schema)
        .http("shop.order", "POST /orders", &origin.url, "input = \"schemas/order.json\"")
        .http("shop.stock", "GET /stock/{sku}", &origin.url, "")
        .listener(&format!("timeouts = {{ header = \"{0}s\", body = \"{0}s\", idle = \"{0}s\" }}", PATIENCE.as_secs()))
        .permit_all()
        .policy("@id(\"no-bulk\")\nforbid (principal, action == Action::\"shop.order\", resource)\nwhen { context.input.quantity > 100 };");
    let gateway = latchwork::run(&project.config(), &project.ca()).await;
    (origin, gateway, project)
}

/// The gateway's patience with slow callers in these tests.
const PATIENCE: Duration = Duration::from_secs(2);
