//! From an API key to a client: found by its public part, compared by its hash in constant time.

pub(crate) mod text;

use super::{Fault, Identify, Identity};
use crate::config::{ApiKey, ApiKeys, Credential};
use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use policy::question::{Principal, PrincipalAttributes, PrincipalKind, Token};
use std::sync::Arc;
use text::Hash;

impl Identify {
    /// Whose API key came; `None` when none did.
    pub(crate) fn api_key(
        &self,
        accepted: &[Credential],
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Arc<Identity>>, Fault> {
        let mut found: Option<Result<Arc<Identity>, Fault>> = None;
        for rings in self.counting(accepted) {
            let ring = rings.load();
            let mut values = headers.get_all(&ring.header).iter();
            let Some(value) = values.next() else { continue };
            if values.next().is_some() {
                return Err(Fault::KeyRepeated);
            }
            let key = value.to_str().map_err(|_| Fault::KeyForm)?;
            let parts = text::read(key).ok_or(Fault::KeyForm)?;
            if found.is_none() {
                found = Some(Err(Fault::KeyIssuer));
            }
            if *parts.alias == *ring.alias {
                match &found {
                    // Entries of `identify` may name an alias more than once.
                    Some(Ok(same)) if same.principal.issuer.as_ref() == Some(&ring.alias) => continue,
                    // Keys of two aliases in two headers would be two callers.
                    Some(Ok(_)) => return Err(Fault::SeveralCallers),
                    Some(Err(_)) | None => {}
                }
                found = Some(Ok(identity(&ring, parts.id, &text::hash(key), now)?));
            }
        }
        found.transpose()
    }

    /// The headers that hold API keys: nothing of them goes further.
    pub(crate) fn key_headers(&self) -> impl Iterator<Item = HeaderName> {
        self.rings.values().map(|ring| ring.load().header.clone())
    }

    /// The header that holds keys of an alias.
    pub(crate) fn key_header(&self, alias: &Arc<str>) -> Option<HeaderName> {
        self.rings.get(alias).map(|ring| ring.load().header.clone())
    }

    /// Takes keys as they are on disk now, also where the rest of the configuration is broken: a revocation must not
    /// wait for somebody to mend a policy.
    pub(crate) fn take_keys(&self, keys: ApiKeys) {
        if let Some(ring) = self.rings.get(&keys.alias) {
            ring.store(Arc::new(keys));
        }
    }

    fn counting<'a>(&'a self, accepted: &'a [Credential]) -> impl Iterator<Item = &'a ArcSwap<ApiKeys>> {
        accepted.iter().flat_map(Credential::parts).filter_map(|part| match part {
            Credential::ApiKeys(alias) => self.rings.get(alias),
            _ => None,
        })
    }
}

fn identity(ring: &ApiKeys, id: &str, hash: &Hash, now: Timestamp) -> Result<Arc<Identity>, Fault> {
    let known = ring.keys.get(id);
    let kept = known.map_or(Hash::default(), |key| key.hash);
    // INVARIANT: only the holder of the key learns what became of it.
    let same = verify_slices_are_equal(&kept, hash).is_ok();
    let key: &ApiKey = known.filter(|_| same).ok_or(Fault::KeyUnknown)?;
    if key.revoked {
        return Err(Fault::KeyRevoked);
    }
    if key.expires.is_some_and(|expires| expires <= now) {
        return Err(Fault::KeyExpired);
    }
    let client = &key.client;
    let principal = Principal {
        kind: PrincipalKind::Client,
        id: format!("{}/{}", ring.alias, client.name).into(),
        issuer: Some(ring.alias.clone()),
        groups: client.groups.clone(),
        attributes: PrincipalAttributes {
            tenant: client.tenant.clone(),
            tier: client.tier.clone(),
            ..PrincipalAttributes::default()
        },
    };
    let token = (!client.scopes.is_empty()).then(|| Token {
        scopes: client.scopes.clone(),
        audiences: Arc::new([]),
        issued: key.created,
        authenticated: None,
        acr: None,
        amr: None,
        sender_bound: false,
    });
    Ok(Arc::new(Identity { token, ..Identity::of(principal, key.expires) }))
}
