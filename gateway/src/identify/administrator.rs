//! Who administers: by a token or an API key, as callers are known, or by what the kernel says of a Unix socket.

use super::{CredentialError, Identify, Identity, Lookup, combine::Proven};
use crate::config::{Credential, UNIX_ALIAS};
use http::{HeaderMap, header::AUTHORIZATION};
use jiff::Timestamp;
use policy::question::{Principal, PrincipalKind};
use std::sync::Arc;

impl Identify {
    /// Whose credentials came; `None` when none did.
    ///
    /// # Errors
    /// When one of them is bad.
    pub(crate) async fn administrator(
        &self,
        accepted: &[Credential],
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Arc<Identity>>, CredentialError> {
        let mut proven = Proven { api_key: self.api_key(accepted, headers, now)?, ..Proven::default() };
        if headers.contains_key(AUTHORIZATION) {
            proven.token = match self.look_up(accepted, headers, now) {
                Lookup::Known(identity) => Some(identity),
                Lookup::Refused(error) => return Err(error),
                Lookup::Wait(pending) => Some(self.verify(pending, now).await?),
            };
        }
        proven.combine(accepted)
    }
}

impl Identity {
    /// The user of a process at the other end of a Unix socket.
    pub(crate) fn of_unix(uid: u32) -> Self {
        Self::of(Principal::named(PrincipalKind::User, &format!("{UNIX_ALIAS}/{uid}")), None)
    }
}
