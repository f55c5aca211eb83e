//! Makes a principal and facts from the claims of a verified token.

use super::{
    super::{CredentialError, Identity, fault::Fault, spiffe},
    claims::{Admitted, TEXT_BYTES_MAX, VALUES_MAX, date, texts},
};
use crate::config;
use policy::question::{Principal, PrincipalAttributes, PrincipalKind, Token};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, sync::Arc};

/// Attributes that a claim can become.
pub(crate) const ATTRIBUTES: [&str; 4] = ["tenant", "clearance", "employed", "tier"];
/// Most groups of one token.
const GROUPS_MAX: usize = 200;

type Claims = Map<String, Value>;

/// Who the token is about.
pub(crate) fn identity(
    claims: &Claims,
    admitted: Admitted,
    issuer: &config::Issuer,
) -> Result<Identity, CredentialError> {
    let principal = Principal {
        kind: issuer.principal,
        id: id(claims, issuer)?,
        issuer: Some(issuer.alias.clone()),
        groups: groups(claims, issuer)?,
        attributes: attributes(claims, issuer)?,
    };
    let token = Token {
        scopes: scopes(claims)?.into(),
        audiences: admitted.audiences.into(),
        issued: admitted.issued,
        authenticated: date(claims, "auth_time")?,
        acr: claims.get("acr").map(|acr| text(acr).ok_or(Fault::Claim)).transpose()?,
        amr: claims.get("amr").map(|amr| texts(amr).ok_or(Fault::Claim)).transpose()?.map(Into::into),
        sender_bound: false,
    };
    Ok(Identity { token: Some(token), ..Identity::of(principal, Some(admitted.expires)) })
}

fn id(claims: &Claims, issuer: &config::Issuer) -> Result<Arc<str>, Fault> {
    let subject = claims.get("sub").and_then(text).ok_or(Fault::Subject)?;
    if issuer.principal == PrincipalKind::Workload {
        // An issuer may name the workloads of its own trust domain only.
        let domain = issuer.trust_domain.as_deref().ok_or(Fault::Subject)?;
        return if spiffe::trust_domain(&subject) == Some(domain) { Ok(subject) } else { Err(Fault::Subject) };
    }
    Ok(format!("{}/{subject}", issuer.alias).into())
}

fn groups(claims: &Claims, issuer: &config::Issuer) -> Result<Arc<[Arc<str>]>, CredentialError> {
    let Some(claim) = &issuer.groups.claim else { return Ok(Arc::new([])) };
    let Some(value) = find(claims, claim) else {
        // A token without the groups that its subject has would slip past a forbid on one of them.
        let elsewhere = claims.get("_claim_names").is_some_and(|names| names.get(&**claim).is_some());
        return if elsewhere { Err(Fault::GroupsElsewhere.into()) } else { Ok(Arc::new([])) };
    };
    let items = value.as_array().ok_or(Fault::Groups)?;
    if items.len() > GROUPS_MAX {
        return Err(Fault::GroupsTooMany.into());
    }
    let mut found = BTreeSet::new();
    for item in items {
        let group: Arc<str> = format!("{}/{}", issuer.alias, text(item).ok_or(Fault::Groups)?).into();
        if !issuer.groups.external && !issuer.groups.declared.contains(&group) {
            return Err(CredentialError::UndeclaredGroup(group.to_string()));
        }
        found.insert(group);
    }
    Ok(found.into_iter().collect())
}

fn attributes(claims: &Claims, issuer: &config::Issuer) -> Result<PrincipalAttributes, Fault> {
    let mut attributes = PrincipalAttributes::default();
    for (attribute, claim) in &issuer.attributes {
        let Some(value) = find(claims, claim) else { continue };
        match &**attribute {
            "tenant" => attributes.tenant = Some(text(value).ok_or(Fault::Attribute)?),
            "clearance" => attributes.clearance = Some(value.as_i64().ok_or(Fault::Attribute)?),
            "employed" => attributes.employed = Some(value.as_bool().ok_or(Fault::Attribute)?),
            "tier" => attributes.tier = Some(text(value).ok_or(Fault::Attribute)?),
            // INVARIANT: an issuer with another is not taken into use, see `ATTRIBUTES`.
            _ => return Err(Fault::Attribute),
        }
    }
    Ok(attributes)
}

/// `scope` (RFC 8693, texts with spaces between) or `scp` (a list, or the same text).
fn scopes(claims: &Claims) -> Result<Vec<Arc<str>>, Fault> {
    let found = match claims.get("scope").or_else(|| claims.get("scp")) {
        None => return Ok(Vec::new()),
        Some(Value::String(joined)) => joined.split(' ').filter(|s| !s.is_empty()).map(Arc::from).collect(),
        Some(list) => texts(list).ok_or(Fault::Claim)?,
    };
    if found.len() > VALUES_MAX { Err(Fault::Claim) } else { Ok(found) }
}

/// A claim by name; by JSON pointer (RFC 6901) when the name begins with `/`.
fn find<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    let Some(pointer) = name.strip_prefix('/') else { return claims.get(name) };
    let (first, rest) = pointer.split_once('/').map_or((pointer, None), |(first, rest)| (first, Some(rest)));
    let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    rest.map_or(Some(value), |rest| value.pointer(&format!("/{rest}")))
}

/// A text that can be logged and compared: not empty, bounded, no control characters.
fn text(value: &Value) -> Option<Arc<str>> {
    let text = value.as_str()?;
    let good = !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control);
    good.then(|| text.into())
}
