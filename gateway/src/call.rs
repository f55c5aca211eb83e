//! A call at each point of its life. Each stage consumes one type and makes the next; there is no other way round.

use crate::{
    door::Pass,
    front::{body::BodyFault, grpc::invoke, path::CanonicalPath},
    generation::{Generation, Served},
    identify::{Identity, svid::ClientCertificate},
    listener::Listening,
    shadow::Beside,
    trace::Trace,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use hyper::body::Incoming;
use jiff::Timestamp;
use mesh::{
    bind::transcode::Binding,
    payload::{Payload, Promise},
};
use policy::{
    permit::Permit,
    question::{Provenance, Question},
};
use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Instant,
};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

/// What is known of every call from its first moment, and never changes.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Call id (UUIDv7).
    pub id: Uuid,
    /// When the head had been read.
    pub at: Timestamp,
    /// The same, for durations.
    pub started: Instant,
    /// Where it came in.
    pub listener: Arc<Listening>,
    /// Who is at the other end of the socket.
    pub peer: Peer,
    /// W3C trace context.
    pub trace: Trace,
    /// Refusals are answered as gRPC wants them.
    pub grpc: bool,
    /// When a gRPC caller stops waiting, if it said so.
    pub deadline: Option<tokio::time::Instant>,
    /// It is a call by name, and how its answer is told.
    pub invoke: Option<invoke::Kind>,
    /// Bytes of the request body seen so far.
    pub bytes_in: Arc<AtomicU64>,
    /// Why the request body broke, if it did.
    pub fault: Arc<OnceLock<BodyFault>>,
    /// The gateway itself calls.
    pub(crate) pass: Option<Arc<Pass>>,
}

/// Who is at the other end of the socket.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The caller's address, after trusted proxies; a peer over a Unix socket has none.
    pub source: Option<IpAddr>,
    /// How it is known, or why there is none.
    pub provenance: Provenance,
    /// 12, 13, or 0 for clear text.
    pub tls: i64,
    /// The certificate that it showed; identify says what it is worth.
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

/// The request head: one canonical path, the same bytes for route, policy and backend.
#[derive(Debug)]
pub struct RequestHead {
    /// Method.
    pub method: Method,
    /// Path.
    pub path: CanonicalPath,
    /// Raw query without `?`.
    pub query: Option<Arc<str>>,
    /// Host, lowercase, without port.
    pub host: Arc<str>,
    /// HTTP version.
    pub version: Version,
    /// Headers, with identity headers and hop-by-hop headers removed.
    pub headers: HeaderMap,
    /// The answer of a function of gRPC is told as JSON: it was called so.
    pub json: bool,
}

/// A body that nobody has read.
pub enum Unread {
    /// There is none.
    Empty,
    /// On the wire.
    Incoming(Incoming),
    /// Read already, because it named the function or its signature said who calls.
    Whole(Bytes),
    /// The caller asked for an upgrade.
    Duplex(Promise),
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Unread::Empty",
            Self::Incoming(_) => "Unread::Incoming",
            Self::Whole(_) => "Unread::Whole",
            Self::Duplex(_) => "Unread::Duplex",
        })
    }
}

/// front → route.
#[derive(Debug)]
pub struct Arrived {
    /// What never changes.
    pub envelope: Envelope,
    /// The head.
    pub head: RequestHead,
    /// The body.
    pub body: Unread,
    /// The function that a call by name means; its head has no path yet.
    pub named: Option<Named>,
    /// The element of a message of SOAP that names no action.
    pub operation: Option<mesh::soap::Name>,
    /// Everything that a reload replaces, as of this moment.
    pub generation: Arc<Generation>,
}

/// What a call by name names.
#[derive(Clone, Debug)]
pub struct Named {
    /// The function's name.
    pub function: Arc<str>,
    /// Path parameters, decoded.
    pub path: BTreeMap<Arc<str>, Arc<str>>,
}

/// route → identify. `None`: no such function here; only identify may say so, and only to somebody it knows.
#[derive(Debug)]
pub struct Routed {
    pub(crate) arrived: Arrived,
    pub(crate) found: Option<Found>,
}

/// The function that a request names.
#[derive(Clone, Debug)]
pub struct Found {
    /// The function.
    pub function: Arc<Served>,
    /// Path parameters, decoded.
    pub parameters: BTreeMap<Arc<str>, Arc<str>>,
    /// By which rule, when a method of gRPC is called by plain HTTP.
    pub binding: Option<Arc<Binding>>,
}

/// identify → meter.
#[derive(Debug)]
pub struct Identified {
    pub(crate) arrived: Arrived,
    pub(crate) found: Found,
    pub(crate) identity: Arc<Identity>,
}

/// meter → ask.
#[derive(Debug)]
pub struct Metered {
    pub(crate) identified: Identified,
}

/// ask → authorize.
#[derive(Debug)]
pub struct Asked {
    pub(crate) envelope: Envelope,
    pub(crate) head: RequestHead,
    pub(crate) payload: Payload,
    pub(crate) generation: Arc<Generation>,
    pub(crate) found: Found,
    pub(crate) identity: Arc<Identity>,
    pub(crate) question: Question,
    /// What is asked beside, if anything is.
    pub(crate) beside: Option<Beside>,
}

/// authorize → admit. The generation is gone: a long call must not hold an old one in memory.
#[derive(Debug)]
pub struct Permitted {
    pub(crate) envelope: Envelope,
    pub(crate) head: RequestHead,
    pub(crate) payload: Payload,
    pub(crate) found: Found,
    pub(crate) identity: Arc<Identity>,
    pub(crate) permit: Permit,
}

/// admit → invoke.
#[derive(Debug)]
pub struct Admitted {
    pub(crate) permitted: Permitted,
    pub(crate) slot: OwnedSemaphorePermit,
}
