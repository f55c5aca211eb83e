//! What a team may say in its folder, and what not.

use super::*;
use crate::{
    bundle::load,
    declared::App,
    fixture::{RUN_ON, declared, function, now},
};
use std::sync::Arc;

fn report(files: &[(&str, &str)]) -> Vec<(&'static str, String, usize)> {
    let mut declared = declared();
    declared.apps.push(App { name: "ledger".into(), owner: None, environment: "prod".into(), calendar: None });
    let mut post = function("ledger.post", &["money"]);
    post.app = "ledger".into();
    declared.functions.push(post);
    let base = [("policies/base.cedar", RUN_ON)];
    let sources: Vec<_> =
        base.iter().chain(files).map(|(file, text)| Source { file: (*file).into(), text: (*text).into() }).collect();
    let findings = load(&sources, Arc::new(declared), now()).map_or_else(|found| found, |(_, warnings)| warnings);
    let own = findings.into_iter().filter(|f| f.severity == crate::finding::Severity::Error);
    own.map(|f| (f.code, f.file, f.line)).collect()
}

#[track_caller]
fn check(policy: &str, expected: Option<&'static str>) {
    let found = report(&[("policies/shop/team.toml", "app = \"shop\""), ("policies/shop/deep/a.cedar", policy)]);
    let expected: Vec<_> =
        expected.map(|code| (code, "policies/shop/deep/a.cedar".to_owned(), 1)).into_iter().collect();
    assert_eq!(found, expected, "{policy}");
}

#[test]
fn a_team_speaks_of_its_own_app() {
    check("@id(\"a\") permit(principal, action == Action::\"orders.create\", resource);", None);
    check("@id(\"a\") forbid(principal, action in Action::\"write\", resource in App::\"shop\");", None);
    check("@id(\"a\") permit(principal, action == Action::\"describe\", resource == Function::\"stock.level\");", None);
    check("@id(\"a\") forbid(principal, action == Action::\"run_on\", resource in App::\"shop\");", None);
    check(
        "@id(\"a\") permit(principal in Group::\"corp/staff\", action, resource == Function::\"stock.level\");",
        None,
    );
}

#[test]
fn and_of_nothing_else() {
    check("@id(\"a\") permit(principal, action == Action::\"ledger.post\", resource);", Some("foreign_name"));
    check("@id(\"a\") permit(principal, action, resource in App::\"ledger\");", Some("foreign_name"));
    check("@id(\"a\") forbid(principal, action, resource);", Some("beyond_team"));
    check("@id(\"a\") forbid(principal, action in Action::\"write\", resource);", Some("beyond_team"));
    check("@id(\"a\") permit(principal, action == Action::\"run_on\", resource);", Some("beyond_team"));
    check(
        "@id(\"a\") permit(principal, action in Action::\"read\", resource in Environment::\"prod\");",
        Some("beyond_team"),
    );
    check("@id(\"a\") permit(principal, action == Action::\"audit.read\", resource);", Some("foreign_name"));
    let condition = "@id(\"a\") permit(principal, action == Action::\"orders.create\", resource) when { resource != Function::\"ledger.post\" };";
    check(condition, Some("foreign_name"));
    check(
        "@id(\"a\") permit(principal, action in [Action::\"orders.create\", Action::\"read\"], resource);",
        Some("beyond_team"),
    );
}

#[test]
fn grants_are_bound_too() {
    let grants = "[grant.g]\ncaller = \"corp/ada\"\nfunction = \"ledger.post\"\n";
    let found = report(&[("p/shop/team.toml", "app = \"shop\""), ("p/shop/x.grants.toml", grants)]);
    assert_eq!(found, [("foreign_name", "p/shop/x.grants.toml".to_owned(), 1)]);
    assert_eq!(report(&[("p/shop/team.toml", "app = \"shop\""), ("p/other/x.grants.toml", grants)]), []);
}

#[test]
fn a_binding_that_cannot_be_read_stops_the_load() {
    assert_eq!(report(&[("p/team.toml", "app = \"shpo\"")])[0].0, "unknown_app");
    assert_eq!(report(&[("p/team.toml", "ap = \"shop\"")])[0].0, "team_syntax");
    assert_eq!(report(&[("p/team.toml", "")])[0].0, "team_syntax");
}
