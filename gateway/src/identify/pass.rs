//! The stage: from a routed call to an identified one. Only here is an unknown function answered, and only to
//! somebody who is known.

use super::{CredentialError, Identify, Identity, Lookup};
use crate::{
    call::{Envelope, Identified, Routed},
    refusal::Refusal,
};
use http::HeaderMap;
use std::sync::Arc;

/// Says who calls; waits only for a token that was not seen before.
///
/// # Errors
/// [`Refusal::Unauthenticated`] and its kin for known and unknown functions alike; then [`Refusal::NotFound`].
pub async fn pass(routed: Routed) -> Result<Identified, Refusal> {
    let Routed { arrived, found } = routed;
    let identity =
        who(&arrived.generation.identify, &arrived.envelope, &arrived.head.headers).await.map_err(Refusal::from)?;
    let found = found.ok_or(Refusal::NotFound)?;
    Ok(Identified { arrived, found, identity })
}

/// Whether the caller is known at all, before anything of its message is read.
///
/// # Errors
/// Those of [`pass`], but never [`Refusal::NotFound`].
pub(crate) async fn known(identify: &Identify, envelope: &Envelope, headers: &HeaderMap) -> Result<(), Refusal> {
    who(identify, envelope, headers).await.map(drop).map_err(Refusal::from)
}

async fn who(identify: &Identify, envelope: &Envelope, headers: &HeaderMap) -> Result<Arc<Identity>, CredentialError> {
    let now = envelope.at;
    match identify.look_up(&envelope.listener.identify, headers, now) {
        Lookup::Known(identity) => Ok(identity),
        Lookup::Refused(error) => Err(error),
        Lookup::Wait(pending) => identify.verify(pending, now).await,
    }
}
