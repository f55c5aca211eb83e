//! Answers that are events, in both modes, and some that only look like one.

use super::*;
use crate::samples;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use std::time::Duration;

const JSON: &str = "application/cloudevents+json; charset=utf-8";

fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::builder().status(status);
    for (name, value) in headers {
        reply = reply.header(*name, *value);
    }
    let body = Full::new(body.into()).map_err(|never| match never {});
    reply.body(Answer::Stream(body.boxed_unsync())).unwrap()
}

async fn read(reply: Reply) -> Result<(u16, HeaderMap, Bytes), InvokeError> {
    let reply = data(reply, &samples::context(Duration::from_secs(5))).await?;
    let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
    Ok((status, headers, samples::body(reply).await.unwrap()))
}

async fn structured(body: &str) -> Result<(String, Bytes), InvokeError> {
    let (_, headers, body) =
        read(reply(200, &[("content-type", JSON), ("content-length", "9")], body.to_owned())).await?;
    assert!(headers.len() < 2, "{headers:?}");
    Ok((headers.get(CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap()).to_owned(), body))
}

fn event(members: &str) -> String {
    format!("{{ \"specversion\" : \"1.0\",\n\"id\":\"1\", \"source\":\"/s\",\"type\":\"t\"{members} }}\n")
}

#[tokio::test]
async fn attributes_in_headers_go_and_the_body_stays() {
    let headers =
        [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "t"), ("content-type", "text/plain"), ("x", "1")];
    let (status, headers, body) = read(reply(201, &headers, "made")).await.unwrap();
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!((status, names, &body[..]), (201, vec!["content-type", "x"], &b"made"[..]));
    let other = read(reply(200, &[("ce-specversion", "0.3")], "made")).await;
    assert!(matches!(other, Err(InvokeError::BadAnswer(_))));
    // What is no event and what failed is as it is.
    let (status, headers, body) = read(reply(200, &[("content-type", "text/plain")], "plain")).await.unwrap();
    assert_eq!((status, headers.len(), &body[..]), (200, 1, &b"plain"[..]));
    let (status, headers, body) =
        read(reply(400, &[("content-type", JSON), ("ce-id", "1")], "no event")).await.unwrap();
    assert_eq!((status, headers.len(), &body[..]), (400, 1, &b"no event"[..]));
}

#[tokio::test]
async fn data_in_json_is_as_it_was_written() {
    for (members, kind, expected) in [
        ("", "", ""),
        (
            ",\"data\":{\"a\" : 1.50, \"b\":[1e-7,18446744073709551616]}",
            "application/json",
            "{\"a\" : 1.50, \"b\":[1e-7,18446744073709551616]}",
        ),
        (",\"data\": 7", "application/json", "7"),
        (",\"data\":\"x\\ny\",\"datacontenttype\":\"text/plain\"", "text/plain", "x\ny"),
        (",\"datacontenttype\":\"text/xml\",\"data\":\"<a/>\",\"subject\":null", "text/xml", "<a/>"),
        (",\"data\":\"text\"", "application/json", "\"text\""),
        (",\"data_base64\":\"AAE=\",\"datacontenttype\":\"image/png\"", "image/png", "\0\u{1}"),
        (",\"time\":\"2026-11-23T10:20:30Z\",\"count\":1,\"data\":{\"data\":{}}", "application/json", "{\"data\":{}}"),
    ] {
        let (said, body) = structured(&event(members)).await.unwrap_or_else(|error| panic!("{members}: {error}"));
        assert_eq!((&*said, &body[..]), (kind, expected.as_bytes()), "{members}");
    }
}

#[tokio::test]
async fn what_is_no_event_is_no_answer() {
    for body in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        "{\"specversion\":\"1.0\"".to_owned(),
        event("").replace("1.0", "0.3"),
        event("").replace("\"/s\"", "\"\""),
        event("").replace("\"t\"", "null"),
        event(",\"id\":\"2\""),
        event(",\"data\":1,\"data\":2"),
        event(",\"data\":1,\"data_base64\":\"AA==\""),
        event(",\"data_base64\":\"*\""),
        event(",\"data\":{},\"datacontenttype\":\"text/plain\""),
        event(",\"data\":1,\"datacontenttype\":\"a\\nb+json\""),
        event("") + "{}",
    ] {
        let error = structured(&body).await.unwrap_err();
        assert!(matches!(error, InvokeError::BadAnswer(_)), "{body}: {error}");
    }
    for kind in ["application/cloudevents-batch+json", "application/cloudevents+xml"] {
        let odd = read(reply(200, &[("content-type", kind)], "[]")).await;
        assert!(matches!(odd, Err(InvokeError::BadAnswer(_))), "{kind}");
    }
    let mut context = samples::context(Duration::from_secs(5));
    context.response_bytes_max = 20;
    let large = data(reply(200, &[("content-type", JSON)], event("")), &context).await;
    assert!(matches!(large, Err(InvokeError::AnswerTooLarge { bytes_max: 20 })));
}
