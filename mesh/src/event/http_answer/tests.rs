//! Answers as functions write them.

use super::*;

fn reply_of(answer: &str) -> Result<Reply, InvokeError> {
    reply(Bytes::from(answer.to_owned()))
}

fn body_of(reply: Reply) -> Option<Bytes> {
    match reply.into_body() {
        Answer::Buffered(bytes) => Some(bytes),
        _ => None,
    }
}

#[test]
fn an_answer_sets_status_headers_cookies_and_body() {
    let answer = r#"{"statusCode":"201","headers":{"X-A":"1","x-b":"gone","X-N":5,"content-length":"7","Connection":"x-h","x-h":"1"},
        "multiValueHeaders":{"X-B":["2","3"]},"cookies":["a=b","c=d"],"body":"aGk=","isBase64Encoded":true}"#;
    let reply = reply_of(answer).unwrap();
    assert_eq!(reply.status().as_u16(), 201);
    let all = |name: &str| reply.headers().get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("x-a"), ["1"]);
    assert_eq!(all("x-n"), ["5"]);
    assert_eq!(all("x-b"), ["2", "3"]);
    assert_eq!(all("set-cookie"), ["a=b", "c=d"]);
    assert_eq!(all("content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(reply.headers().len(), 7);
    assert_eq!(body_of(reply).unwrap(), "hi");
}

#[test]
fn an_answer_without_a_status_is_the_body() {
    for text in [r#"{"ok":true}"#, "[1]", "\"text\"", "null", "5"] {
        let reply = reply_of(text).unwrap();
        assert_eq!(
            (reply.status().as_u16(), reply.headers()["content-type"].as_bytes()),
            (200, &b"application/json"[..])
        );
        assert_eq!(body_of(reply).unwrap(), text);
    }
}

#[test]
fn an_answer_without_a_body_has_none() {
    for text in
        [r#"{"statusCode":200}"#, r#"{"statusCode":204,"body":"x"}"#, r#"{"statusCode":304,"body":"x","headers":null}"#]
    {
        assert!(body_of(reply_of(text).unwrap()).is_none(), "{text}");
    }
}

#[test]
fn what_is_no_answer_is_malformed() {
    let many = format!(r#"{{"statusCode":200,"multiValueHeaders":{{"x":[{}"y"]}}}}"#, "\"y\",".repeat(FIELDS_MAX));
    let large = format!(r#"{{"statusCode":200,"headers":{{"x":"{}"}}}}"#, "y".repeat(HEADER_BYTES_MAX));
    for text in [
        "",
        "not json",
        r#"{"statusCode":101}"#,
        r#"{"statusCode":100}"#,
        r#"{"statusCode":600}"#,
        r#"{"statusCode":0}"#,
        r#"{"statusCode":-200}"#,
        r#"{"statusCode":200.5}"#,
        r#"{"statusCode":"ok"}"#,
        r#"{"statusCode":null}"#,
        r#"{"statusCode":65736}"#,
        r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
        r#"{"statusCode":200,"headers":{"":"c"}}"#,
        r#"{"statusCode":200,"headers":{"a":"b\r\nset-cookie: x"}}"#,
        r#"{"statusCode":200,"headers":{"a":["b"]}}"#,
        r#"{"statusCode":200,"headers":[]}"#,
        r#"{"statusCode":200,"multiValueHeaders":{"a":"b"}}"#,
        r#"{"statusCode":200,"cookies":"a=b"}"#,
        r#"{"statusCode":200,"cookies":["a=b\r\nx: y"]}"#,
        r#"{"statusCode":200,"body":{}}"#,
        r#"{"statusCode":200,"body":"x","isBase64Encoded":true}"#,
        r#"{"statusCode":200,"body":"x","isBase64Encoded":"true"}"#,
        &many,
        &large,
    ] {
        assert!(matches!(reply_of(text), Err(InvokeError::BadAnswer(_))), "{text}");
    }
}
