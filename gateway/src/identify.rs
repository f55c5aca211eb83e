//! Says who calls: turns the credential of a request into one verified identity, or into a clear "no".

mod administrator;
pub(crate) mod api_key;
mod bearer;
mod cache;
mod certificate;
mod combine;
pub mod fault;
pub(crate) mod jwks;
pub(crate) mod jwt;
pub mod pass;
pub(crate) mod spiffe;
mod strict_json;
pub(crate) mod svid;
#[cfg(test)]
mod tests;
mod webhook;

pub use self::{bearer::TOKEN_BYTES_MAX, fault::Fault};

use self::{
    cache::{Cache, Digest, Entry},
    jwks::{KeyError, Keys, Source},
    jwt::{Unverified, claims, subject},
};
use crate::{
    config::{self, Credential},
    refusal::{Challenge, Refusal},
};
use arc_swap::ArcSwap;
use http::HeaderMap;
use jiff::Timestamp;
use policy::question::{Principal, PrincipalKind, Token, Via};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Checks credentials. Shared by all listeners; keys and verified tokens outlive a reload that does not touch their
/// issuer.
pub struct Identify {
    issuers: BTreeMap<Arc<str>, Arc<Issuer>>,
    others: config::Credentials,
    rings: BTreeMap<Arc<str>, ArcSwap<config::ApiKeys>>,
    replays: Arc<webhook::Replays>,
    cache: Arc<Cache>,
    anonymous: Arc<Identity>,
}

/// Who calls, and what the credential said besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The caller.
    pub principal: Arc<Principal>,
    /// What its token said, if that is how it is known.
    pub token: Option<Token>,
    /// Who acts for it.
    pub via: Via,
    /// A client certificate counted.
    pub mtls: bool,
    /// From when on the credential no longer counts, leeway included.
    pub expires: Option<Timestamp>,
}

/// The answer that can be given without waiting.
#[derive(Debug)]
pub enum Lookup {
    /// Nobody in particular, or a token that was verified before.
    Known(Arc<Identity>),
    /// No.
    Refused(CredentialError),
    /// To be verified; see [`Identify::verify`].
    Wait(Pending),
}

/// A token that is to be verified.
#[derive(Debug)]
pub struct Pending {
    token: SecretString,
    digest: Digest,
    issuers: Vec<Arc<Issuer>>,
}

/// Why there is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No credential, and the listener wants one.
    #[error("no credential")]
    Missing,
    /// A bad one.
    #[error("{0}")]
    Invalid(#[from] Fault),
    /// A good token of a subject in a group that its issuer has not declared: `<alias>/<group>`.
    #[error("the token names the group `{0}`, which its issuer does not declare")]
    UndeclaredGroup(String),
    /// More signed webhooks than can be remembered.
    #[error("too many webhooks at once")]
    TooManyDeliveries,
    /// The issuer's keys can't be had: its alias.
    #[error("the keys of issuer `{0}` can't be had")]
    IssuerUnavailable(Arc<str>),
}

/// How an issuer fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerStats {
    /// Alias.
    pub alias: Arc<str>,
    /// Whether tokens can be verified now.
    pub available: bool,
    /// Usable keys.
    pub keys: usize,
    /// When keys were last fetched.
    pub fetched: Option<Timestamp>,
    /// Fetches that succeeded.
    pub fetches_ok: u64,
    /// Fetches that failed.
    pub fetches_failed: u64,
    /// Why the last fetch failed, if it did.
    pub problem: Option<String>,
    /// Tokens that were verified.
    pub tokens_verified: u64,
    /// Tokens that were refused.
    pub tokens_refused: u64,
    /// Tokens that had been verified before.
    pub cache_hits: u64,
}

/// One issuer, as long as its configuration is the same.
struct Issuer {
    config: config::Issuer,
    /// Tells this configuration of the issuer from every other in this process, so that a cached identity can't
    /// outlive the configuration that made it.
    instance: u64,
    keys: Arc<Keys>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    verified: AtomicU64,
    refused: AtomicU64,
    hits: AtomicU64,
}

static INSTANCES: AtomicU64 = AtomicU64::new(0);

impl Identify {
    /// Prepares the issuers without any network. What `previous` knows of an unchanged issuer is kept.
    ///
    /// # Errors
    /// The alias and the problem of each issuer that can't be used as configured.
    pub fn new(issuers: &[config::Issuer], previous: Option<&Self>) -> Result<Self, Vec<(Arc<str>, String)>> {
        // A second call finds the same provider installed; that is no error.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let (mut ready, mut problems) = (BTreeMap::new(), Vec::new());
        for issuer in issuers {
            let old = previous.and_then(|p| p.issuers.get(&issuer.alias));
            match Issuer::new(issuer, old) {
                Ok(issuer) => {
                    if let Some(twice) = ready.insert(issuer.config.alias.clone(), issuer) {
                        problems.push((twice.config.alias.clone(), "is configured twice".to_owned()));
                    }
                }
                Err(problem) => problems.push((issuer.alias.clone(), problem)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let anonymous = Identity::of(Principal::anonymous(), None);
        let cache = previous.map_or_else(Cache::shared, |p| p.cache.clone());
        let replays = previous.map(|p| p.replays.clone()).unwrap_or_default();
        let (others, rings) = Default::default();
        Ok(Self { issuers: ready, others, rings, replays, cache, anonymous: Arc::new(anonymous) })
    }

    /// The same, with credentials other than tokens.
    #[must_use]
    pub fn and(self, others: &config::Credentials) -> Self {
        let rings = others.api_keys.iter().map(|keys| (keys.alias.clone(), ArcSwap::from_pointee(keys.clone())));
        Self { others: others.clone(), rings: rings.collect(), ..self }
    }

    /// Answers if that needs no waiting. `accepted` are the credentials that count on the listener, in order.
    pub fn look_up(&self, accepted: &[Credential], headers: &HeaderMap, now: Timestamp) -> Lookup {
        let token = match bearer::token(headers) {
            Ok(Some(token)) => token,
            Ok(None) if accepted.contains(&Credential::Anonymous) => return Lookup::Known(self.anonymous.clone()),
            Ok(None) => return Lookup::Refused(CredentialError::Missing),
            // INVARIANT: a bad credential is refused even where none would do; its bearer meant to be someone.
            Err(fault) => return Lookup::Refused(fault.into()),
        };
        let aliases = accepted.iter().flat_map(Credential::parts).filter_map(|credential| match credential {
            Credential::Issuer(alias) => Some(alias),
            _ => None,
        });
        let issuers = || aliases.clone().filter_map(|alias| self.issuers.get(alias));
        let digest = cache::digest(token, issuers().map(|issuer| issuer.instance));
        if let Some(identity) = self.cached(&digest, now) {
            return Lookup::Known(identity);
        }
        Lookup::Wait(Pending { token: token.into(), digest, issuers: issuers().cloned().collect() })
    }

    /// Verifies a token, and fetches the issuer's keys if they are not there.
    ///
    /// # Errors
    /// When the token is bad or the keys can't be had.
    pub async fn verify(&self, pending: Pending, now: Timestamp) -> Result<Arc<Identity>, CredentialError> {
        let Pending { token, digest, issuers } = pending;
        let token = token.expose_secret();
        let unverified = Unverified::read(token)?;
        let issuer = choose(issuers.iter(), |issuer| &issuer.config, &unverified)?;
        let verified = issuer.verify(&unverified, now).await;
        issuer.counts.count(verified.is_ok());
        let (identity, generation) = verified?;
        let identity = Arc::new(identity);
        self.cache.insert(digest, Entry { identity: identity.clone(), generation }, token.len());
        Ok(identity)
    }

    /// Starts to fetch the keys of every issuer, now and whenever they are due. Needs a running Tokio.
    pub fn warm(&self) {
        for issuer in self.issuers.values() {
            issuer.keys.start();
        }
    }

    /// How each issuer fares.
    #[must_use]
    pub fn stats(&self) -> Vec<IssuerStats> {
        self.issuers.values().map(|issuer| issuer.stats()).collect()
    }

    /// INVARIANT: a cached identity counts only until its token expires, and only while the keys that verified it are
    /// the keys in force.
    fn cached(&self, digest: &Digest, now: Timestamp) -> Option<Arc<Identity>> {
        let entry = self.cache.get(digest)?;
        let issuer = self.issuers.get(entry.identity.principal.issuer.as_ref()?)?;
        let current = issuer.keys.in_force().is_some_and(|set| set.generation == entry.generation);
        if !current || entry.identity.expires.is_none_or(|expires| expires <= now) {
            self.cache.remove(digest);
            return None;
        }
        issuer.counts.hits.fetch_add(1, Ordering::Relaxed);
        Some(entry.identity)
    }
}

/// The issuer that a token says it is from, among those that count. Several may share an identifier and differ in
/// audience; then the first that the token is for.
pub(crate) fn choose<'a, I>(
    issuers: impl Iterator<Item = &'a I>,
    config: impl Fn(&'a I) -> &'a config::Issuer,
    token: &Unverified<'_>,
) -> Result<&'a I, Fault> {
    let name = token.issuer().ok_or(Fault::Issuer)?;
    let mut named = issuers.filter(|issuer| &*config(issuer).issuer == name);
    let audiences = claims::audiences(&token.claims).unwrap_or_default();
    let first = named.next().ok_or(Fault::Issuer)?;
    let meant = std::iter::once(first).chain(named).find(|i| claims::accepts_audience(config(i), &audiences));
    Ok(meant.unwrap_or(first))
}

impl Issuer {
    fn new(config: &config::Issuer, previous: Option<&Arc<Self>>) -> Result<Arc<Self>, String> {
        if config.principal == PrincipalKind::Anonymous {
            return Err("tokens can't name `Anonymous`".to_owned());
        }
        if config.audiences.is_empty() || config.algorithms.is_empty() {
            return Err("at least one audience and one algorithm are needed".to_owned());
        }
        if let Some(symmetric) = config.algorithms.iter().find(|a| !jwt::is_asymmetric(**a)) {
            return Err(format!("`{symmetric:?}` is symmetric: whoever can check a token could make one"));
        }
        if let Some((unknown, _)) = config.attributes.iter().find(|(name, _)| !subject::ATTRIBUTES.contains(&&**name)) {
            return Err(format!("`{unknown}` is no attribute of a principal"));
        }
        let source = Source::new(config)?;
        let same_source = previous.filter(|p| *p.keys.source() == source);
        if let Some(same) = same_source.filter(|p| p.config == *config) {
            return Ok(same.clone());
        }
        let keys = match same_source {
            Some(same) => same.keys.clone(),
            None => Keys::new(source)?,
        };
        let counts = previous.map(|p| p.counts.clone()).unwrap_or_default();
        let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Self { config: config.clone(), instance, keys, counts }))
    }

    async fn verify(&self, token: &Unverified<'_>, now: Timestamp) -> Result<(Identity, u64), CredentialError> {
        let header = token.header(&self.config.algorithms)?;
        // Before keys are looked for, so that old tokens can't make the gateway fetch.
        let admitted = claims::admit(&token.claims, &self.config, now)?;
        let found = self.keys.find(header.kid.as_deref(), header.algorithm).await.map_err(|e| self.refuse(e))?;
        token.verify(header.algorithm, found.key.decoding())?;
        let identity = subject::identity(&token.claims, admitted, &self.config)?;
        Ok((identity, found.generation))
    }

    fn refuse(&self, error: KeyError) -> CredentialError {
        let unavailable = || CredentialError::IssuerUnavailable(self.config.alias.clone());
        error.fault().map_or_else(unavailable, Into::into)
    }

    fn stats(&self) -> IssuerStats {
        let keys = self.keys.stats();
        IssuerStats {
            alias: self.config.alias.clone(),
            available: keys.available,
            keys: keys.count,
            fetched: keys.fetched,
            fetches_ok: keys.fetches_ok,
            fetches_failed: keys.fetches_failed,
            problem: keys.problem,
            tokens_verified: self.counts.verified.load(Ordering::Relaxed),
            tokens_refused: self.counts.refused.load(Ordering::Relaxed),
            cache_hits: self.counts.hits.load(Ordering::Relaxed),
        }
    }
}

impl Counts {
    fn count(&self, good: bool) {
        let counter = if good { &self.verified } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Identity {
    /// Somebody who calls by itself.
    pub(crate) fn of(principal: Principal, expires: Option<Timestamp>) -> Self {
        Self { principal: Arc::new(principal), token: None, via: Via::default(), mtls: false, expires }
    }
}

impl From<CredentialError> for Refusal {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Missing => Self::Unauthenticated(Challenge::default()),
            CredentialError::Invalid(fault) => Self::Unauthenticated(fault.challenge()),
            CredentialError::UndeclaredGroup(group) => Self::UndeclaredGroup(group),
            CredentialError::TooManyDeliveries => Self::Busy { retry_after: Duration::from_secs(1) },
            CredentialError::IssuerUnavailable(_) => Self::IdentityUnavailable,
        }
    }
}

impl fmt::Debug for Identify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identify").field("issuers", &self.issuers.keys()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("alias", &self.config.alias).finish_non_exhaustive()
    }
}
