//! invoke: records the intent, spends the permit, runs the function, and makes the answer.

mod attempts;

use crate::{
    call::{Admitted, Permitted},
    cut::{self, Cut, On},
    front::{
        body,
        grpc::{self, invoke::Kind, replies::Told},
        hygiene, response, rest,
    },
    refusal::{RETRY_AFTER, Refusal},
    server::Gateway,
    telemetry::InFlight,
    trail::Trail,
    watched::{Tail, Watched},
};
use attempts::Attempts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, response::Parts};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use mesh::{
    dispatch::{Patience, Ran},
    invocation::{CallContext, Head, Invocation, InvokeError, Outbound},
    payload::{Answer, Body, Payload, Reply, Wire},
    report::Reporting,
};
use policy::permit::TargetIndex;
use std::time::Duration;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use uuid::Uuid;

/// An answer of known length up to this is read whole: one record fewer, and no half answer.
const UNARY_BYTES_MAX: u64 = 64 * 1024;
/// How much longer than the function's timeout we wait for the backend to say so itself.
const TIMEOUT_GRACE: Duration = Duration::from_millis(250);
/// By what a backend knows that a request is another one again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// A call pending for this long is asked again when policy changes.
const PENDING_LONG: Duration = Duration::from_secs(1);

/// What is answered, and what must live as long as the answer.
#[derive(Debug)]
pub struct Answered {
    parts: Parts,
    body: Shape,
    /// The status of the function's own answer.
    status: u16,
    target: TargetIndex,
    /// When a call of gRPC ends.
    until: Option<Instant>,
    held: Held,
}

/// Ends with the answer.
#[derive(Debug)]
struct Held {
    slot: OwnedSemaphorePermit,
    in_flight: InFlight,
    cut: Cut,
}

#[derive(Debug)]
enum Shape {
    /// All of it is here; the length is what the record says.
    Whole(Wire, u64),
    Stream(Body),
    Duplex(Answer),
}

/// Runs the function on the first permitted target that can be reached.
///
/// # Errors
/// The refusal that the caller sees; the trail knows whether there was an intent.
pub async fn pass(gateway: &Gateway, admitted: Admitted, trail: &mut Trail) -> Result<Answered, Refusal> {
    let Admitted { permitted, slot } = admitted;
    let Permitted { envelope, mut head, payload, found, identity, permit } = permitted;
    let served = found.function.clone();
    let in_flight = served.meters.admitted();
    let only = envelope.pass.as_ref().map(|pass| pass.target);
    let begun = Invocation::begin(served.function.clone(), permit, Timestamp::now());
    let invocation = begun.and_then(|begun| begun.only(only)).map_err(|e| refusal(&e))?;
    let terms = invocation.terms().clone();
    let expected = Instant::now();
    let deadline = expected + served.function.timeout;
    let deadline = envelope.deadline.map_or(deadline, |patience| patience.min(deadline));
    if deadline <= expected {
        return Err(Refusal::TimedOut);
    }
    // A process can start while the record is on its way to the disk. Nothing of the call reaches it before.
    invocation.announce();
    trail.intent(&terms, invocation.plan()).await?;

    let told = Told {
        json: served.function.method.clone().filter(|_| head.json),
        bytes_max: served.function.response_bytes_max,
        call: envelope.id,
    };
    let mut headers = head.headers;
    hygiene::strip_credentials(&mut headers, &served.config.forward_headers);
    if served.function.idempotent && !head.method.is_safe() {
        idempotency_key(&mut headers, envelope.id);
    }
    let rest = found.binding.map(|binding| rest::Telling::of(binding, &mut head.method, &mut headers, told.bytes_max));
    let method = head.method.clone();
    let pattern = served.config.route.as_ref().map_or_else(|| head.path.shared(), |r| r.pattern.clone());
    let outbound = Outbound {
        head: Head {
            method: head.method,
            path: head.path.shared(),
            query: head.query,
            parameters: found.parameters,
            pattern,
            host: head.host,
            headers,
        },
        payload,
        context: CallContext {
            call_id: envelope.id,
            accepted: envelope.at,
            expected,
            deadline,
            principal: identity.principal.id.clone(),
            principal_kind: identity.principal.kind.as_str(),
            traceparent: envelope.trace.traceparent(),
            tracestate: envelope.trace.tracestate(),
            source: envelope.peer.source,
            secure: envelope.peer.tls > 0,
            response_bytes_max: served.function.response_bytes_max,
            reporting: Reporting::default(),
        },
    };
    let on = On::default();
    on.set(invocation.target().ok_or(Refusal::Unreachable)?);
    let long = !matches!(outbound.payload, Payload::Empty | Payload::Buffered(_));
    let ran = {
        let mut revoked = std::pin::pin!(async {
            if !long {
                tokio::time::sleep(PENDING_LONG).await;
            }
            cut::cut(gateway.generations(), terms.clone(), on.clone(), identity.expires).await;
        });
        let mut witness = Attempts::new(trail, &served.meters, gateway, &terms, &on);
        let patience = Patience { until: deadline, grace: TIMEOUT_GRACE };
        tokio::select! {
            ran = invocation.go(outbound, patience, &mut witness) => ran.map_err(|error| refusal(&error))?,
            () = &mut revoked => return Err(Refusal::Revoked),
        }
    };
    let Ran { reply, target, reporting: _ } = ran;
    on.set(target);
    let cut = cut::cut(gateway.generations(), terms.clone(), on, identity.expires);
    let (mut parts, mut body) = shape(reply, &method, deadline).await?;
    let mut status = parts.status.as_u16();
    let until = (envelope.grpc || rest.is_some()).then_some(deadline + TIMEOUT_GRACE);
    if let Some(rest) = rest {
        let telling = plainly(rest, &mut parts, body);
        body = tokio::time::timeout_at(deadline + TIMEOUT_GRACE, telling).await.map_err(|_| Refusal::TimedOut)??;
        status = parts.status.as_u16();
    } else if let Some(kind) = envelope.invoke {
        let telling = by_name(kind, served.is_grpc(), &mut parts, body, told);
        body = tokio::time::timeout_at(deadline + TIMEOUT_GRACE, telling).await.map_err(|_| Refusal::TimedOut)??;
        parts.status = StatusCode::OK;
    }
    Ok(Answered { parts, body, status, target, until, held: Held { slot, in_flight, cut } })
}

/// The same for every attempt of a call: the caller's own, or the call's id as a string of structured fields
/// (draft-ietf-httpapi-idempotency-key-header).
fn idempotency_key(headers: &mut HeaderMap, call: Uuid) {
    if let Ok(key) = HeaderValue::try_from(format!("\"{call}\"")) {
        headers.entry(IDEMPOTENCY_KEY).or_insert(key);
    }
}

/// Decides whether the answer is read whole or passed on as it comes.
async fn shape(reply: Reply, method: &Method, deadline: Instant) -> Result<(Parts, Shape), Refusal> {
    let (parts, answer) = reply.into_parts();
    // hyper drops the body of these unpolled, so nothing could be learnt from it.
    let bodiless = *method == Method::HEAD || matches!(parts.status.as_u16(), 204 | 304);
    let shape = match answer {
        Answer::Duplex { .. } => Shape::Duplex(answer),
        Answer::Empty => Shape::Whole(Wire::Empty, 0),
        _ if bodiless => Shape::Whole(Wire::Empty, 0),
        Answer::Buffered(bytes) => {
            let length = bytes.len() as u64;
            Shape::Whole(Wire::Full(bytes), length)
        }
        Answer::Stream(stream) => match stream.size_hint().exact() {
            Some(length) if length <= UNARY_BYTES_MAX => {
                let whole = tokio::time::timeout_at(deadline + TIMEOUT_GRACE, stream.collect()).await;
                let bytes = whole.map_err(|_| Refusal::TimedOut)?.map_err(|_| Refusal::FunctionFailed)?.to_bytes();
                Shape::Whole(if bytes.is_empty() { Wire::Empty } else { Wire::Full(bytes) }, length)
            }
            Some(_) | None => Shape::Stream(stream),
        },
    };
    Ok((parts, shape))
}

/// The answer to a call by name.
async fn by_name(kind: Kind, is_grpc: bool, parts: &mut Parts, body: Shape, told: Told) -> Result<Shape, Refusal> {
    let wire = match body {
        Shape::Whole(wire, _) => wire,
        Shape::Stream(stream) => Wire::Stream(stream),
        Shape::Duplex(_) => return Err(Refusal::FunctionFailed),
    };
    let shape = match (kind, is_grpc) {
        (Kind::Unary, true) => {
            let (wire, length) = grpc::replies::whole(parts, wire.boxed_unsync(), &told).await?;
            return Ok(Shape::Whole(wire, length));
        }
        (Kind::Stream, true) => return Ok(Shape::Stream(grpc::replies::streamed(parts, wire.boxed_unsync(), told))),
        (Kind::Stream, false) => Shape::Stream(grpc::streamed(parts, wire.boxed_unsync(), told.call)),
        (Kind::Unary, false) => {
            let limit = usize::try_from(told.bytes_max).unwrap_or(usize::MAX);
            let whole = Limited::new(wire, limit).collect().await;
            let bytes = whole.map_err(|_| Refusal::FunctionFailed)?.to_bytes();
            let length = bytes.len() as u64;
            Shape::Whole(grpc::unary(parts, bytes, told.call), length)
        }
    };
    parts.headers = grpc::head();
    Ok(shape)
}

/// The answer to a call of a method of gRPC by plain HTTP.
async fn plainly(rest: rest::Telling, parts: &mut Parts, body: Shape) -> Result<Shape, Refusal> {
    let wire = match body {
        Shape::Whole(wire, _) => wire,
        Shape::Stream(stream) => Wire::Stream(stream),
        Shape::Duplex(_) => return Err(Refusal::FunctionFailed),
    };
    Ok(match rest.answer(parts, wire.boxed_unsync()).await? {
        Wire::Stream(stream) => Shape::Stream(stream),
        wire => {
            let length = wire.size_hint().exact().unwrap_or_default();
            Shape::Whole(wire, length)
        }
    })
}

impl Answered {
    /// Settles what can be settled and hands the answer over.
    pub async fn respond(self, gateway: &Gateway, mut trail: Trail) -> Response<Watched> {
        let Self { mut parts, body, status, target, until, held } = self;
        let envelope = trail.envelope().clone();
        response::stamp(&mut parts.headers, &envelope);
        let recorded = match body {
            Shape::Whole(wire, length) => {
                drop(held);
                trail.closed(status, length).await.map(|()| Watched::unwatched(Response::from_parts(parts, wire)))
            }
            Shape::Stream(stream) => trail.answered(status, target).await.map(|()| {
                let grpc = envelope.grpc;
                let tail = Tail::new(trail, held.slot, held.in_flight, held.cut, status).until(until);
                Watched::with_tail(Response::from_parts(parts, Wire::Stream(stream)), tail, grpc)
            }),
            Shape::Duplex(answer) => trail.answered(status, target).await.map(|()| {
                let tail = Tail::new(trail, held.slot, held.in_flight, held.cut, status);
                if let Answer::Duplex { near, far } = answer {
                    // `near` resolves only once the 101 has been written, hence a task that owns the tail.
                    tokio::spawn(crate::watched::splice(near, far, tail, gateway.splices.subscribe()));
                }
                Watched::unwatched(Response::from_parts(parts, Wire::Empty))
            }),
        };
        recorded.unwrap_or_else(|refusal| Watched::unwatched(response::refused(&refusal, &envelope)))
    }
}

/// What the caller is told of a failed run.
fn refusal(error: &InvokeError) -> Refusal {
    match error {
        InvokeError::Lapsed => Refusal::Busy { retry_after: Duration::from_secs(1) },
        InvokeError::WrongFunction => Refusal::Internal,
        InvokeError::NoTarget
        | InvokeError::Unreachable(_)
        | InvokeError::NoCredential(_)
        | InvokeError::Refused(_) => Refusal::Unreachable,
        InvokeError::BadInput(why) => Refusal::BadInput(why.clone()),
        InvokeError::Unsupported(_) => Refusal::Malformed("the function can't be called in this way".into()),
        InvokeError::Busy => Refusal::Overloaded { retry_after: RETRY_AFTER },
        InvokeError::Throttled { retry_after } => {
            Refusal::Overloaded { retry_after: retry_after.unwrap_or(RETRY_AFTER) }
        }
        InvokeError::TimedOut | InvokeError::NotConnected => Refusal::TimedOut,
        InvokeError::Unrecorded => Refusal::Unrecorded,
        InvokeError::Revoked => Refusal::Revoked,
        InvokeError::Broken(_)
        | InvokeError::FunctionFailed(_)
        | InvokeError::BadAnswer(_)
        | InvokeError::AnswerTooLarge { .. } => Refusal::FunctionFailed,
        InvokeError::RequestTooLarge { bytes_max } => Refusal::TooLarge { bytes_max: *bytes_max },
        InvokeError::RequestBroken(cause) => body::refusal(cause),
    }
}
