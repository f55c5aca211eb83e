//! The entities of callers, made for each question from what their credentials vouch for.

use super::{Absent, Attributes, Directory, Issuer, entity, group_entity, plain, uid};
use crate::{
    engine::value,
    question::{Principal, PrincipalKind, WARMER},
};
use cedar_policy_core::ast::Entity;
use std::{collections::HashSet, sync::Arc};

impl Directory {
    /// A group and its issuer.
    pub(super) fn group(&self, name: &Arc<str>) -> Result<(Arc<Entity>, &Issuer), Absent> {
        let alias = name.split_once('/').filter(|(_, rest)| !rest.is_empty()).map(|(alias, _)| alias);
        let Some(issuer) = alias.and_then(|alias| self.issuers.get(alias)) else {
            return Err(Absent(format!("the group `{name}` is of no declared issuer")));
        };
        let group = match self.groups.get(name) {
            Some(group) => Arc::clone(group),
            None if issuer.external_groups => group_entity(&self.types, name, &issuer.uid),
            None => return Err(Absent(format!("the group `{name}` is not declared"))),
        };
        Ok((group, issuer))
    }

    /// A caller with what it is in, and nothing of it to look into. Refused unless its credential vouches for all of it.
    pub(crate) fn lineage(&self, principal: &Principal) -> Result<Arc<Entity>, Absent> {
        self.vouched(principal)?;
        let me = uid(self.types.principal(principal.kind), &principal.id);
        let groups = principal.groups.iter().map(|group| Ok(self.group(group)?.0.uid().clone()));
        Ok(entity(me, Attributes::new(), groups.collect::<Result<_, Absent>>()?, HashSet::new()))
    }

    /// The entities of a caller, itself first: its groups, issuer and tenant. Refused like its lineage.
    pub(crate) fn principal(&self, principal: &Principal) -> Result<Vec<Arc<Entity>>, Absent> {
        let issuer = self.vouched(principal)?;
        let me = uid(self.types.principal(principal.kind), &principal.id);
        let mut others = Vec::new();
        let mut parents = HashSet::with_capacity(principal.groups.len());
        for group in principal.groups.iter() {
            let (group, issuer) = self.group(group)?;
            parents.insert(group.uid().clone());
            others.extend([group, Arc::clone(&issuer.entity)]);
        }
        let attributes = self.attributes(principal, issuer, &mut others);
        let mut entities = Vec::with_capacity(others.len() + 1);
        entities.push(entity(me, attributes, parents, HashSet::new()));
        entities.extend(others);
        Ok(entities)
    }

    fn attributes(
        &self,
        principal: &Principal,
        issuer: Option<&Issuer>,
        entities: &mut Vec<Arc<Entity>>,
    ) -> Attributes {
        let mut attributes = Attributes::new();
        if matches!(principal.kind, PrincipalKind::Anonymous | PrincipalKind::System) {
            return attributes;
        }
        let said = &principal.attributes;
        if principal.kind == PrincipalKind::Workload {
            // Nothing attests workloads yet, and the vocabulary demands an answer.
            attributes.push(("attested", false.into()));
        }
        if let Some(issuer) = issuer {
            attributes.push(("issuer", value::entity(&issuer.uid).into()));
            entities.push(Arc::clone(&issuer.entity));
        }
        if let Some(tenant) = &said.tenant {
            let tenant = uid(&self.types.tenant, tenant);
            attributes.push(("tenant", tenant.clone().into()));
            entities.push(plain(tenant));
        }
        if principal.kind == PrincipalKind::User {
            attributes.extend(said.clearance.map(|clearance| ("clearance", clearance.into())));
            attributes.extend(said.employed.map(|employed| ("employed", employed.into())));
        }
        if let (PrincipalKind::Client, Some(tier)) = (principal.kind, &said.tier) {
            attributes.push(("tier", tier.as_ref().into()));
        }
        attributes
    }

    /// The issuer that vouches for a caller, if its kind needs or has one.
    fn vouched(&self, principal: &Principal) -> Result<Option<&Issuer>, Absent> {
        let id = &principal.id;
        match principal.kind {
            PrincipalKind::User | PrincipalKind::Client => self.issuer(principal).map(Some),
            PrincipalKind::Workload if id.starts_with("spiffe://") => {
                Ok(principal.issuer.as_ref().and_then(|alias| self.issuers.get(alias)))
            }
            PrincipalKind::Workload => Err(Absent(format!("the workload `{id}` has no SPIFFE ID"))),
            PrincipalKind::Agent => Err(Absent(format!("no credential says who owns the agent `{id}`"))),
            PrincipalKind::Anonymous if id.as_ref() == "anonymous" && principal.groups.is_empty() => Ok(None),
            PrincipalKind::Anonymous => Err(Absent(format!("`{id}` is not nobody"))),
            PrincipalKind::System if id.as_ref() == WARMER && principal.groups.is_empty() => Ok(None),
            PrincipalKind::System => Err(Absent(format!("`{id}` is no part of the gateway that calls"))),
        }
    }

    fn issuer(&self, principal: &Principal) -> Result<&Issuer, Absent> {
        let id = &principal.id;
        let alias = principal.issuer.as_deref().unwrap_or_default();
        let Some(issuer) = self.issuers.get(alias) else {
            return Err(Absent(format!("`{id}` is of no declared issuer")));
        };
        if id.split_once('/').is_none_or(|(first, rest)| first != alias || rest.is_empty()) {
            return Err(Absent(format!("`{id}` is not an id of the issuer `{alias}`")));
        }
        Ok(issuer)
    }
}
