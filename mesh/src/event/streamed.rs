//! The beginning of an answer that comes piece by piece: status and headers before the body, or the body at once.

use super::{
    ANSWER_BYTES_MAX, EventForm,
    http_answer::{PRELUDE_END, head, is_bodiless},
};
use crate::{
    host::work::Answered,
    invocation::InvokeError,
    payload::{Answer, Body, Reply},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use serde_json::Value;

/// What has come of an answer whose beginning is not understood yet.
#[derive(Debug)]
pub(crate) struct Beginning {
    form: EventForm,
    bytes: BytesMut,
    object: Object,
}

/// An answer whose beginning is understood.
#[derive(Debug)]
pub(crate) struct Begun {
    head: Response<()>,
    /// What has come of the body.
    pub(crate) first: Bytes,
}

/// Finds the end of a JSON object, byte by byte.
#[derive(Debug, Default)]
struct Object {
    read: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
    end: Option<usize>,
}

impl Beginning {
    /// Nothing has come.
    pub(crate) fn new(form: EventForm) -> Self {
        Self { form, bytes: BytesMut::new(), object: Object::default() }
    }

    /// The answer, once these bytes say what it is.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Option<Begun>, InvokeError> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.is_empty() {
            return Ok(None);
        }
        if !self.form.is_request() || self.bytes.first() != Some(&b'{') {
            return Ok(Some(self.raw()));
        }
        let Some(end) = self.object.end_in(&self.bytes) else {
            // What is longer is no head of an answer, nor one that could have come whole.
            return Ok((self.bytes.len() > ANSWER_BYTES_MAX).then(|| self.raw()));
        };
        let after = self.bytes.get(end..).unwrap_or_default();
        match after.get(..PRELUDE_END.len()) {
            Some(zeros) if zeros == PRELUDE_END => self.prelude(end).map(Some),
            None if after.iter().all(|byte| *byte == 0) => Ok(None),
            Some(_) | None => Ok(Some(self.raw())),
        }
    }

    /// The answer, if nothing more comes: it may have been written whole.
    pub(crate) fn end(self, bytes_max: u64) -> Result<Reply, InvokeError> {
        self.form.reply(Answered { body: self.bytes.freeze() }, bytes_max)
    }

    fn prelude(&mut self, end: usize) -> Result<Begun, InvokeError> {
        let mut first = self.bytes.split().freeze();
        let prelude = first.split_to(end);
        let Ok(Value::Object(prelude)) = serde_json::from_slice(&prelude) else {
            return Err(InvokeError::BadAnswer("the prelude is not a JSON object".to_owned()));
        };
        Ok(Begun { head: head(&prelude)?, first: first.split_off(PRELUDE_END.len()) })
    }

    fn raw(&mut self) -> Begun {
        Begun { head: Response::new(()), first: self.bytes.split().freeze() }
    }
}

impl Begun {
    /// The reply, with a body that has the rest.
    pub(crate) fn reply(self, body: Body) -> Reply {
        let (mut head, ()) = self.head.into_parts();
        if is_bodiless(head.status) {
            return Response::from_parts(head, Answer::Empty);
        }
        head.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
        Response::from_parts(head, Answer::Stream(body))
    }
}

impl Object {
    /// Where the object ends that `bytes` begin with; each byte is looked at once, however often they come.
    fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        for byte in bytes.get(self.read..).unwrap_or_default().iter().take_while(|_| self.end.is_none()) {
            self.read += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth == 0 {
                self.end = Some(self.read);
                break;
            }
        }
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the pieces one after the other: what they are, and after how many that is known.
    fn begun(form: EventForm, pieces: &[&str]) -> (usize, Result<Option<Begun>, InvokeError>) {
        let mut beginning = Beginning::new(form);
        for (number, piece) in pieces.iter().enumerate() {
            match beginning.take(piece.as_bytes()) {
                Ok(None) => {}
                known => return (number + 1, known),
            }
        }
        (pieces.len(), Ok(None))
    }

    #[test]
    fn a_head_is_known_as_soon_as_it_has_ended_wherever_it_is_cut() {
        let text = "{\"statusCode\":201,\"headers\":{\"x-a\":\"}\\\"{\"},\"cookies\":[\"a=b\"]}\0\0\0\0\0\0\0\0body\0";
        let (head, _) = text.split_at(text.find("body").unwrap());
        for cut in 1..head.len() {
            let (count, begun) =
                begun(EventForm::ApiGatewayV2, &[head.split_at(cut).0, head.split_at(cut).1, "body\0"]);
            let begun = begun.unwrap().unwrap();
            assert_eq!((count, &begun.first[..]), (2, &b""[..]), "{cut}");
            assert_eq!(begun.head.status().as_u16(), 201);
            assert_eq!(begun.head.headers()["x-a"], "}\"{");
            assert_eq!(begun.head.headers()["set-cookie"], "a=b");
        }
        let (_, begun) = begun(EventForm::ApiGatewayV2, &[text]);
        assert_eq!(begun.unwrap().unwrap().first, "body\0");
    }

    #[test]
    fn what_has_no_head_goes_on_at_once() {
        for (form, pieces, known) in [
            (EventForm::ApiGatewayV2, &["data: 1\n"][..], 1),
            (EventForm::ApiGatewayV2, &["{\"a\":", "1}", "\n"], 3),
            (EventForm::ApiGatewayV2, &["{\"a\":1}\0\0", "\0no"], 2),
            (EventForm::Body, &["{\"a\":"], 1),
        ] {
            let (count, begun) = begun(form, pieces);
            let begun = begun.unwrap().unwrap();
            assert_eq!((count, begun.head.status().as_u16()), (known, 200), "{pieces:?}");
            assert_eq!(begun.first, pieces[..known].concat());
        }
        let long = format!("{{\"a\":\"{}", "x".repeat(ANSWER_BYTES_MAX));
        assert!(begun(EventForm::ApiGatewayV2, &[&long]).1.unwrap().is_some(), "it is not kept for ever");
    }

    #[test]
    fn an_answer_that_was_written_whole_means_what_it_means_whole() {
        let mut beginning = Beginning::new(EventForm::ApiGatewayV2);
        for piece in ["{\"statusCode\":404,", "\"body\":\"gone\"}"] {
            assert!(beginning.take(piece.as_bytes()).unwrap().is_none());
        }
        let reply = beginning.end(100).unwrap();
        assert_eq!(reply.status().as_u16(), 404);
        assert!(matches!(reply.into_body(), Answer::Buffered(body) if body == "gone"));
        let bad = begun(EventForm::ApiGatewayV2, &["{\"statusCode\":99}\0\0\0\0\0\0\0\0"]).1;
        assert!(matches!(bad, Err(InvokeError::BadAnswer(_))), "{bad:?}");
        let empty = Beginning::new(EventForm::Body).end(100).unwrap();
        assert!(matches!(empty.into_body(), Answer::Empty));
    }
}
