//! `[identity.api_keys.ALIAS]` and the file of hashes that it names.

use super::issuer;
use crate::{
    config::{
        ApiKey, ApiKeys, KeyClient, parse, raw, raw::At, report::Report, text::Text, value::Desk, value::shorten,
    },
    front::hygiene,
    identify::api_key::text::{hash_of, is_id},
};
use http::{HeaderName, header};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// The header that holds a key unless told otherwise.
const HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// Most keys in one file.
const KEYS_MAX: usize = 100_000;
/// Headers that mean something else.
const OTHERS: [HeaderName; 5] =
    [header::AUTHORIZATION, header::COOKIE, header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE];

type Groups = BTreeSet<Arc<str>>;

/// The keys of one alias, with everything that its file says.
pub(crate) fn api_keys(
    alias: Option<Arc<str>>,
    written: &At<String>,
    table: &raw::ApiKeys,
    desk: &mut Desk<'_>,
) -> Option<ApiKeys> {
    if let Some(kind) = table.principal.as_ref().filter(|kind| kind.value != raw::Kind::Client) {
        desk.error_help("unknown_value", &kind.span, "an API key names a `Client`", "`Client`, or remove it");
    }
    let found = named(written, table, desk)?;
    let text = desk.file(table.file.as_ref()?)?;
    let keys = keys(&found.alias, &text, &found.groups, desk.directory, desk.report)?;
    Some(ApiKeys { alias: alias?, keys, ..found })
}

/// What the configuration says, without the file.
pub(crate) fn named(alias: &At<String>, table: &raw::ApiKeys, desk: &mut Desk<'_>) -> Option<ApiKeys> {
    let header = table.header.as_ref().map_or(Some(HEADER), |header| name(header, desk));
    let groups = table.groups.as_ref().map(|groups| issuer::declared(&alias.value, groups, desk)).unwrap_or_default();
    let file = desk.required("file", &table.file, &alias.span)?;
    let file = desk.path(&file.value);
    Some(ApiKeys { alias: alias.value.as_str().into(), file, header: header?, groups, keys: BTreeMap::new() })
}

/// The keys of a file, by id.
pub(crate) fn keys(
    alias: &str,
    text: &Text,
    groups: &Groups,
    directory: &Path,
    report: &mut Report,
) -> Option<BTreeMap<Arc<str>, ApiKey>> {
    let file: raw::KeysFile = parse::parse(text, report)?;
    let mut desk = Desk { text, directory, report };
    let mut keys = BTreeMap::new();
    for (name, table) in &file.client {
        let Some(client) = client(alias, name, table, groups, &mut desk) else { continue };
        let client = Arc::new(client);
        for (id, written) in &table.key {
            if !is_id(&id.value) {
                let message = format!("`{}` is no id of a key", shorten(&id.value));
                desk.error_help("bad_name", &id.span, message, "`latchwork key new` makes keys");
            }
            let Some(key) = key(&client, id, written, &mut desk) else { continue };
            if keys.insert(id.value.as_str().into(), key).is_some() {
                desk.error("duplicate_key", &id.span, "another client has a key of this id");
            }
            if keys.len() > KEYS_MAX {
                desk.error("too_many", &id.span, format!("a file has at most {KEYS_MAX} keys"));
                return None;
            }
        }
    }
    Some(keys)
}

fn client(
    alias: &str,
    name: &At<String>,
    table: &raw::KeyClient,
    declared: &Groups,
    desk: &mut Desk<'_>,
) -> Option<KeyClient> {
    let named = desk.word("name of a client", name);
    let mut groups = BTreeSet::new();
    for written in &table.groups {
        let group: Arc<str> = format!("{alias}/{}", written.value).into();
        if declared.contains(&group) {
            groups.insert(group);
        } else {
            let known: Vec<&str> = declared.iter().filter_map(|g| g.split_once('/')).map(|(_, name)| name).collect();
            desk.unknown("undeclared_group", "declared group", written, known);
        }
    }
    let scopes: Vec<Arc<str>> = table.scopes.iter().filter_map(|scope| desk.word("scope", scope)).collect();
    let tenant = table.tenant.as_ref().and_then(|tenant| desk.word("tenant", tenant));
    let tier = table.tier.as_ref().and_then(|tier| desk.word("tier", tier));
    Some(KeyClient { name: named?, groups: groups.into_iter().collect(), scopes: scopes.into(), tenant, tier })
}

fn key(client: &Arc<KeyClient>, id: &At<String>, table: &raw::Key, desk: &mut Desk<'_>) -> Option<ApiKey> {
    let hash = desk.required("hash", &table.hash, &id.span)?;
    let parsed = hash_of(&hash.value);
    if parsed.is_none() {
        // What was written for the hash may be the key itself, so it is not shown.
        let mut finding =
            desk.text.error("bad_hash", &hash.span, "this is no hash of a key: `sha256:` and 64 hex digits");
        finding.text = None;
        desk.report.push(finding.help("`latchwork key new` writes it; keys themselves are never kept"));
    }
    let mut time = |written: &Option<At<String>>| -> Option<Option<Timestamp>> {
        let Some(At { value, span }) = written else { return Some(None) };
        let parsed = value.parse().ok();
        if parsed.is_none() {
            let message = format!("`{}` is no instant", shorten(value));
            desk.error_help("bad_time", span, message, "such as `2027-01-31T00:00:00Z`");
        }
        parsed.map(Some)
    };
    let (created, expires, revoked) = (time(&table.created), time(&table.expires), time(&table.revoked));
    Some(ApiKey {
        client: client.clone(),
        hash: parsed?,
        created: created?,
        expires: expires?,
        revoked: revoked?.is_some(),
    })
}

fn name(written: &At<String>, desk: &mut Desk<'_>) -> Option<HeaderName> {
    let parsed = HeaderName::try_from(written.value.as_str()).ok();
    let good = parsed.filter(|name| !OTHERS.contains(name) && !hygiene::removes(name));
    if good.is_none() {
        let message = format!("`{}` can't be the header of a key", shorten(&written.value));
        desk.error_help("bad_header", &written.span, message, "such as `x-api-key`; identity headers are removed");
    }
    good
}
