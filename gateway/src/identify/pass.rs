//! The stage: from a routed call to an identified one. Only here is an unknown function answered, and only to
//! somebody who is known.

use super::{CredentialError, Identify, Identity, Lookup, combine::Proven};
use crate::{
    call::{Envelope, Identified, Routed},
    config::Credential,
    refusal::{Offer, Refusal, Scheme},
};
use http::{HeaderMap, header::AUTHORIZATION};
use std::sync::Arc;

/// Says who calls; waits only for a token that was not seen before.
///
/// # Errors
/// [`Refusal::Unauthenticated`] and its kin for known and unknown functions alike; then [`Refusal::NotFound`].
pub async fn pass(routed: Routed) -> Result<Identified, Refusal> {
    let Routed { mut arrived, found } = routed;
    let identify = &arrived.generation.identify;
    let identity = match who(identify, &arrived.envelope, &arrived.head.headers).await {
        Ok(identity) => identity,
        Err(error) => return Err(refuse(error, identify, &arrived.envelope.listener.identify)),
    };
    for header in identify.key_headers() {
        arrived.head.headers.remove(header);
    }
    let found = found.ok_or(Refusal::NotFound)?;
    Ok(Identified { arrived, found, identity })
}

/// Whether the caller is known at all, before anything of its message is read.
///
/// # Errors
/// Those of [`pass`], but never [`Refusal::NotFound`].
pub(crate) async fn known(identify: &Identify, envelope: &Envelope, headers: &HeaderMap) -> Result<(), Refusal> {
    let who = who(identify, envelope, headers).await;
    who.map(drop).map_err(|error| refuse(error, identify, &envelope.listener.identify))
}

/// Checks every credential that came, the cheap ones first; a bad one is the answer, and nobody else is asked.
async fn who(identify: &Identify, envelope: &Envelope, headers: &HeaderMap) -> Result<Arc<Identity>, CredentialError> {
    let (accepted, now) = (&envelope.listener.identify, envelope.at);
    let mut proven = Proven::default();
    if let Some(shown) = &envelope.peer.certificate {
        proven.certificate = identify.certificate(accepted, shown, now)?;
    }
    proven.api_key = identify.api_key(accepted, headers, now)?;
    if headers.contains_key(AUTHORIZATION) {
        proven.token = match identify.look_up(accepted, headers, now) {
            Lookup::Known(identity) => Some(identity),
            Lookup::Refused(error) => return Err(error),
            Lookup::Wait(pending) => Some(identify.verify(pending, now).await?),
        };
    }
    match proven.combine(accepted)? {
        Some(identity) => Ok(identity),
        None if accepted.contains(&Credential::Anonymous) => Ok(identify.anonymous.clone()),
        None => Err(CredentialError::Missing),
    }
}

/// The refusal; a 401 says which credentials would count.
fn refuse(error: CredentialError, identify: &Identify, accepted: &[Credential]) -> Refusal {
    let mut refusal = Refusal::from(error);
    if let Refusal::Unauthenticated(challenge) = &mut refusal {
        for part in accepted.iter().flat_map(Credential::parts) {
            let offer = match part {
                Credential::Issuer(_) => Offer { scheme: Scheme::Bearer, header: None },
                Credential::Mtls(_) => Offer { scheme: Scheme::Certificate, header: None },
                Credential::ApiKeys(alias) => Offer { scheme: Scheme::ApiKey, header: identify.key_header(alias) },
                Credential::Anonymous | Credential::All { .. } => continue,
            };
            if !challenge.offers.contains(&offer) {
                challenge.offers.push(offer);
            }
        }
    }
    refusal
}
