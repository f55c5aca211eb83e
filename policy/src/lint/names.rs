//! Names that people read as one although they are two.

use super::{Found, table};
use crate::{
    bundle::written::Written,
    declared::Declared,
    finding::{Finding, Severity},
    vocabulary::DECLARED_FILE,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(policies: &[Written], declared: &Declared, found: &mut Found) {
    let mut ids: BTreeMap<String, &Written> = BTreeMap::new();
    for policy in policies {
        match ids.get(&skeleton(&policy.name.0)) {
            Some(other) if other.name != policy.name => {
                let there = format!("{}:{}", other.place.source.file, other.place.line);
                let message = format!("the id `{}` looks like `{}` ({there})", policy.name, other.name);
                found.push(policy, "confusable_names", message, "choose an id that nobody takes for the other");
            }
            _ => drop(ids.insert(skeleton(&policy.name.0), policy)),
        }
    }
    groups(policies, found);
    let functions = declared.functions.iter().map(|function| function.name.as_str());
    let apps = declared.apps.iter().map(|app| app.name.as_ref());
    for (what, pairs) in [("function", alike(functions)), ("app", alike(apps))] {
        for (first, second) in pairs {
            let message = format!("the {what} `{second}` looks like `{first}`");
            let finding = Finding::error("confusable_names", DECLARED_FILE, message);
            let warns = table::level("confusable_names") != Severity::Note;
            found.findings.push(if warns { finding.warning() } else { finding.note() });
        }
    }
}

/// Groups and callers that policies name. Those of issuers that manage their groups elsewhere are known by nothing else.
fn groups(policies: &[Written], found: &mut Found) {
    let mut first: BTreeMap<(String, String), (String, &Written)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for policy in policies {
        let named = policy
            .constants
            .iter()
            .filter(|c| matches!(c.entity_type.as_str(), "Group" | "User" | "Client" | "Workload"));
        for constant in named {
            let key = (constant.entity_type.clone(), skeleton(&constant.id));
            match first.get(&key) {
                Some((id, other)) if *id != constant.id => {
                    if told.insert(constant.id.clone()) {
                        let message = format!("`{}` looks like `{id}`, which `{}` names", constant.id, other.name);
                        found.push(policy, "confusable_names", message, "see whether one of them is a slip");
                    }
                }
                Some(_) => {}
                None => drop(first.insert(key, (constant.id.clone(), policy))),
            }
        }
    }
}

fn alike<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(&'a str, &'a str)> {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut pairs = Vec::new();
    for name in names {
        match first.get(&skeleton(name)) {
            Some(other) if *other != name => pairs.push((*other, name)),
            _ => drop(first.insert(skeleton(name), name)),
        }
    }
    pairs
}

/// What is left of a name when everything that looks alike is made equal.
fn skeleton(name: &str) -> String {
    let lower = name.to_lowercase().replace("rn", "m").replace("vv", "w").replace("cl", "d");
    let alike = |c: char| match c {
        '0' => 'o',
        '1' | 'i' | '|' => 'l',
        '5' => 's',
        '_' => '-',
        other => other,
    };
    lower.chars().map(alike).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_have_one_skeleton() {
        for (a, b) in
            [("admin", "adm1n"), ("corp/modern", "corp/modem"), ("a-b.c", "a_b.c"), ("orders.O0", "orders.o0")]
        {
            assert_eq!(skeleton(a), skeleton(b), "{a} {b}");
        }
        for (a, b) in [("orders.create", "orders.created"), ("stock.a", "stock.b"), ("a.b", "ab")] {
            assert_ne!(skeleton(a), skeleton(b), "{a} {b}");
        }
    }
}
