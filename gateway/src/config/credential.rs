//! Credentials other than tokens, as checked, and how a listener combines them.

use http::HeaderName;
use jiff::Timestamp;
use policy::declared;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
};

/// The issuer of whom the kernel names: the first part of their ids.
pub const UNIX_ALIAS: &str = "unix";

/// A credential that a listener takes: one entry of `identify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// No credential at all: the caller is `Anonymous::"anonymous"`.
    Anonymous,
    /// A bearer token of this issuer alias.
    Issuer(Arc<str>),
    /// A client certificate that is an SVID of this alias's trust domain.
    Mtls(Arc<str>),
    /// An API key of this alias.
    ApiKeys(Arc<str>),
    /// A signed webhook of this alias.
    Webhook(Arc<str>),
    /// The user at the other end of a Unix socket, as the kernel says; of the administrative interface only.
    Unix,
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
    /// API keys.
    pub api_keys: Vec<ApiKeys>,
    /// Signed webhooks.
    pub webhooks: Vec<Webhook>,
}

/// `[identity.mtls.ALIAS]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mtls {
    /// Alias: what listeners call it.
    pub alias: Arc<str>,
    /// SPIFFE trust domain whose workloads it may name.
    pub trust_domain: Arc<str>,
}

/// `[identity.api_keys.ALIAS]` and what its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeys {
    /// Alias: the first part of principal ids, groups and keys.
    pub alias: Arc<str>,
    /// The file of hashes.
    pub file: PathBuf,
    /// The header that holds a key.
    pub header: HeaderName,
    /// Declared groups, each `<alias>/<group>`.
    pub groups: BTreeSet<Arc<str>>,
    /// Keys by id.
    pub keys: BTreeMap<Arc<str>, ApiKey>,
}

/// A key of a client.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Whose it is.
    pub client: Arc<KeyClient>,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// When it was made.
    pub created: Option<Timestamp>,
    /// From when on it does not count.
    pub expires: Option<Timestamp>,
    /// It does not count any more.
    pub revoked: bool,
}

/// A client that has API keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyClient {
    /// Name: the second part of its principal id.
    pub name: Arc<str>,
    /// Groups, each `<alias>/<group>`.
    pub groups: Arc<[Arc<str>]>,
    /// Scopes.
    pub scopes: Arc<[Arc<str>]>,
    /// Tenant.
    pub tenant: Option<Arc<str>>,
    /// Contract tier.
    pub tier: Option<Arc<str>>,
}

/// `[identity.webhook.ALIAS]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Alias: the first part of its principal id.
    pub alias: Arc<str>,
    /// The sender: the second part of its principal id.
    pub client: Arc<str>,
    /// What is signed, and where the signature is.
    pub form: Form,
    /// The secret, and the one before it while both count.
    pub secrets: Vec<Secret>,
}

/// How a webhook is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Standard Webhooks.
    Standard,
    /// GitHub's `X-Hub-Signature-256`.
    Github,
}

/// A secret that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

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
            Self::Anonymous | Self::Unix | Self::All { .. } => None,
            Self::Issuer(alias) | Self::Mtls(alias) | Self::ApiKeys(alias) | Self::Webhook(alias) => Some(alias),
        }
    }
}

impl Credentials {
    /// Each as an entry of `identify`.
    pub(super) fn every(&self) -> impl Iterator<Item = Credential> {
        let mtls = self.mtls.iter().map(|mtls| Credential::Mtls(mtls.alias.clone()));
        let api_keys = self.api_keys.iter().map(|keys| Credential::ApiKeys(keys.alias.clone()));
        mtls.chain(api_keys).chain(self.webhooks.iter().map(|webhook| Credential::Webhook(webhook.alias.clone())))
    }

    /// Every alias is an issuer to policy: ids and groups begin with it.
    pub(super) fn declared(&self) -> impl Iterator<Item = declared::Issuer> {
        let issuer = |alias: &Arc<str>, groups: &BTreeSet<Arc<str>>| declared::Issuer {
            alias: alias.clone(),
            groups: groups.clone(),
            external_groups: false,
        };
        let mtls = self.mtls.iter().map(move |mtls| issuer(&mtls.alias, &BTreeSet::new()));
        let webhooks = self.webhooks.iter().map(move |webhook| issuer(&webhook.alias, &BTreeSet::new()));
        mtls.chain(self.api_keys.iter().map(move |keys| issuer(&keys.alias, &keys.groups))).chain(webhooks)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, hash: _, created, expires, revoked } = self;
        let mut shown = f.debug_struct("ApiKey");
        shown.field("client", client).field("created", created).field("expires", expires).field("revoked", revoked);
        shown.finish_non_exhaustive()
    }
}

impl Secret {
    /// Keeps a secret.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// The secret, for computing with it only.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
