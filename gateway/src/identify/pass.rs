//! The stage: from a routed call to an identified one. Only here is an unknown function answered, and only to
//! somebody who is known.

use super::{CredentialError, Fault, Identify, Identity, Lookup, bearer, combine::Proven};
use crate::{
    call::{Arrived, Identified, Routed, Unread},
    config::Credential,
    front::body::{Bounds, Received},
    refusal::{Offer, Refusal, Scheme},
};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Largest body that is read for a function that is not there: only a verified signature may learn that.
const UNKNOWN_BYTES_MAX: u64 = 1 << 20;

/// Says who calls; waits only for a token that was not seen before, and for the body of a signed webhook.
///
/// # Errors
/// [`Refusal::Unauthenticated`] and its kin for known and unknown functions alike; then [`Refusal::NotFound`].
pub async fn pass(routed: Routed, budget: &Arc<Semaphore>) -> Result<Identified, Unidentified> {
    let Routed { mut arrived, found } = routed;
    let generation = arrived.generation.clone();
    let identify = &*generation.identify;
    if let Some(pass) = &arrived.envelope.pass {
        let identity = pass.identity.clone();
        return match found {
            Some(found) => Ok(Identified { arrived, found, identity }),
            None => Err(Unidentified { refusal: Refusal::NotFound, identity: Some(identity) }),
        };
    }
    let bytes_max = found.as_ref().map_or(UNKNOWN_BYTES_MAX, |found| found.function.function.request_bytes_max);
    let who = who(identify, &mut arrived, bytes_max, budget).await;
    let identity = who.map_err(|refusal| Unidentified { refusal, identity: None })?;
    for header in identify.key_headers() {
        arrived.head.headers.remove(header);
    }
    match found {
        Some(found) => Ok(Identified { arrived, found, identity }),
        None => Err(Unidentified { refusal: Refusal::NotFound, identity: Some(identity) }),
    }
}

/// A call that ends at this stage.
#[derive(Debug)]
pub struct Unidentified {
    /// What the caller is told.
    pub refusal: Refusal,
    /// Who calls, if that is known: then it is the function that is not.
    pub identity: Option<Arc<Identity>>,
}

impl From<Unidentified> for Refusal {
    fn from(unidentified: Unidentified) -> Self {
        unidentified.refusal
    }
}

/// Whether the caller is known at all, before anything of its message is read.
///
/// # Errors
/// Those of [`pass`], but never [`Refusal::NotFound`].
pub(crate) async fn known(arrived: &mut Arrived, budget: &Arc<Semaphore>) -> Result<(), Refusal> {
    let generation = arrived.generation.clone();
    let identify = &*generation.identify;
    let accepted = &arrived.envelope.listener.identify;
    let delivery = identify.delivery(accepted, &arrived.head.headers, arrived.envelope.at);
    if delivery.map_err(|fault| refuse(fault.into(), identify, accepted))?.is_some() {
        // Its signature is over a body, and here the body is not the function's.
        return Err(Refusal::Malformed("a signed webhook can't be a call by name".into()));
    }
    who(identify, arrived, UNKNOWN_BYTES_MAX, budget).await.map(drop)
}

/// Checks every credential that came, the cheap ones first; a bad one is the answer, and nobody else is asked.
async fn who(
    identify: &Identify,
    arrived: &mut Arrived,
    bytes_max: u64,
    budget: &Arc<Semaphore>,
) -> Result<Arc<Identity>, Refusal> {
    let listener = arrived.envelope.listener.clone();
    let (accepted, now, headers) = (&listener.identify, arrived.envelope.at, &arrived.head.headers);
    let no = |error: CredentialError| refuse(error, identify, accepted);
    let bad = |fault: Fault| no(fault.into());
    let mut proven = Proven::default();
    if let Some(shown) = &arrived.envelope.peer.certificate {
        proven.certificate = identify.certificate(accepted, shown, now).map_err(bad)?;
    }
    proven.api_key = identify.api_key(accepted, headers, now).map_err(bad)?;
    let delivery = identify.delivery(accepted, headers, now).map_err(bad)?;
    // Where no token counts, a known caller's signature for somebody else is no credential; it goes no further either.
    let known = proven.certificate.is_some() || proven.api_key.is_some();
    let tokens = accepted.iter().flat_map(Credential::parts).any(|part| matches!(part, Credential::Issuer(_)));
    let foreign = known && !tokens && bearer::is_foreign(headers);
    if headers.contains_key(AUTHORIZATION) && !foreign {
        proven.token = match identify.look_up(accepted, headers, now) {
            Lookup::Known(identity) => Some(identity),
            Lookup::Refused(error) => return Err(no(error)),
            Lookup::Wait(pending) => Some(identify.verify(pending, now).await.map_err(no)?),
        };
    }
    if let Some(delivery) = delivery {
        let body = held(arrived, bytes_max, budget).await?;
        proven.webhook = Some(identify.delivered(&delivery, &body, now).map_err(no)?);
        arrived.body = if body.is_empty() { Unread::Empty } else { Unread::Whole(body) };
    }
    match proven.combine(accepted).map_err(no)? {
        Some(identity) => Ok(identity),
        None if accepted.contains(&Credential::Anonymous) => Ok(identify.anonymous.clone()),
        None => Err(no(CredentialError::Missing)),
    }
}

/// The whole body, charged to the budget of what may be held.
async fn held(arrived: &mut Arrived, bytes_max: u64, budget: &Arc<Semaphore>) -> Result<Bytes, Refusal> {
    let bounds = Bounds {
        bytes_max,
        frame_timeout: arrived.envelope.listener.timeouts.body,
        seen: arrived.envelope.bytes_in.clone(),
        fault: arrived.envelope.fault.clone(),
    };
    match std::mem::replace(&mut arrived.body, Unread::Empty) {
        Unread::Empty => Ok(Bytes::new()),
        Unread::Whole(bytes) => Ok(bytes),
        Unread::Incoming(incoming) => Received::new(incoming, bounds).whole(budget).await,
        Unread::Duplex(_) => Err(Refusal::Malformed("a signed webhook can't be upgraded".into())),
    }
}

/// The refusal; a 401 says which credentials would count.
pub(crate) fn refuse(error: CredentialError, identify: &Identify, accepted: &[Credential]) -> Refusal {
    let mut refusal = Refusal::from(error);
    if let Refusal::Unauthenticated(challenge) = &mut refusal {
        for part in accepted.iter().flat_map(Credential::parts) {
            let offer = match part {
                Credential::Issuer(_) => Offer { scheme: Scheme::Bearer, header: None },
                Credential::Mtls(_) => Offer { scheme: Scheme::Certificate, header: None },
                Credential::ApiKeys(alias) => Offer { scheme: Scheme::ApiKey, header: identify.key_header(alias) },
                Credential::Webhook(_) => Offer { scheme: Scheme::Webhook, header: None },
                Credential::Anonymous | Credential::Unix | Credential::All { .. } => continue,
            };
            if !challenge.offers.contains(&offer) {
                challenge.offers.push(offer);
            }
        }
    }
    refusal
}
