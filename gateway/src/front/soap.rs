//! Messages of SOAP on their way through: routed by action, and let through only if all that they say of themselves
//! agrees. Whoever runs them may go by the header, by an address in the envelope, or by the element in the body.

pub(crate) mod fault;

use super::body::{self, Bounds, Received};
use crate::{
    audit::record::Stage,
    call::{Arrived, Permitted, Unread},
    config::SoapAction,
    generation::Served,
    identify::pass,
    refusal::Refusal,
    route,
    trail::Stopped,
};
use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_ENCODING};
use mesh::{
    bind,
    payload::Payload,
    soap::{
        action::{announce, announced},
        envelope::glance,
    },
};
use serde_json::Value;
use std::{mem, sync::Arc};
use tokio::sync::Semaphore;

/// Finds out which operation a message means whose headers name no action; passes every other call on as it is. Nobody's
/// message is read before its sender is known.
///
/// # Errors
/// Those of identify and of reading; [`Refusal::Malformed`], [`Refusal::UnsupportedMedia`] and [`Refusal::BadInput`] for what
/// is no message.
pub async fn open(mut arrived: Arrived, budget: &Arc<Semaphore>) -> Result<Arrived, Stopped> {
    let Some(bytes_max) = route::operations(&arrived) else { return Ok(arrived) };
    let said = announced(&arrived.head.headers);
    if matches!(&said, Ok(Some(said)) if said.action.is_some()) {
        return Ok(arrived);
    }
    pass::known(&mut arrived, budget).await.map_err(Stopped::at(Stage::Identify))?;
    let at_front = Stopped::at(Stage::Front);
    match said {
        Err(why) => return Err(at_front(Refusal::Malformed(why.into()))),
        Ok(None) => return Err(at_front(unsupported())),
        Ok(Some(_)) => {}
    }
    let bytes = held(&mut arrived, bytes_max, budget).await.map_err(at_front)?;
    let glance = glance(&bytes).map_err(|why| Stopped::at(Stage::Front)(bad(&why)))?;
    arrived.operation = glance.element;
    arrived.body = Unread::Whole(bytes);
    Ok(arrived)
}

async fn held(arrived: &mut Arrived, bytes_max: u64, budget: &Arc<Semaphore>) -> Result<Bytes, Refusal> {
    let bounds = Bounds {
        bytes_max,
        frame_timeout: arrived.envelope.listener.timeouts.body,
        seen: arrived.envelope.bytes_in.clone(),
        fault: arrived.envelope.fault.clone(),
    };
    match mem::replace(&mut arrived.body, Unread::Empty) {
        Unread::Empty => Ok(Bytes::new()),
        Unread::Whole(bytes) => Ok(bytes),
        Unread::Incoming(incoming) => Received::new(incoming, bounds).whole(budget).await,
        Unread::Duplex(_) => Err(Refusal::Malformed("a message of SOAP can't be upgraded".into())),
    }
}

/// Reads a permitted call's message whole and compares what it says with what its route takes.
///
/// # Errors
/// [`Refusal::BadInput`] when something in it names another operation, and those of reading.
pub async fn pass(mut permitted: Permitted, budget: &Arc<Semaphore>) -> Result<Permitted, Refusal> {
    let served = permitted.found.function.clone();
    let Some(soap) = served.soap() else { return Ok(permitted) };
    let bytes = match permitted.payload {
        Payload::Empty => Bytes::new(),
        Payload::Buffered(bytes) => bytes,
        Payload::Stream(stream) => body::whole(stream, budget).await?,
        Payload::Duplex(_) => return Err(Refusal::Malformed("a message of SOAP can't be upgraded".into())),
    };
    agrees(soap, &mut permitted.head.headers, &bytes)?;
    permitted.payload = Payload::Buffered(bytes);
    Ok(permitted)
}

/// What is forwarded says the route's action, and no other anywhere.
fn agrees(soap: &SoapAction, headers: &mut HeaderMap, bytes: &[u8]) -> Result<(), Refusal> {
    let plain = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Err(Refusal::UnsupportedMedia("`content-encoding` is not accepted here".into()));
    }
    let said = announced(headers).map_err(|why| Refusal::Malformed(why.into()))?.ok_or_else(unsupported)?;
    if said.action.is_some_and(|action| *action != *soap.action) {
        return Err(bad("its headers name another action"));
    }
    let glance = glance(bytes).map_err(|why| bad(&why))?;
    if glance.version != said.version {
        return Err(bad("`content-type` is of another version of SOAP than the envelope"));
    }
    if glance.element != soap.element {
        return Err(bad("its body holds another operation than its action names"));
    }
    if glance.addressed.iter().any(|action| **action != *soap.action) {
        return Err(bad("its envelope is addressed to another action"));
    }
    announce(headers, said.version, &soap.action).map_err(|_| Refusal::Internal)
}

/// What policy sees of a body: JSON, or a message that is described.
///
/// # Errors
/// [`Refusal::BadInput`], [`Refusal::UnsupportedMedia`], and those of a frame of gRPC.
pub(crate) fn input(served: &Served, headers: &HeaderMap, bytes: &Bytes) -> Result<Option<Arc<Value>>, Refusal> {
    use super::grpc::messages::{self, bad_input};
    let Some(schema) = &served.function.input else { return Ok(None) };
    let operation = served.soap().and_then(|soap| soap.operation.as_ref());
    let input = match (&served.function.method, operation) {
        (Some(method), _) => messages::input(method, schema, bytes)?,
        (None, Some(operation)) => bind::soap::input(operation, bytes, schema).map_err(bad_input)?,
        (None, None) => schema.read(headers, bytes).map_err(bad_input)?,
    };
    Ok(Some(input))
}

fn unsupported() -> Refusal {
    Refusal::UnsupportedMedia("messages of SOAP are `text/xml` or `application/soap+xml`".into())
}

fn bad(why: &str) -> Refusal {
    Refusal::BadInput(format!("the message of SOAP can't be taken: {why}"))
}

#[cfg(test)]
mod tests;
