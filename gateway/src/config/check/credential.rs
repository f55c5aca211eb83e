//! `[identity.mtls]`, `[identity.api_keys]` and `[identity.webhook]`: credentials other than tokens.

use super::{api_keys, issuer, webhook};
use crate::config::{Credentials, Issuer, Mtls, UNIX_ALIAS, raw, raw::At, value::Desk};
use std::sync::Arc;

pub(crate) fn credentials(written: &raw::Identity, issuers: &[Issuer], desk: &mut Desk<'_>) -> Credentials {
    let mut taken: Vec<Arc<str>> = issuers.iter().map(|issuer| issuer.alias.clone()).collect();
    let mut credentials = Credentials::default();
    for (alias, table) in &written.mtls {
        let name = self::alias(alias, &mut taken, desk);
        let domain = desk.required("trust_domain", &table.trust_domain, &alias.span).cloned();
        let domain = domain.and_then(|domain| issuer::domain(&domain, desk));
        if let (Some(alias), Some(trust_domain)) = (name, domain) {
            credentials.mtls.push(Mtls { alias, trust_domain });
        }
    }
    for (alias, table) in &written.api_keys {
        let name = self::alias(alias, &mut taken, desk);
        credentials.api_keys.extend(api_keys::api_keys(name, alias, table, desk));
    }
    for (alias, table) in &written.webhook {
        let name = self::alias(alias, &mut taken, desk);
        credentials.webhooks.extend(webhook::webhook(name, alias, table, desk));
    }
    credentials
}

/// What an alias stands for, if it is a word of the configuration.
pub(super) fn reserved(alias: &str) -> Option<&'static str> {
    match alias {
        "anonymous" => Some("`anonymous` stands for callers without a credential"),
        UNIX_ALIAS => Some("`unix` stands for whoever is at the other end of a Unix socket"),
        _ => None,
    }
}

/// An alias is the first part of ids and groups, so that no two credentials may share one.
fn alias(written: &At<String>, taken: &mut Vec<Arc<str>>, desk: &mut Desk<'_>) -> Option<Arc<str>> {
    if let Some(message) = reserved(&written.value) {
        desk.error_help("reserved_name", &written.span, message, "choose another alias");
    }
    let alias = desk.name("a credential", written)?;
    if taken.contains(&alias) {
        let message = format!("`{alias}` is the alias of another credential");
        desk.error_help("duplicate_alias", &written.span, message, "ids and groups begin with it: choose another");
    }
    taken.push(alias.clone());
    Some(alias)
}
