//! The gRPC front: what is told of a call, and the services that the gateway answers itself.

mod answer;
mod health;
pub mod invoke;
pub(crate) mod message;
pub(crate) mod messages;
mod reflection;
pub(crate) mod replies;
pub mod status;

pub(crate) use answer::{streamed, unary};

use super::response;
use crate::{
    call::{Arrived, Envelope},
    identify, pipeline,
    refusal::Refusal,
    server::Gateway,
    watched::Watched,
};
use http::{HeaderMap, HeaderValue, Response, Version, header, request::Parts};
use mesh::{backend::grpc, payload::Wire};
use std::{sync::Arc, time::Duration};

/// What a request asks of the gateway itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// A function by its name.
    Invoke(invoke::Kind),
    /// Whether it serves, once or from now on. Anybody may ask, and learns nothing else.
    Health(invoke::Kind),
    /// Which services there are: for callers that are known.
    Reflection,
    /// A method that its services do not have.
    Unknown,
}

impl Own {
    /// By the exact path: a variant of it names nothing.
    pub(crate) fn of(path: &str) -> Option<Self> {
        Some(match path.strip_prefix('/')?.split_once('/')? {
            ("latchwork.invoke.v1.Invoke", "Invoke") => Self::Invoke(invoke::Kind::Unary),
            ("latchwork.invoke.v1.Invoke", "InvokeStream") => Self::Invoke(invoke::Kind::Stream),
            ("grpc.health.v1.Health", "Check") => Self::Health(invoke::Kind::Unary),
            ("grpc.health.v1.Health", "Watch") => Self::Health(invoke::Kind::Stream),
            (
                "grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection",
                "ServerReflectionInfo",
            ) => Self::Reflection,
            ("grpc.health.v1.Health", _) => Self::Unknown,
            _ => return None,
        })
    }
}

/// What a request says of gRPC before anything else is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// It is answered in statuses of gRPC.
    pub(crate) grpc: bool,
    /// How long its caller waits.
    pub(crate) patience: Option<Duration>,
    /// What it asks of the gateway itself.
    pub(crate) own: Option<Own>,
    /// What is wrong with it.
    pub(crate) wrong: Option<&'static str>,
}

impl Asked {
    /// Looks at a head.
    pub(crate) fn of(parts: &Parts) -> Self {
        let nothing = Self { grpc: false, patience: None, own: None, wrong: None };
        if !grpc::is_grpc(&parts.headers) {
            return nothing;
        }
        if parts.version != Version::HTTP_2 {
            // Its status would be in trailers, which HTTP/1.1 clients do not see: they would take a "no" for a "yes".
            return Self { wrong: Some("gRPC needs HTTP/2"), ..nothing };
        }
        let patience = grpc::timeout(&parts.headers);
        Self {
            grpc: true,
            patience: patience.unwrap_or_default(),
            own: Own::of(parts.uri.path()).filter(|_| parts.method == http::Method::POST),
            wrong: patience.err(),
        }
    }

    /// The kind of call by name, if it is one.
    pub(crate) fn invoke(&self) -> Option<invoke::Kind> {
        match self.own {
            Some(Own::Invoke(kind)) => Some(kind),
            Some(Own::Health(_) | Own::Reflection | Own::Unknown) | None => None,
        }
    }
}

/// Answers what needs no function.
pub(crate) async fn own(
    gateway: &Arc<Gateway>,
    own: Own,
    envelope: Envelope,
    mut arrived: Arrived,
) -> Response<Watched> {
    let answered = match own {
        Own::Health(kind) => health::answer(kind, arrived, gateway).await,
        Own::Reflection => match identify::pass::known(&mut arrived, gateway.meter().buffered()).await {
            Ok(()) => reflection::answer(arrived),
            Err(refusal) => Err(refusal),
        },
        Own::Invoke(_) | Own::Unknown => Err(Refusal::MethodUnknown),
    };
    match answered {
        Ok(wire) => {
            let mut response = Response::new(wire);
            *response.headers_mut() = head();
            response::stamp(response.headers_mut(), &envelope);
            Watched::unwatched(response)
        }
        // The pipeline records it like any other refusal.
        Err(refusal) => pipeline::call(gateway, envelope, Err(refusal)).await,
    }
}

/// The head of every answer.
pub(crate) fn head() -> HeaderMap {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    [kind].into_iter().collect()
}

/// One message and a good end.
pub(crate) fn once(message: bytes::Bytes) -> Wire {
    use http_body::Frame;
    use http_body_util::{BodyExt, StreamBody};
    let frames = [Frame::data(message), Frame::trailers(status::ok())].map(Ok);
    Wire::Stream(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync())
}
