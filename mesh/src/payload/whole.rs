//! Answers that must be read whole, up to a limit.

use super::{Answer, Body};
use crate::invocation::InvokeError;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

/// All of an answer.
pub(crate) async fn whole(answer: Answer, bytes_max: u64) -> Result<Bytes, InvokeError> {
    match answer {
        Answer::Empty => Ok(Bytes::new()),
        Answer::Buffered(bytes) if bytes.len() as u64 > bytes_max => Err(InvokeError::AnswerTooLarge { bytes_max }),
        Answer::Buffered(bytes) => Ok(bytes),
        Answer::Stream(body) => collect(body, bytes_max).await,
        Answer::Duplex { .. } => Err(InvokeError::BadAnswer("an upgrade".to_owned())),
    }
}

/// All of a body.
pub(crate) async fn collect(mut body: Body, bytes_max: u64) -> Result<Bytes, InvokeError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(InvokeError::Broken)?.into_data() else { continue };
        if (bytes.len() + data.len()) as u64 > bytes_max {
            return Err(InvokeError::AnswerTooLarge { bytes_max });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}
