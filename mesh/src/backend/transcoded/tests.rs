//! Messages out, and answers in: whole, in pieces, and as errors.

use super::{answer, *};
use crate::{
    bind::protobuf::Descriptions,
    payload::{Answer, BodyError},
    samples,
};
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::{fs, time::Duration};

const PROTO: &str = "syntax = \"proto3\";\npackage shop.v1;\n\
    service Orders { rpc Create(Order) returns (Order); rpc Watch(Order) returns (stream Order); }\n\
    message Order { string sku = 1; int64 amount = 2; }\n";

fn speech(method: &str) -> Speech {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("orders.proto"), PROTO).unwrap();
    let described = Descriptions::load(&folder.path().join("orders.proto"), folder.path()).unwrap();
    let method = described.method("shop.v1.Orders", method).unwrap();
    Speech::Json(Arc::new(Binding::plain(&method).unwrap()))
}

fn reply(status: u16, kind: &'static str, answer: Answer) -> Reply {
    let mut reply = Reply::new(answer);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply.headers_mut().insert("x-tag", HeaderValue::from_static("blue"));
    reply
}

/// The messages of an answer, and how it ended: the code, or what broke.
async fn heard(reply: Reply, speech: &Speech) -> Result<(Vec<Bytes>, String), String> {
    let context = samples::context(Duration::from_secs(30));
    let reply = answer::of(reply, speech, &context).await.map_err(|error| error.to_string())?;
    assert_eq!(reply.headers()["x-tag"], "blue");
    assert!(!reply.headers().contains_key(CONTENT_TYPE), "what is framed is not what was");
    let code = |fields: &HeaderMap| fields.get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
    if let Some(code) = code(reply.headers()) {
        return Ok((Vec::new(), code));
    }
    let Answer::Stream(mut body) = reply.into_body() else { panic!("a stream") };
    let (mut bytes, mut end) = (Vec::new(), String::from("nothing"));
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| error.to_string())?.into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => end = code(&frame.into_trailers().unwrap()).unwrap(),
        }
    }
    let (mut bytes, mut messages) = (Bytes::from(bytes), Vec::new());
    while !bytes.is_empty() {
        assert_eq!(bytes.get_u8(), 0);
        let length = bytes.get_u32() as usize;
        messages.push(bytes.split_to(length));
    }
    Ok((messages, end))
}

fn pieces(text: &str, length: usize) -> Answer {
    let frames: Vec<Result<Frame<Bytes>, BodyError>> =
        text.as_bytes().chunks(length).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    Answer::Stream(StreamBody::new(stream::iter(frames)).boxed_unsync())
}

#[test]
fn a_call_has_one_message_that_is_whole() {
    let framed = framed(b"tea");
    assert_eq!(one(framed.clone()).unwrap(), "tea");
    assert_eq!(one(Bytes::from_static(&[0; 5])).unwrap(), "");
    for torn in [&framed[..4], &framed[..7], &[&framed[..], b"x"].concat()[..], &[1, 0, 0, 0, 0], b""] {
        assert!(matches!(one(Bytes::copy_from_slice(torn)), Err(InvokeError::Unsupported(_))), "{torn:?}");
    }
}

#[tokio::test]
async fn an_answer_is_divided_wherever_its_frames_end() {
    let watch = speech("Watch");
    let expected = [&b"\x0a\x03tea"[..], b"", b"\x10\x07"];
    let lines = "{\"sku\":\"tea\"}\r\n\n{}\n{\"amount\":\"7\",\"more\":[1]}";
    let events = ": hello\n\nevent: order\ndata: {\"sku\":\ndata: \"tea\"}\nid: 1\n\ndata:{}\n\ndata: {\"amount\":7}";
    let list = "[{\"sku\":\"tea\"}, {}, {\"amount\":\"7\"}]";
    for (kind, text) in
        [("application/x-ndjson", lines), ("text/event-stream; charset=utf-8", events), ("application/json", list)]
    {
        for length in 1..text.len() {
            let (messages, end) = heard(reply(200, kind, pieces(text, length)), &watch).await.unwrap();
            assert_eq!(
                (messages.as_slice(), end.as_str()),
                (&expected.map(Bytes::from_static)[..], "0"),
                "{kind} {length}"
            );
        }
    }
    for (kind, text, code) in [
        ("application/x-ndjson", "{}\n{\"error\":{\"code\":404,\"message\":\"gone\"}}\n", "5"),
        ("application/x-ndjson", "{}\n{\"error\":{\"message\":\"gone\",\"status\":\"DATA_LOSS\"}}\n", "15"),
        ("text/event-stream", "data: {}\n\nevent: error\ndata: {\"message\":\"gone\"}\n\n", "13"),
    ] {
        let (messages, end) = heard(reply(200, kind, pieces(text, 9)), &watch).await.unwrap();
        assert_eq!((messages.len(), end.as_str()), (1, code), "{text}");
    }
    let odd = heard(reply(200, "application/x-ndjson", pieces("{\"sku\":7}\n", 4)), &watch).await;
    assert!(odd.unwrap_err().contains("does not fit its description"));
    let endless = format!("{{\"sku\":\"{}", "x".repeat(20 * 1024 * 1024));
    let endless = heard(reply(200, "application/x-ndjson", pieces(&endless, 65_536)), &watch).await;
    assert!(endless.unwrap_err().contains("too large"));
}

#[tokio::test]
async fn a_status_of_http_is_one_of_grpc() {
    let create = speech("Create");
    for (status, body, code) in [
        (404, "{\"error\":{\"code\":404,\"message\":\"gone\",\"status\":\"NOT_FOUND\"}}", "5"),
        (400, "{\"code\":9,\"message\":\"not now\",\"status\":\"FAILED_PRECONDITION\"}", "9"),
        (403, "{\"title\":\"no\"}", "7"),
        (503, "<h1>secret</h1>", "14"),
        (302, "", "2"),
    ] {
        let answered = heard(reply(status, "application/json", pieces(body, 8)), &create).await.unwrap();
        assert_eq!(answered, (Vec::new(), code.to_owned()), "{status}");
    }
    let empty = heard(reply(204, "text/plain", Answer::Empty), &create).await.unwrap();
    assert_eq!(empty, (vec![Bytes::new()], "0".to_owned()), "nothing is an empty message");
    for body in ["[]", "{\"sku\":7}", "{\"sku\":\"a\",\"sku\":\"b\"}", "tea"] {
        let bad = heard(reply(200, "application/json", pieces(body, 8)), &create).await.unwrap_err();
        assert!(bad.contains("malformed"), "{body}: {bad}");
    }
    let message =
        heard(reply(200, "application/octet-stream", pieces("\x0a\x03tea", 2)), &Speech::Bytes).await.unwrap();
    assert_eq!(message, (vec![Bytes::from_static(b"\x0a\x03tea")], "0".to_owned()));
    assert!(heard(reply(200, "text/html", pieces("tea", 2)), &Speech::Bytes).await.is_err());
}
