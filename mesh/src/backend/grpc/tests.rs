//! Time-outs as the wire has them, and answers that are none.

use super::*;
use crate::{
    double::Double,
    payload::{Answer, BodyError},
    samples,
};
use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

fn with(values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (TIMEOUT, HeaderValue::from_str(value).unwrap())).collect()
}

#[test]
fn time_outs_are_read_as_they_are_written() {
    for (text, expected) in [
        ("1H", Duration::from_secs(3600)),
        ("2M", Duration::from_secs(120)),
        ("99999999S", Duration::from_secs(99_999_999)),
        ("250m", Duration::from_millis(250)),
        ("7u", Duration::from_micros(7)),
        ("0n", Duration::ZERO),
    ] {
        assert_eq!(timeout(&with(&[text])), Ok(Some(expected)), "{text}");
    }
    assert_eq!(timeout(&HeaderMap::new()), Ok(None));
    for malformed in ["", "S", "1", "1s", "1 S", "-1S", "+1S", "100000000S", "1.5S", "1SS", "0x1S"] {
        assert!(timeout(&with(&[malformed])).is_err(), "{malformed}");
    }
    assert!(timeout(&with(&["1S", "1S"])).is_err());
}

#[test]
fn what_is_left_is_passed_on_in_eight_digits() {
    for (left, expected) in [
        (Duration::from_nanos(1), "1u"),
        (Duration::from_millis(1500), "1500000u"),
        (Duration::from_secs(100), "100000m"),
        (Duration::from_secs(900), "900000m"),
        (Duration::from_secs(1_000_000), "1000000S"),
    ] {
        let mut headers = with(&["9H", "9H"]);
        set_timeout(&mut headers, left).unwrap();
        assert_eq!(headers.get_all(TIMEOUT).iter().collect::<Vec<_>>(), [expected], "{left:?}");
    }
    assert!(matches!(set_timeout(&mut HeaderMap::new(), Duration::ZERO), Err(InvokeError::TimedOut)));
}

fn config(url: &str) -> GrpcConfig {
    GrpcConfig {
        url: url.to_owned(),
        ca: None,
        server_id: None,
        client_certificate: None,
        client_key: None,
        unix: None,
        connect_timeout: "3s".to_owned(),
    }
}

#[test]
fn a_url_has_no_path() {
    for good in ["http://127.0.0.1:1", "http://127.0.0.1:1/"] {
        assert!(Grpc::new(&config(good), Path::new("/")).is_ok(), "{good}");
    }
    for bad in ["http://127.0.0.1:1/a", "http://127.0.0.1:1/?a", "127.0.0.1:1", "ftp://127.0.0.1"] {
        assert_eq!(Grpc::new(&config(bad), Path::new("/")).unwrap_err().field, "url", "{bad}");
    }
}

#[tokio::test]
async fn what_goes_over_the_wire_is_known_to_the_byte() {
    let double = Double::same(200, &[("content-type", "application/grpc"), ("grpc-status", "0")], "").await;
    let mut outbound = samples::post(&b"\0\0\0\0\x05hello"[..]);
    outbound.head.path = "/shop.v1.Orders/Create".into();
    outbound.head.query = Some("a=1".into());
    for (name, value) in
        [("content-type", "application/grpc+proto"), ("te", "trailers"), ("grpc-timeout", "9H"), ("x-tag-bin", "AP8")]
    {
        outbound.head.headers.insert(name, HeaderValue::from_static(value));
    }
    Grpc::new(&config(&double.url()), Path::new("/")).unwrap().invoke(outbound).await.unwrap();
    double.golden("grpc/unary.golden", &[("grpc-timeout", "TIME")]);
}

fn reply(status: u16, headers: &[(&'static str, &'static str)], answer: Answer) -> Reply {
    let mut reply = Reply::new(answer);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        reply.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    reply
}

#[test]
fn what_is_no_answer_of_grpc_becomes_a_status() {
    const GRPC: (&str, &str) = ("content-type", "application/grpc+proto");
    for (status, headers, code) in [
        (200, vec![("content-type", "text/html")], "2"),
        (200, vec![GRPC], "2"),
        (200, vec![GRPC, ("grpc-status", "5")], "5"),
        (400, vec![], "13"),
        (401, vec![], "16"),
        (403, vec![GRPC], "7"),
        (404, vec![], "12"),
        (429, vec![], "14"),
        (503, vec![("grpc-status", "8")], "8"),
        (503, vec![("grpc-status", "0")], "14"),
        (500, vec![("grpc-status", "99")], "2"),
    ] {
        let answered = answer::of(reply(status, &headers, Answer::Empty)).unwrap();
        assert_eq!(answered.status(), 200);
        assert!(is_grpc(answered.headers()));
        assert_eq!(answered.headers()["grpc-status"], code, "{status} {headers:?}");
    }
}

type Sent = Result<Frame<Bytes>, BodyError>;

async fn streamed(frames: Vec<Sent>) -> Result<(Bytes, Option<HeaderMap>), BodyError> {
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let answered = answer::of(reply(200, &[("content-type", "application/grpc")], Answer::Stream(body))).unwrap();
    let Answer::Stream(body) = answered.into_body() else { panic!("a stream") };
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    Ok((collected.to_bytes(), trailers))
}

#[tokio::test]
async fn a_stream_ends_in_a_status() {
    let data = || Ok(Frame::data(Bytes::from_static(b"message")));
    let trailers = |name: &'static str| {
        Ok(Frame::trailers([(HeaderName::from_static(name), HeaderValue::from_static("3"))].into_iter().collect()))
    };
    let (bytes, sent) = streamed(vec![data(), data(), trailers("grpc-status")]).await.unwrap();
    assert_eq!((bytes.len(), &sent.unwrap()["grpc-status"]), (14, &HeaderValue::from_static("3")));
    for frames in [vec![], vec![data()], vec![data(), trailers("x-other")]] {
        assert_eq!(GrpcError::of(&streamed(frames).await.unwrap_err()).code, 2);
    }
    let reset = |reason: h2::Reason| Err(BodyError::from(h2::Error::from(reason)));
    for (reason, code) in [(h2::Reason::INTERNAL_ERROR, 13), (h2::Reason::CANCEL, 1), (h2::Reason::REFUSED_STREAM, 14)]
    {
        assert_eq!(GrpcError::of(&streamed(vec![data(), reset(reason)]).await.unwrap_err()).code, code);
    }
    assert_eq!(GrpcError::of(&streamed(vec![Err("torn".into())]).await.unwrap_err()).code, 14);
}
