//! `[identity.issuer.ALIAS]`

use super::credential::reserved;
use crate::{
    config::{Groups, Issuer, Node, parse, raw, raw::At, value::Desk, value::shorten},
    identify::spiffe,
};
use jsonwebtoken::Algorithm;
use policy::question::PrincipalKind;
use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};
use url::Url;

/// Most groups that an issuer may declare.
const GROUPS_MAX: usize = 10_000;

const ASYMMETRIC: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];
const DEFAULT_ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
/// Attributes that a claim may fill, and the kinds of principal that have them.
const ATTRIBUTES: [(&str, &[PrincipalKind]); 4] = [
    ("tenant", &[PrincipalKind::User, PrincipalKind::Workload, PrincipalKind::Client, PrincipalKind::Agent]),
    ("clearance", &[PrincipalKind::User]),
    ("employed", &[PrincipalKind::User]),
    ("tier", &[PrincipalKind::Client]),
];

pub(crate) fn issuers(written: &raw::Identity, node: &Node, desk: &mut Desk<'_>) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for (alias, table) in &written.issuer {
        let Some(issuer) = issuer(alias, table, node, desk) else { continue };
        if let Some(other) = issuers.iter().find(|other| other.issuer == issuer.issuer) {
            let message = format!("`{}` has the same issuer identifier", other.alias);
            desk.error("duplicate_issuer", &alias.span, message);
        }
        issuers.push(issuer);
    }
    issuers
}

fn issuer(alias: &At<String>, table: &raw::Issuer, node: &Node, desk: &mut Desk<'_>) -> Option<Issuer> {
    if let Some(message) = reserved(&alias.value) {
        desk.error_help("reserved_name", &alias.span, message, "choose another alias");
    }
    let name = desk.name("an issuer", alias);
    let development = table.development.as_ref().is_some_and(|flag| flag.value);
    if let (true, Some(flag)) = (development && node.production, &table.development) {
        let message = "a development issuer has no place in production";
        desk.error_help("development_in_production", &flag.span, message, "remove it, or `production` from `[node]`");
    }
    let identifier = desk.required("issuer", &table.issuer, &alias.span).cloned();
    if let Some(identifier) = &identifier {
        address(identifier, node, desk);
    }
    if let Some(jwks) = &table.jwks_uri {
        address(jwks, node, desk);
    }
    let principal = table.principal.as_ref().map_or(PrincipalKind::User, |kind| kind_of(kind.value));
    if let (PrincipalKind::Anonymous, Some(kind)) = (principal, &table.principal) {
        let message = "nobody vouches for an anonymous caller";
        desk.error_help("unknown_value", &kind.span, message, "`User`, `Workload`, `Client` or `Agent`");
    }
    let trust_domain = trust_domain(alias, table, principal, desk);
    let audiences = audiences(alias, table, desk);
    let algorithms = algorithms(table.algorithms.as_ref(), desk);
    let groups = groups(name.as_deref().unwrap_or_default(), table.groups.as_ref(), desk);
    let attributes = attributes(table, principal, desk);
    let ca = table.ca.as_ref().and_then(|ca| super::tls::authorities(ca, desk));
    let leeway = desk.duration(table.leeway.as_ref(), seconds(30), Duration::ZERO..=seconds(300));
    let refresh = desk.duration(table.refresh.as_ref(), seconds(300), seconds(1)..=seconds(86_400));
    let grace = desk.duration(table.grace.as_ref(), seconds(3600), Duration::ZERO..=seconds(7 * 86_400));
    let jwks_uri = table.jwks_uri.as_ref().map(|uri| uri.value.as_str().into());
    let (alias, issuer) = (name?, identifier?.value.into());
    Some(Issuer {
        alias,
        issuer,
        jwks_uri,
        audiences,
        principal,
        trust_domain,
        algorithms,
        groups,
        attributes,
        ca,
        leeway,
        refresh,
        grace,
        development,
    })
}

/// Without it, any issuer of workloads could name those of every other.
fn trust_domain(alias: &At<String>, table: &raw::Issuer, kind: PrincipalKind, desk: &mut Desk<'_>) -> Option<Arc<str>> {
    match (&table.trust_domain, kind == PrincipalKind::Workload) {
        (None, false) => None,
        (written, true) => {
            let written = desk.required("trust_domain", written, &alias.span)?;
            domain(written, desk)
        }
        (Some(written), false) => {
            let message = "a trust domain is for issuers of workloads";
            desk.error_help("unused_key", &written.span, message, "set `principal = \"Workload\"`, or remove it");
            None
        }
    }
}

/// A SPIFFE trust domain.
pub(crate) fn domain(written: &At<String>, desk: &mut Desk<'_>) -> Option<Arc<str>> {
    if !spiffe::is_trust_domain(&written.value) {
        let message = format!("`{}` is no trust domain", shorten(&written.value));
        desk.error_help("bad_name", &written.span, message, "such as `prod.example`, without `spiffe://`");
    }
    Some(written.value.as_str().into())
}

/// Keys that come over clear text could be anybody's.
fn address(written: &At<String>, node: &Node, desk: &mut Desk<'_>) {
    let text = &written.value;
    let Some(url) = Url::parse(text).ok().filter(|url| url.has_host()) else {
        let help = "such as `https://login.example.com/`";
        return desk.error_help("bad_url", &written.span, format!("`{}` is no URL", shorten(text)), help);
    };
    let loopback = is_loopback(&url);
    match url.scheme() {
        "https" => {}
        "http" if loopback && !node.production => {}
        "http" => {
            let message = "keys are fetched over `https`, or from loopback outside production";
            desk.error("clear_text", &written.span, message);
        }
        scheme => desk.error("bad_url", &written.span, format!("`{scheme}` is not `https`")),
    }
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        let message = "the URL has a fragment or credentials";
        desk.report.push(desk.text.error_unsaid("bad_url", &written.span, message));
    }
}

/// Whether a URL names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn audiences(alias: &At<String>, table: &raw::Issuer, desk: &mut Desk<'_>) -> Vec<Arc<str>> {
    let Some(list) = desk.required("audiences", &table.audiences, &alias.span) else { return Vec::new() };
    if list.value.is_empty() {
        let message = "without an audience, a token made for another service would count here";
        let finding = desk.text.error("no_audience", &list.span, message);
        desk.report.push_missing("audiences", finding.help("name at least one"));
    }
    list.value.iter().filter_map(|audience| desk.word("audience", audience)).collect()
}

fn algorithms(written: Option<&At<Vec<At<String>>>>, desk: &mut Desk<'_>) -> Vec<Algorithm> {
    let Some(list) = written else { return DEFAULT_ALGORITHMS.to_vec() };
    if list.value.is_empty() {
        let finding = desk.text.error("empty_list", &list.span, "no algorithm is accepted");
        desk.report.push_missing("algorithms", finding);
    }
    let mut found = Vec::new();
    for written in &list.value {
        let name = written.value.as_str();
        if let Some((_, algorithm)) = ASYMMETRIC.iter().find(|(known, _)| *known == name) {
            found.push(*algorithm);
        } else if matches!(name, "HS256" | "HS384" | "HS512") {
            let message = format!("`{name}` is symmetric: whoever verifies could sign");
            desk.error_help("symmetric_algorithm", &written.span, message, "such as `ES256` or `RS256`");
        } else if name.eq_ignore_ascii_case("none") {
            desk.error("symmetric_algorithm", &written.span, "a token without a signature proves nothing");
        } else {
            desk.unknown("unknown_algorithm", "algorithm", written, ASYMMETRIC.iter().map(|(known, _)| *known));
        }
    }
    found
}

fn groups(alias: &str, written: Option<&At<raw::Groups>>, desk: &mut Desk<'_>) -> Groups {
    let none = Groups { claim: None, declared: BTreeSet::new(), external: false };
    let Some(At { value: groups, span }) = written else { return none };
    let claim = desk.required("claim", &groups.claim, span).cloned();
    let claim = claim.and_then(|claim| desk.word("claim", &claim));
    let declared = match &groups.declared {
        None if !groups.external => {
            let message = "which groups may come is not said";
            let help = "`declared = [...]` or a file of them, or `external = true`";
            let finding = desk.text.error("undeclared_groups", span, message);
            desk.report.push_missing("declared", finding.help(help));
            BTreeSet::new()
        }
        None => BTreeSet::new(),
        Some(_) if groups.external => {
            desk.error("contradiction", span, "`declared` and `external = true` exclude each other");
            BTreeSet::new()
        }
        Some(declared) => self::declared(alias, declared, desk),
    };
    Groups { claim, declared, external: groups.external }
}

/// Groups that are declared, each `<alias>/<group>`.
pub(crate) fn declared(alias: &str, written: &raw::Declared, desk: &mut Desk<'_>) -> BTreeSet<Arc<str>> {
    match written {
        raw::Declared::List(list) => declare(alias, list, desk),
        raw::Declared::File(path) => from_file(alias, path, desk),
    }
}

fn from_file(alias: &str, path: &At<String>, desk: &mut Desk<'_>) -> BTreeSet<Arc<str>> {
    let Some(text) = desk.file(path) else { return BTreeSet::new() };
    let Some(file) = parse::parse::<raw::GroupsFile>(&text, desk.report) else { return BTreeSet::new() };
    let mut desk = Desk { text: &text, directory: desk.directory, report: desk.report };
    declare(alias, &file.groups, &mut desk)
}

fn declare(alias: &str, list: &[At<String>], desk: &mut Desk<'_>) -> BTreeSet<Arc<str>> {
    let mut declared = BTreeSet::new();
    if list.len() > GROUPS_MAX {
        let place: Range<usize> = list.get(GROUPS_MAX).map_or(0..0, |group| group.span.clone());
        desk.error("too_many", &place, format!("an issuer declares at most {GROUPS_MAX} groups"));
    }
    for group in list.iter().take(GROUPS_MAX) {
        let Some(name) = desk.word("group", group) else { continue };
        if let Some(rest) = name.strip_prefix(&format!("{alias}/")) {
            let message = "groups are declared as the claim names them; the alias is put before";
            desk.error_help("qualified_group", &group.span, message, format!("`{rest}`"));
        } else if !declared.insert(format!("{alias}/{name}").into()) {
            desk.error("duplicate_group", &group.span, format!("`{name}` is declared twice"));
        }
    }
    declared
}

fn attributes(table: &raw::Issuer, principal: PrincipalKind, desk: &mut Desk<'_>) -> Vec<(Arc<str>, Arc<str>)> {
    let mut attributes = Vec::new();
    for (attribute, claim) in &table.attributes {
        match ATTRIBUTES.iter().find(|(known, _)| *known == attribute.value) {
            None => {
                desk.unknown("unknown_attribute", "attribute", attribute, ATTRIBUTES.iter().map(|(known, _)| *known))
            }
            Some((name, kinds)) if !kinds.contains(&principal) => {
                let message = format!("a {} has no `{name}`", principal.as_str());
                desk.error("unknown_attribute", &attribute.span, message);
            }
            Some((name, _)) => {
                attributes.extend(desk.word("claim", claim).map(|claim| ((*name).into(), claim)));
            }
        }
    }
    attributes
}

/// The kind that policy knows.
pub(crate) fn kind_of(written: raw::Kind) -> PrincipalKind {
    match written {
        raw::Kind::User => PrincipalKind::User,
        raw::Kind::Workload => PrincipalKind::Workload,
        raw::Kind::Client => PrincipalKind::Client,
        raw::Kind::Agent => PrincipalKind::Agent,
        raw::Kind::Anonymous => PrincipalKind::Anonymous,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
