//! Frames as they come, cut anywhere; ends that say that the function failed; and ends that never come.

use super::*;
use crate::{
    payload::Answer,
    samples::{self, body},
};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use std::{convert::Infallible, fs, path::PathBuf, process::Command, time::Duration};

/// Frames that the crate publishes as examples of what must not be read.
const INVALID_FRAMES: usize = 8;

fn frame(kind: &str, name: &str, payload: impl Into<Bytes>) -> Vec<u8> {
    let header = |name: &str, value: &str| Header::new(name.to_owned(), HeaderValue::String(value.to_owned().into()));
    let message = Message::new(payload.into())
        .add_header(header(":message-type", kind))
        .add_header(header(&format!(":{kind}-type"), name))
        .add_header(header(":content-type", "application/octet-stream"));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes
}

fn chunk(payload: &str) -> Vec<u8> {
    frame("event", "PayloadChunk", payload.to_owned())
}

fn complete(payload: &str) -> Vec<u8> {
    frame("event", "InvokeComplete", payload.to_owned())
}

/// The answer to a call whose frames come in these pieces.
async fn answer(form: EventForm, pieces: Vec<Vec<u8>>) -> Result<Reply, InvokeError> {
    let frames = stream::iter(pieces).map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
    let context = samples::context(Duration::from_secs(10));
    Pieces::new(StreamBody::new(frames), Some("a".into()), &context).reply(form).await
}

#[tokio::test]
async fn pieces_go_on_as_they_come_wherever_they_are_cut() {
    let parts = ["{\"statusCode\":201,\"headers\":{\"x-a\":\"1\"}}\0\0\0\0\0\0\0\0", "one", "", "two"];
    let whole: Vec<u8> = parts.iter().flat_map(|part| chunk(part)).chain(complete("{}")).collect();
    for size in [1, 2, 7, 64, whole.len()] {
        let pieces = whole.chunks(size).map(<[u8]>::to_vec).collect();
        let reply = answer(EventForm::ApiGatewayV2, pieces).await.unwrap();
        assert_eq!((reply.status().as_u16(), reply.headers()["x-a"].as_bytes()), (201, &b"1"[..]));
        let Answer::Stream(mut rest) = reply.into_body() else { panic!("it is read whole") };
        let mut came = Vec::new();
        while let Some(frame) = rest.frame().await {
            came.push(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(came, ["one", "two"], "as the function wrote them");
    }
    let pieces = vec![chunk("data: 1\n"), frame("event", "SomethingNew", "x"), chunk("data: 2\n"), complete("")];
    let reply = answer(EventForm::Body, pieces).await.unwrap();
    assert_eq!(reply.headers()[CONTENT_TYPE], "application/octet-stream");
    assert_eq!(body(reply).await.unwrap(), "data: 1\ndata: 2\n");
}

#[tokio::test]
async fn a_function_that_fails_before_its_first_byte_has_no_answer() {
    let fails = |pieces| async { answer(EventForm::ApiGatewayV2, pieces).await.unwrap_err() };
    let error =
        fails(vec![complete(r#"{"ErrorCode":"Unhandled","ErrorDetails":"{\"errorMessage\":\"secret\"}"}"#)]).await;
    assert_eq!(error.to_string(), "the function failed: Unhandled");
    let error = fails(vec![frame("exception", "TooManyRequestsException", "{}")]).await;
    assert!(matches!(error, InvokeError::Throttled { retry_after: None }), "{error}");
    let error = fails(vec![frame("exception", "ServiceException", "{}")]).await;
    assert_eq!(error.to_string(), "the function failed: ServiceException");
    assert!(matches!(fails(vec![]).await, InvokeError::Broken(_)));
    assert!(matches!(fails(vec![complete("no json")]).await, InvokeError::BadAnswer(_)));
    assert!(matches!(fails(vec![frame("event", "PayloadChunk", "x")[..9].to_vec()]).await, InvokeError::Broken(_)));
}

#[tokio::test]
async fn a_function_that_fails_after_its_first_byte_breaks_off() {
    for end in [
        complete(r#"{"ErrorCode":"Runtime.ExitError","ErrorDetails":"secret"}"#),
        frame("exception", "ServiceException", "{}"),
        Vec::new(),
        b"no frame at all, whatever one makes of it".to_vec(),
    ] {
        let reply = answer(EventForm::Body, vec![chunk("half"), end]).await.unwrap();
        let Answer::Stream(mut rest) = reply.into_body() else { panic!("it is read whole") };
        assert_eq!(rest.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
        let error = rest.frame().await.unwrap().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(rest.frame().await.is_none(), "an error ends it");
    }
}

#[tokio::test]
async fn an_answer_that_was_written_whole_means_what_it_means_whole() {
    let pieces = vec![chunk("{\"statusCode\":404,"), chunk("\"body\":\"gone\"}"), complete("{}")];
    let reply = answer(EventForm::ApiGatewayV2, pieces).await.unwrap();
    assert_eq!(reply.status().as_u16(), 404);
    assert_eq!(body(reply).await.unwrap(), "gone");
    let reply = answer(EventForm::ApiGatewayV2, vec![complete("{}")]).await;
    assert!(matches!(reply, Err(InvokeError::BadAnswer(_))), "an answer of no bytes is no JSON: {reply:?}");
    let reply = answer(EventForm::Body, vec![complete("{}")]).await.unwrap();
    assert!(matches!(reply.into_body(), Answer::Empty));
}

#[tokio::test]
async fn published_frames_that_must_not_be_read_are_not() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "aws-smithy-eventstream").unwrap();
    let folder = PathBuf::from(package["manifest_path"].as_str().unwrap()).with_file_name("test_data");
    let mut seen = 0;
    for file in fs::read_dir(folder).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("invalid_") {
            let result = answer(EventForm::Body, vec![fs::read(file.path()).unwrap()]).await;
            // A length that promises more than comes is noticed at the end.
            assert!(matches!(result, Err(InvokeError::BadAnswer(_) | InvokeError::Broken(_))), "{file:?}: {result:?}");
            seen += 1;
        }
    }
    assert_eq!(seen, INVALID_FRAMES);
}
