//! The way in for calls that nobody makes from outside: from here on they are calls as any, authorised, limited and recorded.

use crate::{
    call::{Arrived, Envelope, Named, Peer, RequestHead, Unread},
    config::Timeouts,
    front::{grpc::invoke, path::CanonicalPath},
    generation::{Generation, Served},
    identify::Identity,
    listener::Listening,
    pipeline,
    refusal::Refusal,
    server::Gateway,
    telemetry::lines::CALL,
    trace::Trace,
    watched::Watched,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, Version};
use jiff::Timestamp;
use policy::{permit::TargetIndex, question::Provenance};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Instant,
};
use uuid::Uuid;

/// What stands for the listener that such calls did not come through; no record names it.
static DOOR: LazyLock<Arc<Listening>> = LazyLock::new(|| {
    Arc::new(Listening {
        name: "".into(),
        hosts: Vec::new(),
        identify: Vec::new(),
        timeouts: Timeouts::default(),
        trusted_proxies: Vec::new(),
        tcp: None,
    })
});

/// What stands for the host that nobody named.
const HOST: &str = "latchwork";

/// A call that the gateway makes.
#[derive(Debug)]
pub(crate) struct Request {
    /// As whom.
    pub(crate) identity: Arc<Identity>,
    /// Of which function.
    pub(crate) function: Arc<Served>,
    /// Where it may run: there alone, or where a caller's call would go first.
    pub(crate) target: Option<TargetIndex>,
    pub(crate) path: BTreeMap<Arc<str>, Arc<str>>,
    pub(crate) query: Option<Arc<str>>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a call through the door carries instead of credentials. Nothing that comes from outside can have it.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(crate) identity: Arc<Identity>,
    /// See [`Request::target`].
    pub(crate) target: Option<TargetIndex>,
}

/// Makes the call; its answer may still be under way.
pub(crate) async fn call(gateway: &Gateway, generation: Arc<Generation>, request: Request) -> Response<Watched> {
    let Request { identity, function, target, path, query, headers, body } = request;
    let envelope = Envelope {
        id: Uuid::now_v7(),
        at: Timestamp::now(),
        started: Instant::now(),
        peer: Peer { source: None, provenance: Provenance::Gateway, tls: 0, certificate: None },
        trace: Trace::of(&HeaderMap::new(), gateway.exporter().and_then(|exporter| exporter.sampling())),
        grpc: false,
        deadline: None,
        // Its message is made of JSON as for any call by name.
        invoke: function.is_grpc().then_some(invoke::Kind::Unary),
        bytes_in: Arc::default(),
        fault: Arc::default(),
        listener: DOOR.clone(),
        pass: Some(Arc::new(Pass { identity, target })),
    };
    envelope.bytes_in.fetch_add(body.len() as u64, std::sync::atomic::Ordering::Relaxed);
    let named = Named { function: function.function.name.as_str().into(), path };
    let body = if body.is_empty() { Unread::Empty } else { Unread::Whole(body) };
    let head = CanonicalPath::parse("/").map(|path| RequestHead {
        method: Method::POST,
        path,
        query,
        host: HOST.into(),
        version: Version::HTTP_11,
        headers,
        json: false,
    });
    let arrived = head.map_err(|_| Refusal::Internal).map(|head| Arrived {
        envelope: envelope.clone(),
        head,
        body,
        named: Some(named),
        operation: None,
        generation,
    });
    CALL.scope(envelope.trace.ids(), pipeline::call(gateway, envelope, arrived)).await
}
