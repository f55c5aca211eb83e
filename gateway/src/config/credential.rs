//! Credentials other than tokens, as checked, and how a listener combines them.

use policy::declared;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// A credential that a listener takes: one entry of `identify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// No credential at all: the caller is `Anonymous::"anonymous"`.
    Anonymous,
    /// A bearer token of this issuer alias.
    Issuer(Arc<str>),
    /// A client certificate that is an SVID of this alias's trust domain.
    Mtls(Arc<str>),
    /// Several together.
    All {
        /// Which; no two of one kind.
        each: Vec<Credential>,
        /// The alias whose credential names the caller; the others become `via`.
        principal: Arc<str>,
    },
}

/// Credentials other than tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Client certificates.
    pub mtls: Vec<Mtls>,
}

/// `[identity.mtls.ALIAS]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mtls {
    /// Alias: what listeners call it.
    pub alias: Arc<str>,
    /// SPIFFE trust domain whose workloads it may name.
    pub trust_domain: Arc<str>,
}

/// Client certificates on a listener: `client_ca` and `client_auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// PEM file of the authorities that may vouch for clients.
    pub ca: PathBuf,
    /// Without a certificate there is no connection.
    pub required: bool,
}

impl Credential {
    /// The single credentials that it consists of.
    pub fn parts(&self) -> std::slice::Iter<'_, Self> {
        match self {
            Self::All { each, .. } => each.iter(),
            single => std::slice::from_ref(single).iter(),
        }
    }

    /// The alias of a single credential.
    #[must_use]
    pub fn alias(&self) -> Option<&Arc<str>> {
        match self {
            Self::Anonymous | Self::All { .. } => None,
            Self::Issuer(alias) | Self::Mtls(alias) => Some(alias),
        }
    }
}

impl Credentials {
    /// Each as an entry of `identify`.
    pub(super) fn every(&self) -> impl Iterator<Item = Credential> {
        self.mtls.iter().map(|mtls| Credential::Mtls(mtls.alias.clone()))
    }

    /// Every alias is an issuer to policy: ids and groups begin with it.
    pub(super) fn declared(&self) -> impl Iterator<Item = declared::Issuer> {
        let none = |alias: &Arc<str>| declared::Issuer {
            alias: alias.clone(),
            groups: BTreeSet::new(),
            external_groups: false,
        };
        self.mtls.iter().map(move |mtls| none(&mtls.alias))
    }
}
