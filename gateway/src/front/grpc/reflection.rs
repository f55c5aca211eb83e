//! Which services there are, for clients that learn messages at run time: both versions of the public protocol.

use super::{message, status};
use crate::{
    call::{Arrived, Unread},
    front::body::{self, Received},
    refusal::Refusal,
};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use mesh::payload::{BodyError, Wire};
use proto::{
    prost::Message,
    reflection::v1::{
        ErrorResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest, ServerReflectionResponse,
        ServiceResponse, server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    well_known::{FileDescriptorProto, FileDescriptorSet},
};
use std::{collections::BTreeMap, sync::LazyLock};
use uuid::Uuid;

/// All questions of one stream together, in bytes.
const QUESTIONS_BYTES_MAX: u64 = 256 * 1024;

/// What the packages of the administrative interface begin with.
const ADMINISTRATIVE: &str = "latchwork.admin.";
const NOT_FOUND: i32 = 5;
const INVALID_ARGUMENT: i32 = 3;

/// What there is to tell. The bytes are the binary's own, so this can't fail; were they broken, it would be empty.
static KNOWN: LazyLock<Known> =
    LazyLock::new(|| Known::of(FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap_or_default()));

/// Files and what they declare.
#[derive(Debug, Default)]
struct Known {
    services: Vec<String>,
    files: BTreeMap<String, FileDescriptorProto>,
    /// The file of each message, enum, service and method, by full name.
    declared: BTreeMap<String, String>,
}

/// Questions that come, answers that go.
struct Exchange {
    received: Received,
    /// Services to list.
    services: Vec<&'static str>,
    pending: BytesMut,
    call: Uuid,
    over: bool,
}

/// Answers each question in turn.
pub(crate) fn answer(arrived: Arrived) -> Result<Wire, Refusal> {
    let bounds = message::bounds(&arrived.envelope, QUESTIONS_BYTES_MAX);
    let Unread::Incoming(incoming) = arrived.body else {
        return Err(Refusal::Malformed("there is no message".into()));
    };
    let received = Received::new(incoming, bounds);
    let functions = &arrived.generation.config.functions;
    let routed = |service: &str| {
        let routes = functions.iter().filter_map(|function| function.route.as_ref()).filter(|route| route.grpc);
        routes.filter_map(|route| route.pattern.strip_prefix('/')?.split_once('/')).any(|(name, _)| name == service)
    };
    let services = KNOWN.services.iter().map(String::as_str).filter(|name| own(name) || routed(name)).collect();
    let exchange = Exchange { received, services, pending: BytesMut::new(), call: arrived.envelope.id, over: false };
    let frames = stream::unfold(exchange, |mut exchange| async {
        let frame = exchange.frame().await?;
        Some((Ok::<_, BodyError>(frame), exchange))
    });
    Ok(Wire::Stream(StreamBody::new(frames).boxed_unsync()))
}

impl Exchange {
    async fn frame(&mut self) -> Option<Frame<Bytes>> {
        if self.over {
            return None;
        }
        match self.question().await {
            Ok(Some(question)) => Some(Frame::data(message::framed(&KNOWN.answer(question, &self.services)))),
            Ok(None) => {
                self.over = true;
                Some(Frame::trailers(status::ok()))
            }
            Err(refusal) => {
                self.over = true;
                Some(Frame::trailers(status::refusal(&refusal, self.call)))
            }
        }
    }

    async fn question(&mut self) -> Result<Option<ServerReflectionRequest>, Refusal> {
        loop {
            let mut pending = self.pending.split().freeze();
            let whole = message::next(&mut pending)?;
            self.pending = BytesMut::from(pending);
            if let Some(message) = whole {
                let question = ServerReflectionRequest::decode(message);
                return question.map(Some).map_err(|_| Refusal::Malformed("this is no question".into()));
            }
            let Some(frame) = self.received.frame().await else { return Ok(None) };
            let frame = frame.map_err(|e| body::refusal(&e))?;
            let Ok(data) = frame.into_data() else { return Ok(None) };
            self.pending.extend_from_slice(&data);
        }
    }
}

impl Known {
    fn of(set: FileDescriptorSet) -> Self {
        let mut known = Self::default();
        // What another port serves is nobody's business here.
        for file in set.file.into_iter().filter(|file| !file.package().starts_with(ADMINISTRATIVE)) {
            let (name, package) = (file.name().to_owned(), file.package().to_owned());
            let messages = file.message_type.iter().map(|m| m.name());
            let enums = file.enum_type.iter().map(|e| e.name());
            for short in messages.chain(enums) {
                known.declared.insert(format!("{package}.{short}"), name.clone());
            }
            for service in &file.service {
                let full = format!("{package}.{}", service.name());
                for method in &service.method {
                    known.declared.insert(format!("{full}.{}", method.name()), name.clone());
                }
                known.declared.insert(full.clone(), name.clone());
                known.services.push(full);
            }
            known.files.insert(name, file);
        }
        known.services.sort();
        known
    }

    fn answer(&self, question: ServerReflectionRequest, services: &[&str]) -> ServerReflectionResponse {
        let answer = match &question.message_request {
            Some(MessageRequest::ListServices(_)) => {
                let service = services.iter().map(|name| ServiceResponse { name: (*name).to_owned() }).collect();
                MessageResponse::ListServicesResponse(ListServiceResponse { service })
            }
            Some(MessageRequest::FileByFilename(name)) => self.file(Some(name)),
            Some(MessageRequest::FileContainingSymbol(name)) => self.file(self.declared_in(name)),
            Some(MessageRequest::FileContainingExtension(_) | MessageRequest::AllExtensionNumbersOfType(_)) => {
                error(NOT_FOUND, "there are no extensions")
            }
            None => error(INVALID_ARGUMENT, "nothing is asked"),
        };
        ServerReflectionResponse {
            valid_host: question.host.clone(),
            original_request: Some(question),
            message_response: Some(answer),
        }
    }

    /// The file of a name, or of the message that it is nested in.
    fn declared_in(&self, name: &str) -> Option<&String> {
        let mut name = name.trim_start_matches('.');
        loop {
            if let Some(file) = self.declared.get(name) {
                return Some(file);
            }
            name = name.rsplit_once('.')?.0;
        }
    }

    /// A file and all that it imports, so that clients need not ask again.
    fn file(&self, name: Option<&String>) -> MessageResponse {
        let mut wanted: Vec<&String> = name.into_iter().collect();
        let mut files: Vec<(&String, Vec<u8>)> = Vec::new();
        while let Some(name) = wanted.pop() {
            let Some(file) = self.files.get(name).filter(|_| files.iter().all(|(sent, _)| *sent != name)) else {
                continue;
            };
            wanted.extend(&file.dependency);
            files.push((name, file.encode_to_vec()));
        }
        if files.is_empty() {
            return error(NOT_FOUND, "there is no such name");
        }
        let file_descriptor_proto = files.into_iter().map(|(_, bytes)| bytes.into()).collect();
        MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto })
    }
}

/// What the gateway answers itself; any other service that it can describe is there only if a function is.
fn own(service: &str) -> bool {
    service.starts_with("grpc.") || service.starts_with("latchwork.")
}

fn error(error_code: i32, message: &str) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse { error_code, error_message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_served_is_described() {
        let services = ["grpc.health.v1.Health", "latchwork.invoke.v1.Invoke"];
        assert!(services.iter().all(|s| KNOWN.services.iter().any(|known| known == s)), "{:?}", KNOWN.services);
        assert_eq!(KNOWN.services.iter().filter(|name| own(name)).count(), 4);
        for name in ["latchwork.invoke.v1.Invoke.InvokeStream", "latchwork.invoke.v1.InvokeRequest.PathEntry"] {
            let MessageResponse::FileDescriptorResponse(found) = KNOWN.file(KNOWN.declared_in(name)) else {
                panic!("{name} is not described");
            };
            let file = FileDescriptorProto::decode(&*found.file_descriptor_proto[0]).unwrap();
            assert_eq!(file.package(), "latchwork.invoke.v1");
        }
        assert!(KNOWN.declared_in("nowhere.v1.Orders").is_none());
    }
}
