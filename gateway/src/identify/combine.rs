//! From the credentials of one call to one identity: who calls, and through whom.

use super::{CredentialError, Fault, Identity};
use crate::config::Credential;
use jiff::Timestamp;
use policy::question::{Principal, PrincipalKind, Via};
use std::sync::Arc;

/// The good credentials of a call, at most one of each kind.
#[derive(Debug, Default)]
pub(crate) struct Proven {
    /// By a client certificate.
    pub(crate) certificate: Option<Arc<Identity>>,
    /// By an API key.
    pub(crate) api_key: Option<Arc<Identity>>,
    /// By the signature of a webhook.
    pub(crate) webhook: Option<Arc<Identity>>,
    /// By a bearer token.
    pub(crate) token: Option<Arc<Identity>>,
}

impl Proven {
    /// Who calls: the first entry of `identify` that is fulfilled names the principal, and what is over says through
    /// whom. `None` when there is no credential at all.
    ///
    /// INVARIANT: no credential is ignored. One that is over and can't be `via` is refused, since nobody could say
    /// for whom the call is.
    pub(crate) fn combine(&self, accepted: &[Credential]) -> Result<Option<Arc<Identity>>, CredentialError> {
        let count = self.every().count();
        if count == 0 {
            return Ok(None);
        }
        let fulfilled = || accepted.iter().filter_map(|entry| self.principal(entry));
        for principal in fulfilled() {
            if count == 1 {
                return Ok(Some(principal.clone()));
            }
            if let Some(identity) = self.with_via(principal) {
                return Ok(Some(Arc::new(identity)));
            }
        }
        let fault = if fulfilled().next().is_some() { Fault::SeveralCallers } else { Fault::CredentialsIncomplete };
        Err(fault.into())
    }

    /// Whom an entry names, if its credentials are all there.
    fn principal(&self, entry: &Credential) -> Option<&Arc<Identity>> {
        match entry {
            Credential::Anonymous | Credential::Unix => None,
            Credential::Issuer(alias) => of(self.token.as_ref(), alias),
            Credential::ApiKeys(alias) => of(self.api_key.as_ref(), alias),
            Credential::Webhook(alias) => of(self.webhook.as_ref(), alias),
            Credential::Mtls(alias) => of(self.certificate.as_ref(), alias),
            Credential::All { each, principal } => {
                let named = each.iter().find(|part| part.alias() == Some(principal))?;
                each.iter().all(|part| self.principal(part).is_some()).then(|| self.principal(named))?
            }
        }
    }

    fn every(&self) -> impl Iterator<Item = &Arc<Identity>> {
        [&self.certificate, &self.api_key, &self.webhook, &self.token].into_iter().flatten()
    }

    /// The principal with everybody else as `via`.
    fn with_via(&self, principal: &Arc<Identity>) -> Option<Identity> {
        let mut via = Via::default();
        let mut expires: Option<Timestamp> = principal.expires;
        for other in self.every().filter(|other| !Arc::ptr_eq(other, principal)) {
            let place: &mut Option<Arc<Principal>> = match other.principal.kind {
                PrincipalKind::Workload => &mut via.workload,
                PrincipalKind::Client => &mut via.client,
                PrincipalKind::User | PrincipalKind::Agent | PrincipalKind::Anonymous | PrincipalKind::System => {
                    return None;
                }
            };
            if place.replace(other.principal.clone()).is_some() {
                return None;
            }
            via.depth += 1;
            expires = [expires, other.expires].into_iter().flatten().min();
        }
        let mut identity = Identity::clone(principal);
        identity.mtls = self.certificate.is_some();
        (identity.via, identity.expires) = (via, expires);
        Some(identity)
    }
}

fn of<'a>(identity: Option<&'a Arc<Identity>>, alias: &Arc<str>) -> Option<&'a Arc<Identity>> {
    identity.filter(|identity| identity.principal.issuer.as_ref() == Some(alias))
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::question::PrincipalAttributes;

    fn known(kind: PrincipalKind, alias: &str) -> Option<Arc<Identity>> {
        let principal = Principal {
            kind,
            id: format!("{alias}/x").into(),
            issuer: Some(alias.into()),
            groups: Arc::new([]),
            attributes: PrincipalAttributes::default(),
        };
        let mtls = kind == PrincipalKind::Workload;
        Some(Arc::new(Identity { mtls, ..Identity::of(principal, None) }))
    }

    /// Who calls, and through whom: `principal<workload<client`.
    fn combined(proven: &Proven, accepted: &[Credential]) -> Result<String, CredentialError> {
        let Some(identity) = proven.combine(accepted)? else { return Ok("nobody".to_owned()) };
        let via = [&identity.via.workload, &identity.via.client].into_iter().flatten();
        let told = via.fold(identity.principal.id.to_string(), |told, via| format!("{told}<{}", via.id));
        assert_eq!(identity.mtls, proven.certificate.is_some());
        assert_eq!(identity.via.depth, i64::try_from(told.matches('<').count()).unwrap());
        Ok(told)
    }

    #[test]
    fn no_credential_is_ignored() {
        let (user, job) = (|| Credential::Issuer("corp".into()), || Credential::Mtls("jobs".into()));
        let key = || Credential::ApiKeys("apps".into());
        let all = |each: Vec<Credential>, principal: &str| Credential::All { each, principal: principal.into() };
        let certificate = || known(PrincipalKind::Workload, "jobs");
        let (app, token) = (|| known(PrincipalKind::Client, "apps"), || known(PrincipalKind::User, "corp"));
        let proven = |certificate, api_key, token| Proven { certificate, api_key, token, webhook: None };
        let (incomplete, several) = (Fault::CredentialsIncomplete, Fault::SeveralCallers);
        let cases: [(Proven, Vec<Credential>, Result<&str, Fault>); 13] = [
            (Proven::default(), vec![user()], Ok("nobody")),
            (proven(None, None, token()), vec![job(), user()], Ok("corp/x")),
            (proven(certificate(), None, token()), vec![job(), user()], Ok("corp/x<jobs/x")),
            (proven(certificate(), app(), token()), vec![job(), key(), user()], Ok("corp/x<jobs/x<apps/x")),
            (proven(certificate(), app(), None), vec![job(), key()], Ok("jobs/x<apps/x")),
            (proven(certificate(), app(), None), vec![key(), job()], Ok("apps/x<jobs/x")),
            (proven(None, app(), token()), vec![key(), Credential::Anonymous], Err(several)),
            (proven(certificate(), None, None), vec![all(vec![job(), user()], "corp")], Err(incomplete)),
            (proven(None, None, token()), vec![all(vec![job(), user()], "corp")], Err(incomplete)),
            (proven(certificate(), None, token()), vec![all(vec![job(), user()], "corp")], Ok("corp/x<jobs/x")),
            (proven(certificate(), app(), None), vec![all(vec![job(), key()], "jobs")], Ok("jobs/x<apps/x")),
            (proven(None, None, known(PrincipalKind::User, "other")), vec![user()], Err(incomplete)),
            (proven(None, app(), None), vec![all(vec![job(), user()], "corp"), key()], Ok("apps/x")),
        ];
        for (proven, accepted, expected) in &cases {
            let expected = expected.map(str::to_owned).map_err(CredentialError::from);
            assert_eq!(combined(proven, accepted), expected, "{proven:?} {accepted:?}");
        }
    }
}
