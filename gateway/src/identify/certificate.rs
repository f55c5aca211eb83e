//! From an accepted SVID to a workload.

use super::{Fault, Identify, Identity, spiffe, svid::ClientCertificate};
use crate::config::Credential;
use jiff::Timestamp;
use policy::question::{Principal, PrincipalAttributes, PrincipalKind};
use std::sync::Arc;

impl Identify {
    /// Whose certificate it is; `None` where certificates do not count.
    pub(crate) fn certificate(
        &self,
        accepted: &[Credential],
        shown: &ClientCertificate,
        now: Timestamp,
    ) -> Result<Option<Arc<Identity>>, Fault> {
        let mut counting = accepted.iter().flat_map(Credential::parts).filter_map(|part| match part {
            Credential::Mtls(alias) => self.others.mtls.iter().find(|mtls| mtls.alias == *alias),
            _ => None,
        });
        let Some(first) = counting.next() else { return Ok(None) };
        let svid = shown.check(now)?;
        let domain = spiffe::trust_domain(&svid.id);
        let own = std::iter::once(first).chain(counting).find(|mtls| domain == Some(&*mtls.trust_domain));
        let principal = Principal {
            kind: PrincipalKind::Workload,
            id: svid.id.clone(),
            issuer: Some(own.ok_or(Fault::CertificateTrustDomain)?.alias.clone()),
            groups: Arc::new([]),
            attributes: PrincipalAttributes::default(),
        };
        Ok(Some(Arc::new(Identity { mtls: true, ..Identity::of(principal, Some(svid.expires)) })))
    }
}
