//! The stage: from a routed call to an identified one. Only here is an unknown function answered, and only to
//! somebody who is known.

use super::{CredentialError, Identity, Lookup};
use crate::{
    call::{Arrived, Identified, Routed},
    refusal::Refusal,
};
use std::sync::Arc;

/// Says who calls; waits only for a token that was not seen before.
///
/// # Errors
/// [`Refusal::Unauthenticated`] and its kin for known and unknown functions alike; then [`Refusal::NotFound`].
pub async fn pass(routed: Routed) -> Result<Identified, Refusal> {
    let Routed { arrived, found } = routed;
    let identity = who(&arrived).await.map_err(Refusal::from)?;
    let found = found.ok_or(Refusal::NotFound)?;
    Ok(Identified { arrived, found, identity })
}

async fn who(arrived: &Arrived) -> Result<Arc<Identity>, CredentialError> {
    let identify = &arrived.generation.identify;
    let now = arrived.envelope.at;
    match identify.look_up(&arrived.envelope.listener.identify, &arrived.head.headers, now) {
        Lookup::Known(identity) => Ok(identity),
        Lookup::Refused(error) => Err(error),
        Lookup::Wait(pending) => identify.verify(pending, now).await,
    }
}
