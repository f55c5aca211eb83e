//! ask: builds the question. Reads the body only if policy looks at it and could let this caller in.

use crate::{
    call::{Asked, Identified, Metered, Unread},
    config::{Calendar, Zone},
    front::{
        body::{Bounds, Received},
        grpc::messages,
        rest, soap,
    },
    generation::Served,
    refusal::Refusal,
    shadow::Beside,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use mesh::payload::Payload;
use policy::{
    declared::QueryType,
    question::{CallKind, Clock, Facts, Network, Principal, Question, Transport, Verb},
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};
use tokio::sync::Semaphore;

/// The zone of addresses that no configured zone holds.
const ZONE_OTHER: &str = "other";

/// Builds the question that policy is asked.
///
/// # Errors
/// [`Refusal::BadInput`], [`Refusal::UnsupportedMedia`], and those of reading the body.
pub async fn pass(metered: Metered, budget: &Arc<Semaphore>) -> Result<Asked, Refusal> {
    let Identified { mut arrived, found, identity } = metered.identified;
    let served = &found.function;
    let query = match found.binding {
        None => declared_query(served, arrived.head.query.as_deref())?,
        // It holds fields of the input.
        Some(_) => BTreeMap::new(),
    };
    let mut bounds = Bounds {
        bytes_max: served.function.request_bytes_max,
        // A caller of gRPC may have nothing to say for a while; the call's deadline bounds it.
        frame_timeout: match arrived.envelope.grpc {
            true => served.function.timeout,
            false => arrived.envelope.listener.timeouts.body,
        },
        seen: arrived.envelope.bytes_in.clone(),
        fault: arrived.envelope.fault.clone(),
    };
    let wanted = arrived.generation.policy.needs_input(&served.function.name, &identity.principal);
    if let (Some(kind), true) = (arrived.envelope.invoke, served.is_grpc()) {
        let bytes = whole(arrived.body, bounds.clone(), budget).await?;
        let framed = messages::by_name(kind, served, &mut arrived.head, bytes)?;
        arrived.body = Unread::Whole(framed);
        bounds.bytes_max = messages::framed_max(bounds.bytes_max);
    }
    if let Some(binding) = &found.binding {
        let bytes = whole(arrived.body, bounds.clone(), budget).await?;
        let framed = rest::message(binding, &mut arrived.head, &bytes)?;
        arrived.body = Unread::Whole(framed);
        bounds.bytes_max = messages::framed_max(bounds.bytes_max);
    }
    let (payload, input) = match (&served.function.input, wanted) {
        (Some(_), true) => {
            let bytes = whole(arrived.body, bounds, budget).await?;
            let input = soap::input(served, &arrived.head.headers, &bytes)?;
            (Payload::Buffered(bytes), input)
        }
        _ if served.is_transcoded() => {
            let bytes = whole(arrived.body, bounds, budget).await?;
            messages::whole(served, &bytes)?;
            (Payload::Buffered(bytes), None)
        }
        (_, _) => (unread(arrived.body, bounds)?, None),
    };
    let beside = Beside::of(&arrived.generation, served, &identity.principal, &arrived.head, input.is_some());
    let question = Question {
        principal: Principal::clone(&identity.principal),
        verb: Verb::Call,
        function: served.function.name.clone(),
        facts: Facts {
            call: CallKind::Sync,
            network: network(&arrived.generation.config.zones, &arrived.envelope.peer),
            transport: Transport { mtls: identity.mtls, tls: arrived.envelope.peer.tls, sealed: false },
            token: identity.token.clone(),
            clock: clock(arrived.envelope.at, &served.zone, served.calendar.as_deref()),
            via: identity.via.clone(),
            approval: None,
        },
        path: found.parameters.clone(),
        query,
        input,
    };
    let (envelope, head, generation) = (arrived.envelope, arrived.head, arrived.generation);
    Ok(Asked { envelope, head, payload, generation, found, identity, question, beside })
}

fn unread(body: Unread, bounds: Bounds) -> Result<Payload, Refusal> {
    Ok(match body {
        Unread::Empty => Payload::Empty,
        Unread::Incoming(incoming) => Payload::Stream(Received::new(incoming, bounds).boxed_unsync()),
        Unread::Whole(bytes) => Payload::Buffered(within(bytes, &bounds)?),
        Unread::Duplex(promise) => Payload::Duplex(promise),
    })
}

/// Bytes that were read before the function and its limit were known.
fn within(bytes: Bytes, bounds: &Bounds) -> Result<Bytes, Refusal> {
    let bytes_max = bounds.bytes_max;
    if bytes.len() as u64 > bytes_max { Err(Refusal::TooLarge { bytes_max: Some(bytes_max) }) } else { Ok(bytes) }
}

async fn whole(body: Unread, bounds: Bounds, budget: &Arc<Semaphore>) -> Result<Bytes, Refusal> {
    match body {
        Unread::Empty => Ok(Bytes::new()),
        Unread::Incoming(incoming) => Received::new(incoming, bounds).whole(budget).await,
        Unread::Whole(bytes) => within(bytes, &bounds),
        Unread::Duplex(_) => Err(Refusal::BadInput("this function has an input, so it can't be upgraded".to_owned())),
    }
}

/// Declared query parameters, each at most once and of its type; others are the backend's business.
fn declared_query(served: &Served, query: Option<&str>) -> Result<BTreeMap<Arc<str>, Vec<Arc<str>>>, Refusal> {
    let declared = &served.config.declared.query;
    let mut values = BTreeMap::new();
    if declared.is_empty() {
        return Ok(values);
    }
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let Some((name, kind)) = declared.iter().find(|(d, _)| **d == *name) else { continue };
        let fits = match kind {
            QueryType::String => true,
            QueryType::Long => value.parse::<i64>().is_ok_and(|n| n.to_string() == *value),
            QueryType::Bool => matches!(&*value, "true" | "false"),
        };
        if !fits {
            return Err(Refusal::BadInput(format!("query parameter `{name}` is not of its declared type")));
        }
        if values.insert(name.clone(), vec![Arc::from(&*value)]).is_some() {
            return Err(Refusal::BadInput(format!("query parameter `{name}` is given more than once")));
        }
    }
    Ok(values)
}

pub(crate) fn network(zones: &[Zone], peer: &crate::call::Peer) -> Network {
    let source = peer.source.map(unmapped);
    let holds = |zone: &&Zone| source.is_some_and(|source| zone.networks.iter().any(|n| n.contains(&source)));
    let zone = zones.iter().find(holds).map_or_else(|| ZONE_OTHER.into(), |z| z.name.clone());
    Network { source, provenance: peer.provenance, zone }
}

/// An IPv4 caller on an IPv6 socket is an IPv4 caller.
fn unmapped(source: IpAddr) -> IpAddr {
    source.to_canonical()
}

pub(crate) fn clock(now: jiff::Timestamp, zone: &jiff::tz::TimeZone, calendar: Option<&Calendar>) -> Clock {
    let local = zone.to_datetime(now);
    Clock {
        now,
        weekday: i64::from(local.weekday().to_monday_one_offset()),
        minute: i64::from(local.hour()) * 60 + i64::from(local.minute()),
        business_day: calendar.and_then(|calendar| calendar.business_day(local.date())),
        frozen: calendar.and_then(|calendar| calendar.frozen(now, local.date())),
    }
}
