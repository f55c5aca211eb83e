//! `@lint("allow:ID, ID: reason")`: what a policy may do although a lint minds.

use super::{Found, table::LINTS};
use crate::{
    bundle::written::{Place, Written},
    finding::Finding,
};
use std::collections::BTreeSet;

/// Lints that loading itself reports, whose use is not counted here.
const OF_LOADING: [&str; 2] = ["boundless_permit", "empty_scope"];

/// The lints that a policy's `@lint` allows. What can't be read allows nothing and is reported.
pub(crate) fn read(text: &str, place: &Place, findings: &mut Vec<Finding>) -> BTreeSet<&'static str> {
    let mut allowed = BTreeSet::new();
    let mut warn = |message: String, known: Option<&str>| {
        let finding = place.finding("unknown_lint", message, place.annotation("lint")).warning();
        findings.push(match known {
            Some(given) => finding.nearest(given, LINTS.iter().map(|lint| lint.id)),
            None => finding.help("write it like `@lint(\"allow:missing_expiry: why it may\")`"),
        });
    };
    let parts = text.strip_prefix("allow:").and_then(|rest| rest.split_once(':'));
    let Some((ids, _)) = parts.filter(|(_, reason)| !reason.trim().is_empty()) else {
        warn(format!("`{text}` allows nothing: it needs lints and a reason"), None);
        return allowed;
    };
    for given in ids.split(',').map(str::trim) {
        match LINTS.iter().find(|lint| lint.id == given) {
            Some(lint) => {
                allowed.insert(lint.id);
            }
            None => warn(format!("there is no lint `{given}`"), Some(given)),
        }
    }
    allowed
}

/// Allowances that allowed nothing.
pub(super) fn useless(policies: &[Written], found: &mut Found) {
    let used = found.used.clone();
    for policy in policies {
        for id in &policy.allowed {
            let needed = used.iter().any(|(name, used)| *name == policy.name && used == id);
            if !needed && !OF_LOADING.contains(id) {
                let message = format!("`{}` allows `{id}`, which finds nothing here", policy.name);
                found.push(policy, "useless_allow", message, "take it out of `@lint`");
            }
        }
    }
}
