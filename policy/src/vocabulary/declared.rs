//! Declarations that would say two things with one name, or nothing with any.

use super::{DECLARED_FILE, base::Base};
use crate::{
    declared::{Declared, Function, Issuer},
    finding::Finding,
};
use std::{collections::BTreeSet, sync::Arc};

/// Names that can't be said in policy.
pub(super) fn check(declared: &Declared, base: &Base) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut error = |code, message| findings.push(Finding::error(code, DECLARED_FILE, message));
    for name in repeated(declared.apps.iter().map(|app| &app.name)) {
        error("duplicate_app", format!("app `{name}` is declared twice"));
    }
    for alias in repeated(declared.issuers.iter().map(|issuer| &issuer.alias)) {
        error("duplicate_issuer", format!("issuer `{alias}` is declared twice"));
    }
    declared.issuers.iter().for_each(|issuer| check_issuer(issuer, &mut error));
    declared.functions.iter().for_each(|function| check_function(function, base, &mut error));
    findings
}

/// The alias is the first part of every id and group, so it must be told from the rest.
fn check_issuer(issuer: &Issuer, error: &mut impl FnMut(&'static str, String)) {
    let alias = &issuer.alias;
    if alias.is_empty() || alias.contains('/') {
        error("invalid_issuer", format!("`{alias}` is no alias of an issuer: not empty, no `/`"));
    }
    for group in &issuer.groups {
        if group.split_once('/').is_none_or(|(first, rest)| first != alias.as_ref() || rest.is_empty()) {
            let message = format!("`{group}` is no group of the issuer `{alias}`: a group is `{alias}/<group>`");
            error("invalid_group", message);
        }
    }
}

fn check_function(function: &Function, base: &Base, error: &mut impl FnMut(&'static str, String)) {
    let name = &function.name;
    if base.is_action(name.as_str()) {
        error("reserved_name", format!("`{name}` is the name of a fixed action, so no function can have it"));
    }
    if function.principals.is_empty() {
        error("no_principals", format!("function `{name}` is for no kind of caller"));
    }
    for group in &function.action_groups {
        if !is_group_name(group) {
            let rule = "lowercase letters, digits, `_` and `-`, no dot";
            error("invalid_action_group", format!("`{group}` of function `{name}` is not an action group: {rule}"));
        } else if base.is_action(group) && !base.is_group(group) {
            error("reserved_name", format!("`{group}` of function `{name}` is a fixed action, not a group"));
        }
    }
    for parameter in repeated(&function.path) {
        error("duplicate_parameter", format!("function `{name}` has the path parameter `{parameter}` twice"));
    }
    for parameter in repeated(function.query.iter().map(|(parameter, _)| parameter)) {
        error("duplicate_parameter", format!("function `{name}` has the query parameter `{parameter}` twice"));
    }
}

fn is_group_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn repeated<'a>(names: impl IntoIterator<Item = &'a Arc<str>>) -> BTreeSet<&'a Arc<str>> {
    let mut seen = BTreeSet::new();
    names.into_iter().filter(|name| !seen.insert(*name)).collect()
}
