//! `identify = [...]` of a listener: which credentials count, and which of them together.

use super::listener::Surroundings;
use crate::{
    address::Address,
    config::{Credential, raw, raw::At, value::Desk},
};
use policy::question::PrincipalKind;
use std::sync::Arc;

pub(crate) fn identify(
    name: &At<String>,
    table: &raw::Listener,
    around: &Surroundings<'_>,
    address: Option<&Address>,
    desk: &mut Desk<'_>,
) -> Vec<Credential> {
    let Some(list) = desk.required("identify", &table.identify, &name.span) else { return Vec::new() };
    if list.value.is_empty() {
        let finding =
            desk.text.error("no_credential", &list.span, "no credential counts here, so every call is refused");
        desk.report.push_missing("identify", finding.help("an issuer's alias, or `anonymous`"));
    }
    let mut credentials = Vec::new();
    for written in &list.value {
        let credential = match written {
            raw::Accepted::One(one) if one.value == "anonymous" => Some(Credential::Anonymous),
            raw::Accepted::One(one) => single(one, around, address, desk),
            raw::Accepted::All(all) => together(all, around, address, desk),
        };
        let Some(credential) = credential else { continue };
        certificate(table, &credential, written, desk);
        if !credentials.contains(&credential) {
            credentials.push(credential);
        }
    }
    unused(table, &credentials, desk);
    credentials
}

pub(super) fn single(
    written: &At<String>,
    around: &Surroundings<'_>,
    address: Option<&Address>,
    desk: &mut Desk<'_>,
) -> Option<Credential> {
    let alias = written.value.as_str();
    if let Some(issuer) = around.issuers.iter().find(|issuer| *issuer.alias == *alias) {
        if issuer.development && address.is_some_and(|address| !address.is_local()) {
            let message = format!("`{alias}` is a development issuer, and this listener is not on loopback");
            let help = "whoever reads its folder can be anybody here";
            desk.warn("development_exposed", &written.span, message, help);
        }
        return Some(Credential::Issuer(issuer.alias.clone()));
    }
    let others = || around.credentials.every();
    if let Some(credential) = others().find(|known| known.alias().is_some_and(|name| **name == *alias)) {
        return Some(credential);
    }
    if around.written.has(alias) {
        // Its table has problems of its own, which are reported there.
        return None;
    }
    let others: Vec<Arc<str>> = others().filter_map(|known| known.alias().cloned()).collect();
    let issuers = around.issuers.iter().map(|issuer| issuer.alias.as_ref());
    let known = issuers.chain(others.iter().map(AsRef::as_ref)).chain(["anonymous"]);
    desk.unknown("unknown_issuer", "issuer", written, known);
    None
}

/// `{ all = [...], principal = "…" }`
pub(super) fn together(
    At { value: written, span }: &At<raw::Together>,
    around: &Surroundings<'_>,
    address: Option<&Address>,
    desk: &mut Desk<'_>,
) -> Option<Credential> {
    let all = desk.required("all", &written.all, span)?;
    let principal = desk.required("principal", &written.principal, span)?;
    let mut each: Vec<Credential> = Vec::new();
    for one in &all.value {
        let credential = single(one, around, address, desk)?;
        let kind = std::mem::discriminant(&credential);
        if each.iter().any(|other| std::mem::discriminant(other) == kind) {
            let message = format!("a call has one credential of a kind, so `{}` can't be there besides", one.value);
            desk.error("bad_combination", &one.span, message);
            return None;
        }
        each.push(credential);
    }
    if each.len() < 2 {
        desk.error_help("bad_combination", &all.span, "`all` names at least two", "a single alias is written alone");
        return None;
    }
    let Some(chosen) = each.iter().filter_map(Credential::alias).find(|alias| ***alias == principal.value).cloned()
    else {
        desk.unknown("unknown_issuer", "member of `all`", principal, all.value.iter().map(|one| one.value.as_str()));
        return None;
    };
    let mut seen = Vec::new();
    for (one, credential) in all.value.iter().zip(&each).filter(|(one, _)| one.value != principal.value) {
        let kind = around.kind(credential);
        if !matches!(kind, Some(PrincipalKind::Workload | PrincipalKind::Client)) || seen.contains(&kind) {
            let message = format!("`{}` can't be who a caller calls through", one.value);
            let help = "besides the principal there is at most one workload and one client";
            desk.error_help("bad_combination", &one.span, message, help);
            return None;
        }
        seen.push(kind);
    }
    Some(Credential::All { each, principal: chosen })
}

/// A certificate is asked for in the handshake, which needs authorities; one set of them vouches for one trust domain.
fn certificate(table: &raw::Listener, credential: &Credential, written: &raw::Accepted, desk: &mut Desk<'_>) {
    let Some(alias) = credential.parts().find_map(mtls) else { return };
    let asked = table.tls.as_ref().is_some_and(|tls| tls.value.client_ca.is_some());
    if !asked {
        let message = format!("`{alias}` is a client certificate, which this listener does not ask for");
        let finding = desk.text.error("no_client_ca", written.span(), message);
        desk.report.push_missing("client_ca", finding.help("`tls = { …, client_ca = \"tls/clients.pem\" }`"));
    }
}

fn unused(table: &raw::Listener, credentials: &[Credential], desk: &mut Desk<'_>) {
    let mut domains: Vec<&Arc<str>> = credentials.iter().flat_map(Credential::parts).filter_map(mtls).collect();
    domains.dedup();
    let Some(ca) = table.tls.as_ref().and_then(|tls| tls.value.client_ca.as_ref()) else { return };
    if let [first, second, ..] = *domains {
        let message = format!("these authorities would vouch for both `{first}` and `{second}`");
        desk.error_help("several_trust_domains", &ca.span, message, "one listener for each trust domain");
    }
    // What was refused may have been the certificate.
    if domains.is_empty() && !desk.report.failed() {
        let message = "no entry of `identify` is a client certificate";
        desk.error_help("unused_key", &ca.span, message, "name an alias of `[identity.mtls]`, or remove it");
    }
}

fn mtls(credential: &Credential) -> Option<&Arc<str>> {
    match credential {
        Credential::Mtls(alias) => Some(alias),
        _ => None,
    }
}
