//! `[admin]` as checked.

use super::{Access, Credential, UNIX_ALIAS};
use crate::address::Address;
use ::policy::declared;
use std::collections::BTreeSet;

/// `[admin]`
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Address, on this machine only; port 0 takes any free one.
    pub address: Address,
    /// Who may connect, if it is a Unix socket.
    pub access: Access,
    /// Which credentials count; `None` lets in whoever reaches it, and asks policy nothing.
    pub identify: Option<Vec<Credential>>,
    /// Policy is asked of whoever reads metrics, too.
    pub metrics_asked: bool,
}

impl Admin {
    /// Whether a single credential counts here, alone or with others.
    #[must_use]
    pub fn takes(&self, credential: &Credential) -> bool {
        self.identify.iter().flatten().flat_map(Credential::parts).any(|part| part == credential)
    }

    /// The kernel as an issuer, where its word counts.
    pub(super) fn declared(&self) -> Option<declared::Issuer> {
        self.takes(&Credential::Unix).then(|| declared::Issuer {
            alias: UNIX_ALIAS.into(),
            groups: BTreeSet::new(),
            external_groups: false,
        })
    }
}
